//! Removes or refuses fields and parts that only the client's dialect has, for a provider of another dialect or a node.
//!
//! They are removed if the answer doesn't depend on them: a tool that the provider would run itself, if the model need not
//! call it, and the traces of such tools in the model's turns. Everything else is refused with its place in the request.

use hearth_domain::{
    AttachmentContent, ClientDialect, DocumentSource, Field, Generation, Message, Opaque, Part, Role, Task,
    TextTask,
};
use hearth_wire::{ApiError, ErrorCode, field_name, openai::responses};
use serde_json::Value;

use super::{draft::Draft, rule::Rules};
use crate::{config::LOCAL, dialect::hosted, provider::Call};

/// Fields without which the answer would be another one, as paths, with their dialects. Other unknown fields are
/// preferences, and are removed.
const MEANINGFUL: &[(ClientDialect, &str)] = &[
    // MCP servers whose tools Anthropic calls (<https://platform.claude.com/docs/en/agents-and-tools/mcp-connector>).
    (ClientDialect::Anthropic, "mcp_servers"),
    // A sandbox with files and skills (<https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool>).
    (ClientDialect::Anthropic, "container"),
    // A spoken answer (<https://platform.openai.com/docs/guides/audio>).
    (ClientDialect::OpenAiChat, "audio"),
    // A prompt that is stored at Google (<https://ai.google.dev/gemini-api/docs/caching>).
    (ClientDialect::Gemini, "cachedContent"),
    // An answer out of an enumeration (<https://ai.google.dev/gemini-api/docs/structured-output>).
    (ClientDialect::Gemini, "generationConfig.responseMimeType"),
];

/// The document in the error for one by URL.
const BY_URL: &str = "a document by URL";
/// The media type that a provider supports if it reads files at all.
const PDF: &str = "application/pdf";

pub(super) fn apply(is_same_dialect: bool, rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    if !is_same_dialect {
        refuse_fields(draft.generation, draft.provider)?;
        refuse_parts(draft.task(), draft.generation, draft.provider)?;
        hosted::reject_required(&draft.generation.extra.hosted)?;
        if draft.task().messages.iter().any(|message| message.opaque_parts().next().is_some()) {
            remove_opaque_parts(&mut draft.edit().messages);
        }
    }
    documents(rules, draft)
}

/// Returns a task for a node: without documents, and without fields and parts of the client's dialect.
///
/// # Errors
/// `invalid_request`, with the client's name of the field, for fields that no node supports.
pub(crate) fn local_task(call: &Call) -> Result<Task, ApiError> {
    let Task::Text(task) = &call.generation.task else { return Ok(call.generation.task.clone()) };
    refuse_fields(&call.generation, LOCAL)?;
    refuse_parts(task, &call.generation, LOCAL)?;
    hosted::reject_required(&call.generation.extra.hosted)?;
    let mut task = task.clone();
    remove_opaque_parts(&mut task.messages);
    task.tool_extra.clear();
    for message in &mut task.messages {
        message.extra.clear();
        if !inline_text_documents(message) {
            let param = field_name(call.generation.extra.dialect, Field::Messages);
            let text = "a local model reads no documents; send their text, or ask a model that reads them";
            return Err(ApiError::invalid(param, text));
        }
    }
    Ok(Task::Text(task))
}

fn refuse_fields(generation: &Generation, provider: &str) -> Result<(), ApiError> {
    let extra = &generation.extra;
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let mut paths = MEANINGFUL.iter().filter(|(dialect, _)| *dialect == extra.dialect);
    let field = |path: &str| {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let value = extra.fields.get(first)?;
        rest.split('.').filter(|name| !name.is_empty()).try_fold(value, |value, name| value.get(name))
    };
    match paths.find(|(_, path)| field(path).is_some_and(is_set)) {
        Some((_, path)) => Err(foreign_field(path, provider)),
        None => Ok(()),
    }
}

/// Refuses parts of the user, a tool or an instruction: the question is about them. Refuses also items of a stored answer, unless
/// they are traces of tools that the provider ran.
fn refuse_parts(task: &TextTask, generation: &Generation, provider: &str) -> Result<(), ApiError> {
    let client = generation.extra.dialect;
    let parts =
        task.messages.iter().flat_map(|message| message.opaque_parts().map(move |part| (message.role, part)));
    let mut refused = parts.filter(|(role, part)| match role {
        // A native request can't leave out a part of its conversation.
        Role::Assistant if client == ClientDialect::Native => false,
        Role::Assistant => responses::is_needed_answer_item(part),
        Role::System | Role::User | Role::Tool => true,
    });
    match refused.next() {
        Some((_, part)) => Err(refused_part(part, client, provider)),
        None => Ok(()),
    }
}

fn refused_part(part: &Opaque, client: ClientDialect, provider: &str) -> ApiError {
    if let Some(field) = responses::stored_field(part) {
        return foreign_stored_part(part, field, client, provider);
    }
    if let Some(path) = file_id_path(&part.value) {
        return foreign_file(&format!("{}.{path}", part.param), provider);
    }
    match responses::quoted_kind(part).filter(|_| client != ClientDialect::Gemini) {
        Some(kind) => {
            let error = foreign_field(&format!("{} of type {kind}", part.param), provider);
            error.at(format!("{}.type", part.param))
        }
        // Gemini's parts have no type: their place has the name.
        None if client == ClientDialect::Gemini => foreign_field(&part.param, provider),
        None => foreign_field(&format!("{}.type", part.param), provider),
    }
}

fn foreign_field(param: &str, provider: &str) -> ApiError {
    let other = other_dialect(provider);
    let message = format!(
        "{param} exists in the request's dialect only, and {other}; leave it out, or name a model of a provider of this dialect"
    );
    ApiError::invalid(param, message).with("provider", provider)
}

/// The error for a part of the stored conversation that the request continues by `field`.
fn foreign_stored_part(part: &Opaque, field: &str, client: ClientDialect, provider: &str) -> ApiError {
    let part = responses::describe_stored_part(part);
    let only = format!("the conversation has {part}, which exists in the dialect of OpenAI's responses only");
    let error = match client {
        ClientDialect::OpenAiResponses => {
            let other = other_dialect(provider);
            let advice = "name a model of a provider of this dialect, or send the conversation without it";
            ApiError::invalid(field, format!("{only}, and {other}; {advice}"))
        }
        // A native request has neither field.
        _ => {
            let advice = "continue it by POST /v1/responses with conversation, or delete the message";
            ApiError::new(ErrorCode::InvalidRequest, format!("{only}; {advice}"))
        }
    };
    error.with("provider", provider)
}

fn other_dialect(provider: &str) -> String {
    match provider {
        LOCAL => "a local model has none".to_owned(),
        _ => format!("the provider {provider} has another one"),
    }
}

/// The place of a file's id in a part of OpenAI's or Anthropic's dialect that names a file in place of its content. The id is none
/// of this gateway's: such a part isn't opaque.
fn file_id_path(part: &Value) -> Option<&'static str> {
    let (pointer, path) = match part["type"].as_str()? {
        "input_file" | "input_image" => ("/file_id", "file_id"),
        "file" => ("/file/file_id", "file.file_id"),
        "document" | "image" => ("/source/file_id", "source.file_id"),
        _ => return None,
    };
    part.pointer(pointer)?.is_string().then_some(path)
}

fn foreign_file(param: &str, provider: &str) -> ApiError {
    let reader = match provider {
        LOCAL => "a local model".to_owned(),
        _ => format!("the provider {provider}"),
    };
    let message = format!(
        "{param} isn't the id of a file of this gateway, and {reader} can't read files of other servers; send the file's \
         content, or upload it by POST /v1/files and send the id that it gets there"
    );
    ApiError::invalid(param, message).with("provider", provider)
}

fn remove_opaque_parts(messages: &mut Vec<Message>) {
    messages.retain_mut(|message| {
        if message.opaque_parts().next().is_none() {
            return true;
        }
        message.attachments.retain(|attached| !matches!(attached.content, AttachmentContent::Opaque(_)));
        // The numbers of the parts have changed. A turn without other parts is removed.
        message.extra.clear();
        !message.parts().is_empty() || !message.tool_calls.is_empty() || !message.reasoning.is_empty()
    });
    join_reasoning(messages);
}

/// Joins turns that have reasoning alone with the assistant's turn behind them: providers refuse an empty turn.
fn join_reasoning(messages: &mut Vec<Message>) {
    let is_reasoning = |message: &Message| {
        message.role == Role::Assistant && message.parts().is_empty() && message.tool_calls.is_empty()
    };
    for index in (1..messages.len()).rev() {
        if messages[index].role == Role::Assistant && is_reasoning(&messages[index - 1]) {
            let earlier = messages.remove(index - 1).reasoning;
            messages[index - 1].reasoning.splice(0..0, earlier);
        }
    }
}

/// Refuses documents that the provider doesn't support.
fn documents(rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    let refused = draft.task().messages.iter().flat_map(Message::documents).find_map(|document| {
        match &document.source {
            DocumentSource::Text(_) => None,
            DocumentSource::Url(_) => rules.documents.urls.map(|source| (BY_URL, source)),
            DocumentSource::Data { media_type, .. } if rules.documents.supports(media_type) => None,
            DocumentSource::Data { .. } => Some(("a document of this media type", rules.documents.source)),
        }
    });
    match refused {
        Some((document, source)) => {
            let is_url = document == BY_URL;
            let encoded = if is_url && rules.documents.supports(PDF) { "the file in base64, " } else { "" };
            let problem = format!(
                "has {document}, which isn't supported; send {encoded}its text, or images of its pages"
            );
            Err(draft.refuse(Field::Messages, &problem, source))
        }
        None => Ok(()),
    }
}

/// Moves the texts of documents into the message's text. Returns false if there are other documents.
fn inline_text_documents(message: &mut Message) -> bool {
    if message.documents().next().is_none() {
        message.attachments.clear();
        return true;
    }
    if message.documents().any(|document| !matches!(document.source, DocumentSource::Text(_))) {
        return false;
    }
    let texts = message.parts().into_iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.to_owned()),
        Part::Document(document) => document.text(),
        Part::Image(_) | Part::Opaque(_) => None,
    });
    message.content = texts.collect::<Vec<_>>().join("\n\n");
    message.attachments.clear();
    true
}
