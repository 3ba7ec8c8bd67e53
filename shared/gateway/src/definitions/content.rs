//! Contents of versions: checked before they are stored, and compiled when they are used.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use hearth_domain::{
    DefinitionKind, DefinitionReference, Message, Role, Sampling, check::check_answer_schema,
};
use hearth_schema::{AnswerChecker, AnswerSchema};
use hearth_wire::{
    ApiError,
    native::definitions::{TemplateContent, TemplateParameters},
};
use serde_json::{Map, Value, json};

use super::sandbox::{MessageTemplate, RENDER_TIMEOUT, RenderFailure};
use crate::error;

/// Limits of a template.
const MESSAGE_MAX_COUNT: usize = 20;
const MESSAGES_MAX_BYTES: usize = 64 << 10;
const VARIABLE_MAX_COUNT: usize = 100;
const VARIABLES_SCHEMA_MAX_BYTES: usize = 32 << 10;
const MODEL_MAX_CHARS: usize = 300;
/// Limit of the values of a template's variables, as JSON.
const VALUES_MAX_BYTES: usize = 256 << 10;
/// Limit of the examples of a schema that are checked.
const EXAMPLE_MAX_COUNT: usize = 16;
/// Time for the checks of all examples of a content.
const EXAMPLES_TIMEOUT: Duration = Duration::from_secs(10);

/// A checked content of a version.
#[derive(Debug)]
pub(super) enum Content {
    /// A schema of answers.
    Schema(Value),
    /// A template.
    Template(Box<Template>),
}

/// A template that is compiled.
pub(super) struct Template {
    /// As it is stored, with the schema of its variables.
    pub(super) content: TemplateContent,
    messages: Vec<(Role, MessageTemplate)>,
    variables: AnswerChecker,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("content", &self.content).finish_non_exhaustive()
    }
}

/// A content as its client has sent it.
#[derive(Debug, Clone)]
pub(super) enum NewContent {
    /// A schema of answers.
    Schema(Value),
    /// A template.
    Template(Box<TemplateContent>),
}

impl NewContent {
    /// Its kind.
    pub(super) fn kind(&self) -> DefinitionKind {
        match self {
            Self::Schema(_) => DefinitionKind::Schema,
            Self::Template(_) => DefinitionKind::Template,
        }
    }

    /// Parses a stored content.
    pub(super) fn parse(kind: DefinitionKind, json: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            DefinitionKind::Schema => Self::Schema(serde_json::from_str(json)?),
            DefinitionKind::Template => Self::Template(Box::new(serde_json::from_str(json)?)),
        })
    }

    /// Checks and compiles the content, off the async threads.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub(super) async fn check(self) -> Result<Content, ApiError> {
        tokio::task::spawn_blocking(|| self.check_here()).await.map_err(|error| error::internal(&error))?
    }

    /// The same on this thread. It may take seconds.
    ///
    /// # Errors
    /// As [`NewContent::check`].
    pub(super) fn check_here(self) -> Result<Content, ApiError> {
        match self {
            Self::Schema(schema) => check_schema(schema).map(Content::Schema),
            Self::Template(content) => {
                Template::compile(*content).map(|template| Content::Template(Box::new(template)))
            }
        }
    }
}

impl Content {
    /// The content as JSON.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Schema(schema) => schema.clone(),
            Self::Template(template) => json!(template.content),
        }
    }
}

/// Checks a schema of answers, and its examples.
fn check_schema(schema: Value) -> Result<Value, ApiError> {
    let invalid = |problem: String| ApiError::invalid("schema", format!("schema {problem}"));
    check_answer_schema(&schema).map_err(|error| invalid(error.problem))?;
    let checker = AnswerSchema::parse(&schema).and_then(|schema| schema.checker()).map_err(invalid)?;
    let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
    let ends_at = Instant::now() + EXAMPLES_TIMEOUT;
    for (index, example) in examples.take(EXAMPLE_MAX_COUNT).enumerate() {
        if let Some(violation) = checker.check_until(example.clone(), ends_at).errors.into_iter().next() {
            let param = format!("schema.examples[{index}]");
            let message =
                format!("{param} doesn't fit the schema: {}{}", at(&violation.path), violation.reason);
            return Err(ApiError::invalid(param, message));
        }
    }
    Ok(schema)
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl Template {
    /// Checks and compiles a template.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    fn compile(mut content: TemplateContent) -> Result<Self, ApiError> {
        check_messages(&content)?;
        let mut messages = Vec::with_capacity(content.messages.len());
        for (index, message) in content.messages.iter().enumerate() {
            let param = format!("template.messages[{index}].content");
            let compiled = MessageTemplate::compile(&message.content)
                .map_err(|problem| ApiError::invalid(param.clone(), format!("{param} {problem}")))?;
            messages.push((message.role, compiled));
        }
        let used = || {
            messages.iter().enumerate().flat_map(|(index, (_, message))| {
                message.variables.iter().map(move |name| (index, name.as_str()))
            })
        };
        let schema = match content.variables.take() {
            Some(schema) => {
                let declared = check_variables(&schema)?;
                if let Some((index, name)) = used().find(|(_, name)| !declared.contains_key(*name)) {
                    let param = format!("template.messages[{index}].content");
                    let message = format!(
                        "{param} uses the variable {name:?}, which template.variables doesn't have in its properties"
                    );
                    return Err(ApiError::invalid(param, message));
                }
                schema
            }
            None => variables_of(&used().map(|(_, name)| name).collect()),
        };
        let invalid = |problem: String| {
            ApiError::invalid("template.variables", format!("template.variables {problem}"))
        };
        let variables = AnswerSchema::parse(&schema).and_then(|schema| schema.checker()).map_err(invalid)?;
        content.variables = Some(schema);
        let template = Self { content, messages, variables };
        let examples = template.variables_schema().get("examples").and_then(Value::as_array).cloned();
        let ends_at = Instant::now() + EXAMPLES_TIMEOUT;
        for (index, example) in examples.into_iter().flatten().take(EXAMPLE_MAX_COUNT).enumerate() {
            let param = format!("template.variables.examples[{index}]");
            let problem = match example {
                Value::Object(values) => {
                    template.render_until(values, ends_at).err().map(|error| error.message)
                }
                _ => Some("it must be an object".to_owned()),
            };
            if let Some(problem) = problem {
                return Err(ApiError::invalid(
                    param.clone(),
                    format!("{param} can't be rendered: {problem}"),
                ));
            }
        }
        Ok(template)
    }

    /// The schema of the variables.
    pub(super) fn variables_schema(&self) -> &Value {
        self.content.variables.as_ref().unwrap_or(&Value::Null)
    }

    /// Default parameters, as a request has them.
    pub(super) fn sampling(&self) -> Sampling {
        sampling(&self.content.parameters)
    }

    /// Checks the values and renders the messages. It may take seconds of processor time, so it doesn't run on an async thread.
    ///
    /// # Errors
    /// `invalid_request`, naming the variable.
    pub(super) fn render(&self, values: Map<String, Value>) -> Result<Vec<Message>, ApiError> {
        self.render_until(values, Instant::now() + RENDER_TIMEOUT)
    }

    fn render_until(
        &self,
        mut values: Map<String, Value>,
        ends_at: Instant,
    ) -> Result<Vec<Message>, ApiError> {
        self.add_defaults(&mut values);
        self.check_values(&values, ends_at)?;
        let rendered = self.messages.iter().map(|(role, message)| match message.render(&values, ends_at) {
            Ok(text) => Ok(Message::new(*role, text)),
            Err(RenderFailure::Undefined(name)) => {
                let param = format!("variables.{name}");
                let message = format!("{param} is missing: the template uses it, and has no default for it");
                Err(ApiError::invalid(param, message))
            }
            Err(RenderFailure::Problem(problem)) => {
                Err(ApiError::invalid("variables", format!("the template {problem}")))
            }
        });
        rendered.collect()
    }

    /// Adds the defaults of the variables that have no value.
    fn add_defaults(&self, values: &mut Map<String, Value>) {
        let properties = self.variables_schema().get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if let Some(default) = property.get("default").filter(|_| !values.contains_key(name)) {
                values.insert(name.clone(), default.clone());
            }
        }
    }

    fn check_values(&self, values: &Map<String, Value>, ends_at: Instant) -> Result<(), ApiError> {
        let schema = self.variables_schema();
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let is_open = schema.get("patternProperties").is_some()
            || schema.get("additionalProperties").is_some_and(|additional| *additional != Value::Bool(false));
        if let Some(name) = values.keys().find(|name| !is_open && !properties.contains_key(*name)) {
            let shown: String = name.chars().take(100).collect();
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            let message = match names.is_empty() {
                true => format!("variables.{shown} is unknown: the template has no variables"),
                false => format!("variables.{shown} is unknown: the template has {}", names.join(", ")),
            };
            return Err(ApiError::invalid(format!("variables.{shown}"), message));
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        if let Some(name) = required.filter_map(Value::as_str).find(|name| !values.contains_key(*name)) {
            let param = format!("variables.{name}");
            return Err(ApiError::invalid(
                param.clone(),
                format!("{param} is missing: the template requires it"),
            ));
        }
        let text = serde_json::to_string(values).map_err(|error| error::internal(&error))?;
        if text.len() > VALUES_MAX_BYTES {
            let message = format!("variables must have at most {} KiB, as JSON", VALUES_MAX_BYTES >> 10);
            return Err(ApiError::invalid("variables", message));
        }
        match self.variables.check_until(Value::Object(values.clone()), ends_at).errors.into_iter().next() {
            None => Ok(()),
            Some(violation) => {
                let param = format!("variables{}", violation.path.replace('/', "."));
                let message = format!("{param} doesn't fit the template's variables: {}", violation.reason);
                Err(ApiError::invalid(param, message))
            }
        }
    }
}

fn check_messages(content: &TemplateContent) -> Result<(), ApiError> {
    let messages = &content.messages;
    if !(1..=MESSAGE_MAX_COUNT).contains(&messages.len()) {
        let message = format!("template.messages must have 1 to {MESSAGE_MAX_COUNT} messages");
        return Err(ApiError::invalid("template.messages", message));
    }
    if messages.iter().map(|message| message.content.len()).sum::<usize>() > MESSAGES_MAX_BYTES {
        let message =
            format!("template.messages must have at most {} KiB together", MESSAGES_MAX_BYTES >> 10);
        return Err(ApiError::invalid("template.messages", message));
    }
    let mut has_turn = false;
    for (index, message) in messages.iter().enumerate() {
        let param = |field: &str| format!("template.messages[{index}].{field}");
        match message.role {
            Role::System if has_turn => {
                let message = format!("{} must not be system: system messages come first", param("role"));
                return Err(ApiError::invalid(param("role"), message));
            }
            Role::System => {}
            Role::User | Role::Assistant => has_turn = true,
            Role::Tool => {
                let message = format!("{} must be system, user or assistant", param("role"));
                return Err(ApiError::invalid(param("role"), message));
            }
        }
        if message.content.is_empty() {
            let message = format!("{} must not be empty", param("content"));
            return Err(ApiError::invalid(param("content"), message));
        }
    }
    if content.model.as_ref().is_some_and(|model| !(1..=MODEL_MAX_CHARS).contains(&model.chars().count())) {
        let message = format!("template.model must be a name of 1 to {MODEL_MAX_CHARS} characters");
        return Err(ApiError::invalid("template.model", message));
    }
    if let Some(reference) = &content.schema_id
        && let Err(problem) = DefinitionReference::parse(DefinitionKind::Schema, reference)
    {
        return Err(ApiError::invalid("template.schema_id", format!("template.schema_id {problem}")));
    }
    sampling(&content.parameters).check().map_err(|error| {
        let param = format!("template.parameters.{}", error.param);
        ApiError::invalid(param.clone(), format!("{param} must be {}", error.expected))
    })
}

/// Checks the schema of variables, and returns its properties.
fn check_variables(schema: &Value) -> Result<BTreeMap<&str, &Value>, ApiError> {
    let invalid =
        |problem: &str| Err(ApiError::invalid("template.variables", format!("template.variables {problem}")));
    let Some(fields) = schema.as_object() else {
        return invalid("must be a JSON Schema, which is an object");
    };
    if fields.get("type").is_some_and(|kind| kind != "object") {
        return invalid("must have the type object: variables have names");
    }
    if check_answer_schema(schema).is_err() || schema.to_string().len() > VARIABLES_SCHEMA_MAX_BYTES {
        return invalid(&format!("must have at most {} KiB and 64 levels", VARIABLES_SCHEMA_MAX_BYTES >> 10));
    }
    let properties = match fields.get("properties") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(properties)) => properties,
        Some(_) => return invalid("must have properties that are an object"),
    };
    if properties.len() > VARIABLE_MAX_COUNT {
        return invalid(&format!("must have at most {VARIABLE_MAX_COUNT} properties"));
    }
    Ok(properties.iter().map(|(name, property)| (name.as_str(), property)).collect())
}

/// The schema of variables that are all required, and may have any value.
fn variables_of(names: &BTreeSet<&str>) -> Value {
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

fn sampling(parameters: &TemplateParameters) -> Sampling {
    let TemplateParameters {
        temperature,
        top_p,
        top_k,
        min_p,
        repeat_penalty,
        presence_penalty,
        frequency_penalty,
        seed,
        stop,
        max_tokens,
    } = parameters.clone();
    Sampling {
        temperature,
        top_p,
        top_k,
        min_p,
        repeat_penalty,
        presence_penalty,
        frequency_penalty,
        seed,
        stop,
        max_tokens,
        ..Sampling::default()
    }
}

#[cfg(test)]
mod tests;
