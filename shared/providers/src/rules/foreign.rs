//! What only the client's dialect has words for, where the provider speaks another, or is a node.
//!
//! It is left out where the answer can do without it: a tool that the provider would run itself, if the model need not
//! call it, and the traces of such tools in the model's own turns. Everything else is refused with its place in the
//! request.

use hearth_domain::{
    AttachmentContent, ClientDialect, DocumentSource, Field, Generation, Message, Part, Role, Task, TextTask,
};
use hearth_wire::{ApiError, field_name};
use serde_json::Value;

use super::{Rules, draft::Draft};
use crate::{Call, config::LOCAL, dialect::hosted};

/// Fields of a request, with their paths, that change what is answered, by the client's dialect; a provider of another has no words for
/// them. Other unknown fields are wishes, and are left out.
const MEANINGFUL: &[(ClientDialect, &str)] = &[
    // Servers whose tools Anthropic calls (<https://platform.claude.com/docs/en/agents-and-tools/mcp-connector>).
    (ClientDialect::Anthropic, "mcp_servers"),
    // A machine with files and skills (<https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool>).
    (ClientDialect::Anthropic, "container"),
    // An answer that is spoken (<https://platform.openai.com/docs/guides/audio>).
    (ClientDialect::OpenAiChat, "audio"),
    // A prompt that Google keeps (<https://ai.google.dev/gemini-api/docs/caching>).
    (ClientDialect::Gemini, "cachedContent"),
    // An answer that is one of some words (<https://ai.google.dev/gemini-api/docs/structured-output>).
    (ClientDialect::Gemini, "generationConfig.responseMimeType"),
];

pub(super) fn apply(is_same_dialect: bool, rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    if !is_same_dialect {
        refuse_fields(draft.generation, draft.provider)?;
        refuse_parts(draft.task(), draft.generation, draft.provider)?;
        hosted::refuse(&draft.generation.extra.hosted)?;
        if draft.task().messages.iter().any(|message| message.opaque_parts().next().is_some()) {
            leave_out(&mut draft.edit().messages);
        }
    }
    documents(rules, draft)
}

/// A task as a node takes it: text alone, and nothing of a client's dialect.
///
/// # Errors
/// `invalid_request`, with the client's name of the field, for what no node can do.
pub(crate) fn local_task(call: &Call) -> Result<Task, ApiError> {
    let Task::Text(task) = &call.generation.task else { return Ok(call.generation.task.clone()) };
    refuse_fields(&call.generation, LOCAL)?;
    refuse_parts(task, &call.generation, LOCAL)?;
    hosted::refuse(&call.generation.extra.hosted)?;
    let mut task = task.clone();
    leave_out(&mut task.messages);
    task.tool_extra.clear();
    for message in &mut task.messages {
        message.extra.clear();
        if !inline_documents(message) {
            let param = field_name(call.generation.extra.dialect, Field::Messages);
            let text = "a local model reads no documents; send their text, or ask a model that reads them";
            return Err(ApiError::invalid(param, text));
        }
    }
    Ok(Task::Text(task))
}

fn refuse_fields(generation: &Generation, provider: &str) -> Result<(), ApiError> {
    let extra = &generation.extra;
    let is_said = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let mut asked = MEANINGFUL.iter().filter(|(dialect, _)| *dialect == extra.dialect);
    let field = |path: &str| {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let value = extra.fields.get(first)?;
        rest.split('.').filter(|name| !name.is_empty()).try_fold(value, |value, name| value.get(name))
    };
    match asked.find(|(_, name)| field(name).is_some_and(is_said)) {
        Some((_, name)) => Err(not_in_its_dialect(name, provider)),
        None => Ok(()),
    }
}

/// What the user, a tool or an instruction shows is what the question is about.
fn refuse_parts(task: &TextTask, generation: &Generation, provider: &str) -> Result<(), ApiError> {
    let messages = task.messages.iter().filter(|message| message.role != Role::Assistant);
    match messages.flat_map(Message::opaque_parts).next() {
        // Gemini's parts have no type: the place of one has its name.
        Some(part) if generation.extra.dialect == ClientDialect::Gemini => {
            Err(not_in_its_dialect(&part.param, provider))
        }
        Some(part) => Err(not_in_its_dialect(&format!("{}.type", part.param), provider)),
        None => Ok(()),
    }
}

fn not_in_its_dialect(param: &str, provider: &str) -> ApiError {
    let message = format!(
        "{param} has a meaning in the request's dialect alone, and the provider {provider} speaks another; leave it out, \
         or ask a provider of this dialect"
    );
    ApiError::invalid(param, message).with("provider", provider)
}

fn leave_out(messages: &mut Vec<Message>) {
    messages.retain_mut(|message| {
        if message.opaque_parts().next().is_none() {
            return true;
        }
        message.attachments.retain(|attached| !matches!(attached.content, AttachmentContent::Opaque(_)));
        // Its parts are counted anew. A turn that was nothing else says nothing now.
        message.extra.clear();
        !message.parts().is_empty() || !message.tool_calls.is_empty() || !message.reasoning.is_empty()
    });
}

/// Documents that the provider does not read.
fn documents(rules: &Rules, draft: &mut Draft<'_>) -> Result<(), ApiError> {
    let refused = draft.task().messages.iter().flat_map(Message::documents).find_map(|document| {
        match &document.source {
            DocumentSource::Text(_) => None,
            DocumentSource::Url(_) => {
                rules.documents.urls.map(|source| ("a document by its address", source))
            }
            DocumentSource::Data { media_type, .. } if rules.documents.takes(media_type) => None,
            DocumentSource::Data { .. } => Some(("a document of this kind", rules.documents.source)),
        }
    });
    match refused {
        Some((what, source)) => {
            let problem =
                format!("has {what}, which is not read here; send its text, or images of its pages");
            Err(draft.refuse(Field::Messages, &problem, source))
        }
        None => Ok(()),
    }
}

/// Puts the texts of documents into the message's own; whether there is no other document.
fn inline_documents(message: &mut Message) -> bool {
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
