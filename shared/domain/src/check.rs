//! Validation of tasks, independent of the dialect.

mod template;

use std::collections::HashSet;

use serde_json::Value;

pub use template::{MAX_TEMPLATE_KWARGS_BYTES, MAX_TEMPLATE_KWARGS_DEPTH};

use crate::{EmbeddingInput, EmbeddingTask, Message, ResponseFormat, Role, Task, TextTask, Tool, ToolChoice};

/// Maximum number of answers of a request.
pub const MAX_CHOICES: u32 = 32;
/// Maximum number of likeliest tokens returned for each position.
pub const MAX_TOP_LOGPROBS: u32 = 20;
/// Maximum number of tools of a request. A vendor with a lower limit has it in its rules.
pub const MAX_TOOLS: usize = 2048;
/// Maximum length of a tool's name in bytes. Vendors with a lower limit get a shorter name instead.
pub const MAX_TOOL_NAME: usize = 256;
/// Maximum nesting depth of a JSON Schema.
pub const MAX_SCHEMA_DEPTH: usize = 64;
/// Maximum bytes of a JSON Schema without whitespace: of a tool's arguments, or stored.
pub const MAX_SCHEMA_BYTES: usize = 128 << 10;
/// Maximum bytes of the JSON Schema of a request's answer. The largest schemas of configuration files have a few hundred KiB, most of
/// them descriptions.
pub const MAX_ANSWER_SCHEMA_BYTES: usize = 512 << 10;
/// Maximum number of texts to embed in a request.
pub const MAX_INPUTS: usize = 2048;

/// Field of a task. Each dialect has its own name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The conversation.
    Messages,
    /// Id of the tool call that the message at this index answers.
    ToolCallId(usize),
    /// The sampling parameter of this name.
    Sampling(&'static str),
    /// The form of the answer.
    ResponseFormat,
    /// The JSON Schema of the answer.
    ResponseSchema,
    /// The tools on offer.
    Tools,
    /// The name of the tool at this index.
    ToolName(usize),
    /// The JSON Schema of the arguments of the tool at this index.
    ToolParameters(usize),
    /// Tool choice.
    ToolChoice,
    /// Number of answers.
    Choices,
    /// Number of likeliest tokens to return.
    TopLogprobs,
    /// Values for the model's chat template.
    TemplateKwargs,
    /// Inputs to embed.
    Inputs,
    /// Input at this index.
    Input(usize),
    /// Number of dimensions of a vector.
    Dimensions,
    /// The parameter of this name of an image or a mesh.
    Media(&'static str),
}

/// Invalid task. A dialect puts its own name for the field before the problem, which completes the sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field:?} {problem}")]
pub struct InvalidTask {
    /// The field at fault.
    pub field: Field,
    /// Problem, as the predicate of a sentence about the field.
    pub problem: String,
}

fn invalid(field: Field, problem: impl Into<String>) -> InvalidTask {
    InvalidTask { field, problem: problem.into() }
}

impl Task {
    /// Checks everything that doesn't depend on the model.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn check(&self) -> Result<(), InvalidTask> {
        match self {
            Self::Text(task) => task.check(),
            Self::Embedding(task) => task.check(),
            Self::Image(task) => task.check(),
            Self::Mesh(task) => task.check(),
        }
    }
}

impl TextTask {
    /// Checks everything that doesn't depend on the model.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn check(&self) -> Result<(), InvalidTask> {
        if self.messages.is_empty() {
            return Err(invalid(Field::Messages, "must not be empty"));
        }
        self.check_with_template()
    }

    /// Checks the same for a task whose messages follow on those of a template: it may have none of its own.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn check_with_template(&self) -> Result<(), InvalidTask> {
        check_messages(&self.messages)?;
        self.sampling
            .check()
            .map_err(|e| invalid(Field::Sampling(e.param), format!("must be {}", e.expected)))?;
        if let ResponseFormat::JsonSchema(schema) = &self.response_format {
            check_schema(Field::ResponseSchema, schema, MAX_ANSWER_SCHEMA_BYTES)?;
        }
        check_tools(&self.tools)?;
        check_tool_choice(&self.tool_choice, &self.tools)?;
        if !(1..=MAX_CHOICES).contains(&self.choices) {
            return Err(invalid(Field::Choices, format!("must be 1 to {MAX_CHOICES}")));
        }
        if self.top_logprobs.is_some_and(|n| n > MAX_TOP_LOGPROBS) {
            return Err(invalid(Field::TopLogprobs, format!("must be 0 to {MAX_TOP_LOGPROBS}")));
        }
        template::check_template_kwargs(&self.template_kwargs)
    }
}

impl EmbeddingTask {
    /// Checks everything that doesn't depend on the model.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn check(&self) -> Result<(), InvalidTask> {
        if self.inputs.is_empty() {
            return Err(invalid(Field::Inputs, "must not be empty"));
        }
        if self.inputs.len() > MAX_INPUTS {
            let problem =
                format!("must have at most {MAX_INPUTS} texts; send the others in a request of their own");
            return Err(invalid(Field::Inputs, problem));
        }
        let empty = |input: &EmbeddingInput| match input {
            EmbeddingInput::Text(text) => text.is_empty(),
            EmbeddingInput::Tokens(tokens) => tokens.is_empty(),
        };
        if let Some(index) = self.inputs.iter().position(empty) {
            return Err(invalid(Field::Input(index), "must not be empty; leave it out"));
        }
        if self.dimensions == Some(0) {
            return Err(invalid(Field::Dimensions, "must be at least 1"));
        }
        Ok(())
    }
}

fn check_messages(messages: &[Message]) -> Result<(), InvalidTask> {
    let mut calls = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        calls.extend(message.tool_calls.iter().map(|call| call.id.as_str()));
        if message.role != Role::Tool {
            continue;
        }
        let problem = match &message.tool_call_id {
            None => "is missing: a tool's message needs the id of the call that it answers",
            Some(id) if !calls.contains(id.as_str()) => {
                "names no call of an earlier assistant message; send that message, with its tool_calls, before it"
            }
            Some(_) => continue,
        };
        return Err(invalid(Field::ToolCallId(index), problem));
    }
    Ok(())
}

fn check_tools(tools: &[Tool]) -> Result<(), InvalidTask> {
    if tools.len() > MAX_TOOLS {
        return Err(invalid(Field::Tools, format!("must have at most {MAX_TOOLS} tools")));
    }
    let mut names = HashSet::new();
    for (index, tool) in tools.iter().enumerate() {
        if !is_tool_name(&tool.name) {
            let problem = format!(
                "must be 1 to {MAX_TOOL_NAME} characters out of a-z, A-Z, 0-9, underscore, dot and dash"
            );
            return Err(invalid(Field::ToolName(index), problem));
        }
        if !names.insert(&tool.name) {
            let problem = "is the name of an earlier tool too; give each tool a name of its own";
            return Err(invalid(Field::ToolName(index), problem));
        }
        check_schema(Field::ToolParameters(index), &tool.parameters, MAX_SCHEMA_BYTES)?;
    }
    Ok(())
}

fn is_tool_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=MAX_TOOL_NAME).contains(&name.len()) && name.chars().all(allowed)
}

fn check_tool_choice(choice: &ToolChoice, tools: &[Tool]) -> Result<(), InvalidTask> {
    let problem = match choice {
        ToolChoice::Auto | ToolChoice::None => return Ok(()),
        ToolChoice::Required | ToolChoice::Named(_) if tools.is_empty() => {
            "asks for a call, but there are no tools; send tools, or leave it out"
        }
        ToolChoice::Named(name) if tools.iter().all(|tool| tool.name != *name) => {
            "names a function that is not among the tools; send it in tools, or name another"
        }
        ToolChoice::Required | ToolChoice::Named(_) => return Ok(()),
    };
    Err(invalid(Field::ToolChoice, problem))
}

/// Checks the size of a schema of answers that is to be stored.
///
/// # Errors
/// The problem, of [`Field::ResponseSchema`].
pub fn check_answer_schema(schema: &Value) -> Result<(), InvalidTask> {
    check_schema(Field::ResponseSchema, schema, MAX_SCHEMA_BYTES)
}

/// Checks the size of a schema. Compiling it into a grammar recurses as deep as the schema is nested, so deep schemas
/// are rejected first.
fn check_schema(field: Field, schema: &Value, max_bytes: usize) -> Result<(), InvalidTask> {
    if !schema.is_object() {
        return Err(invalid(field, "must be a JSON Schema, which is an object"));
    }
    if is_deeper_than(MAX_SCHEMA_DEPTH, schema) {
        return Err(invalid(field, format!("must be nested at most {MAX_SCHEMA_DEPTH} levels deep")));
    }
    if schema.to_string().len() > max_bytes {
        return Err(invalid(field, format!("must have at most {} KiB", max_bytes >> 10)));
    }
    Ok(())
}

/// Returns whether objects and lists are nested deeper than `most` levels. It doesn't recurse, since it protects code
/// that does.
fn is_deeper_than(most: usize, value: &Value) -> bool {
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(_) | Value::Object(_) if depth > most => return true,
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|field| (field, depth + 1))),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests;
