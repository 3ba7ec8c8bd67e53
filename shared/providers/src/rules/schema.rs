//! Rules for JSON, and JSON Schemas, of answers and tools.

use hearth_domain::{ClientDialect, Field, Message, ResponseFormat, Role, Tool, ToolChoice};
use hearth_wire::ApiError;
use serde_json::Value;

use super::{
    draft::Draft,
    rule::{AnswerSchemas, JsonObject, Otherwise, Refused, Rules},
};
use crate::{
    answer_schema::{ANSWER_TOOL, SchemaPlan, SchemaRequest},
    strict_schema::is_strict,
};

/// Instruction for JSON without a schema.
const OBJECT_INSTRUCTION: &str = "Answer with one JSON object and with nothing before or after it.";
/// Instruction for JSON with a schema, just before the schema.
const FITS_SCHEMA: &str = "It must fit this JSON Schema:";
/// Keywords that combine schemas.
const UNIONS: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// The provider of a request with a schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct SchemaPlace {
    /// The provider's dialect is one of OpenAI's, whose requests have `strict`.
    pub(super) has_strict: bool,
    /// The provider's dialect has a field for the schema's description, beside the schema.
    pub(super) has_description: bool,
    /// The client gets the answer in one piece, whose form can be restored.
    pub(super) is_whole: bool,
    /// The provider has refused the schema in another form.
    pub(super) by_instruction: bool,
}

/// Applies the rules for schemas. Returns the plan for the answer's schema, if it has one.
pub(super) fn apply(
    rules: &Rules,
    place: SchemaPlace,
    draft: &mut Draft<'_>,
) -> Result<Option<SchemaPlan>, ApiError> {
    refuse_unions(rules.schema_unions, draft)?;
    refuse_loose_tools(rules.loose_strict_schemas, draft)?;
    let task = draft.task();
    if let Some(source) = rules.format_with_tools
        && task.response_format != ResponseFormat::Text
        && !task.tools.is_empty()
    {
        let problem = "must be left out where there are tools: this model supports one or the other";
        return Err(draft.refuse(Field::ResponseFormat, problem, source));
    }
    let mut plan = None;
    if let ResponseFormat::JsonSchema(schema) = &task.response_format {
        if let (Some(source), Some(true)) = (rules.loose_strict_schemas, task.schema_label.strict)
            && !is_strict(schema)
        {
            return Err(draft.refuse(Field::ResponseSchema, NOT_STRICT, source));
        }
        let chosen = choose(rules.answer_schemas.value, place, draft);
        request_schema(&chosen.request, place.has_description, draft);
        plan = Some(chosen);
    }
    if draft.task().response_format == ResponseFormat::JsonObject {
        match rules.json_object.value {
            JsonObject::Field => {}
            JsonObject::FieldWithWord if has_word_json(&draft.task().messages) => {}
            JsonObject::FieldWithWord => add_instruction(draft, OBJECT_INSTRUCTION),
            JsonObject::Instruction => {
                draft.edit().response_format = ResponseFormat::Text;
                if plan.is_none() {
                    add_instruction(draft, OBJECT_INSTRUCTION);
                }
            }
        }
    }
    Ok(plan)
}

/// Chooses the way to request an answer with the draft's schema.
fn choose(support: AnswerSchemas, place: SchemaPlace, draft: &Draft<'_>) -> SchemaPlan {
    let task = draft.task();
    let ResponseFormat::JsonSchema(schema) = &task.response_format else { return SchemaPlan::as_sent() };
    if place.by_instruction {
        return SchemaPlan::instruction();
    }
    // A client that can say `strict` itself, or does, gets what it says.
    let is_openai = matches!(draft.client(), ClientDialect::OpenAiChat | ClientDialect::OpenAiResponses);
    let says_strict = place.has_strict && (is_openai || task.schema_label.strict.is_some());
    let tool = || {
        // A forced call excludes other tools, and thoughts that the client asks for in Anthropic's own field.
        let is_possible = task.tools.is_empty()
            && task.tool_choice == ToolChoice::Auto
            && !draft.generation.extra.fields.contains_key("thinking");
        let plan = is_possible.then(|| SchemaPlan::tool(schema, place.is_whole)).flatten();
        plan.unwrap_or_else(SchemaPlan::instruction)
    };
    match support {
        AnswerSchemas::AsSent => SchemaPlan::as_sent(),
        AnswerSchemas::Rewritten(..) if says_strict => SchemaPlan::as_sent(),
        AnswerSchemas::Rewritten(profile, otherwise) => SchemaPlan::strict(schema, profile, place.is_whole)
            .unwrap_or_else(|| match otherwise {
                Otherwise::Followed => SchemaPlan::followed(),
                Otherwise::Tool => tool(),
                Otherwise::Instruction => SchemaPlan::instruction(),
            }),
        AnswerSchemas::Tool => tool(),
        AnswerSchemas::Instruction => SchemaPlan::instruction(),
    }
}

/// Changes the draft to a request of this kind. `has_description`: the request has a field for the schema's description.
fn request_schema(request: &SchemaRequest, has_description: bool, draft: &mut Draft<'_>) {
    match request {
        SchemaRequest::AsSent => {}
        SchemaRequest::Followed => draft.edit().schema_label.strict = Some(false),
        SchemaRequest::Strict(schema) => {
            let task = draft.edit();
            task.response_format = ResponseFormat::JsonSchema(schema.clone());
            task.schema_label.strict = Some(true);
        }
        SchemaRequest::Tool(parameters) => {
            let task = draft.edit();
            let description = task.schema_label.description.take();
            let description = description.unwrap_or_else(|| "Returns the answer.".to_owned());
            task.response_format = ResponseFormat::Text;
            task.tools = vec![Tool {
                name: ANSWER_TOOL.to_owned(),
                description: Some(description),
                parameters: parameters.clone(),
                strict: false,
            }];
            task.tool_choice = ToolChoice::Named(ANSWER_TOOL.to_owned());
            task.parallel_tool_calls = false;
        }
        SchemaRequest::Instruction => {
            describe_within(draft);
            let task = draft.edit();
            let format = std::mem::replace(&mut task.response_format, ResponseFormat::JsonObject);
            let ResponseFormat::JsonSchema(schema) = format else { return };
            // JSON mode is of objects, in every API that has it.
            let is_object = schema.get("type").is_none_or(|kind| kind == "object");
            if !is_object {
                task.response_format = ResponseFormat::Text;
            }
            let kind = if is_object { "one JSON object" } else { "one JSON value" };
            let text =
                format!("Answer with {kind} and with nothing before or after it. {FITS_SCHEMA}\n{schema}");
            add_instruction(draft, &text);
        }
    }
    if !has_description {
        describe_within(draft);
    }
}

/// Moves the schema's description into the schema, unless that has one of its own.
fn describe_within(draft: &mut Draft<'_>) {
    if draft.task().schema_label.description.is_none() {
        return;
    }
    let task = draft.edit();
    let description = task.schema_label.description.take();
    if let (ResponseFormat::JsonSchema(Value::Object(members)), Some(description)) =
        (&mut task.response_format, description)
    {
        members.entry("description").or_insert(Value::String(description));
    }
}

fn has_word_json(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.content.to_ascii_lowercase().contains("json"))
}

/// Adds a system message after the leading ones.
fn add_instruction(draft: &mut Draft<'_>, text: &str) {
    let messages = &draft.task().messages;
    let place = messages.iter().take_while(|message| message.role == Role::System).count();
    draft.edit().messages.insert(place, Message::new(Role::System, text));
}

/// Refuses tools whose schema combines others at its top level.
fn refuse_unions(refused: Refused, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(source) = refused else { return Ok(()) };
    let is_union = |schema: &Value| UNIONS.iter().any(|keyword| schema.get(keyword).is_some());
    match draft.task().tools.iter().position(|tool| is_union(&tool.parameters)) {
        Some(index) => {
            let field = Field::ToolParameters(index);
            let problem = "must not have oneOf, anyOf or allOf at its top level; put them into a property";
            Err(draft.refuse(field, problem, source))
        }
        None => Ok(()),
    }
}

/// The problem of a schema with `strict` that isn't strict.
const NOT_STRICT: &str = "is not strict, though strict is true: each object must have additionalProperties false, and \
                          all of its properties in required; leave strict out, or change the schema";

/// Refuses tools with `strict` whose schema isn't strict.
fn refuse_loose_tools(refused: Refused, draft: &Draft<'_>) -> Result<(), ApiError> {
    let Some(source) = refused else { return Ok(()) };
    let tools = draft.task().tools.iter();
    match tools.clone().position(|tool| tool.strict && !is_strict(&tool.parameters)) {
        Some(index) => {
            let field = Field::ToolParameters(index);
            Err(draft.refuse(field, NOT_STRICT, source))
        }
        None => Ok(()),
    }
}
