//! Items of a conversation: made of the messages of a session or of a stored request, and converted to them.

use std::collections::HashSet;

use hearth_domain::{
    DocumentSource, Message, Opaque, Part, Role, RunId, SessionMessage, SessionMessageId,
    SessionMessageState, ToolCall,
};
use serde_json::{Value, json};

use super::{
    IncludeQuery, InputItem, ItemLayout, OutputItem, OutputPart, OutputText, ReasoningText, RequestInput,
    ResponsesInput,
    custom_tools::custom_input,
    encrypted_content,
    item_id::{self, format_item_id, provider_item},
    item_layout::{AnswerPart, StoredItem},
    tool_names::ClientNames,
};
use crate::{ApiError, content::is_stored};

/// Largest number of items in one request, as at OpenAI.
const ITEMS_MAX_COUNT: usize = 20;

/// Converts the items that a request adds to a conversation.
///
/// # Errors
/// `invalid_request`, naming the field.
pub fn messages_of_items(items: Vec<InputItem>) -> Result<Vec<Message>, ApiError> {
    if items.len() > ITEMS_MAX_COUNT {
        let message = format!("items has at most {ITEMS_MAX_COUNT} items; send several requests");
        return Err(ApiError::invalid("items", message));
    }
    let messages = ResponsesInput::Items(items).into_messages().map_err(in_items)?;
    Ok(messages.into_iter().map(|(_, message)| message).collect())
}

/// Names the field of an error as this request has it: `items[0]` rather than `input[0]`.
fn in_items(error: ApiError) -> ApiError {
    let param = error.param.as_deref().and_then(|param| param.strip_prefix("input"));
    match param.map(|rest| format!("items{rest}")) {
        Some(param) => error.at(param),
        None => error,
    }
}

/// The items of a message. Those of a response have the ids that they have in its `output`.
#[must_use]
pub fn items_of_message(stored: &SessionMessage) -> Vec<Value> {
    let status = match stored.state {
        SessionMessageState::Pending => "in_progress",
        SessionMessageState::Complete => "completed",
        SessionMessageState::Interrupted | SessionMessageState::Failed | SessionMessageState::Cancelled => {
            "incomplete"
        }
    };
    let layout: ItemLayout = serde_json::from_value(stored.layout.clone()).unwrap_or_default();
    let id = stored.id.to_string();
    let base = match stored.run {
        Some(run) => run.to_string(),
        None => id.replacen(SessionMessageId::PREFIX, RunId::PREFIX, 1),
    };
    let listed = Listed {
        message: &stored.message,
        layout: &layout,
        base,
        id: Some(id),
        status,
        names: &ClientNames::default(),
        custom_calls: &HashSet::new(),
        has_encrypted: false,
        has_image_urls: true,
    };
    listed.items()
}

/// The items of a request's input. Their ids are no items' of the run's output.
pub(super) fn request_items(input: RequestInput<'_>, include: &IncludeQuery) -> Vec<Value> {
    let RequestInput { run, messages, earlier_count, render } = input;
    let names = &render.client_names;
    let calls = messages.iter().flat_map(|message| &message.tool_calls);
    let custom_calls = calls.filter(|call| names.get(&call.name).is_some_and(|name| name.custom));
    let custom_calls = custom_calls.map(|call| call.id.as_str()).collect();
    let own = messages.iter().enumerate().skip(earlier_count);
    let items = own.flat_map(|(index, message)| {
        let listed = Listed {
            message,
            layout: &ItemLayout::default(),
            base: format!("{run}_in{}", index - earlier_count),
            id: None,
            status: "completed",
            names,
            custom_calls: &custom_calls,
            has_encrypted: include.has_encrypted_reasoning(),
            has_image_urls: include.has_image_urls(),
        };
        listed.items()
    });
    let mut ids = HashSet::new();
    let with_unique_id = |(index, mut item): (usize, Value)| {
        // The next page follows an id.
        if !ids.insert(item["id"].to_string()) {
            item["id"] = json!(format_item_id("item", &format!("{run}_again"), index));
        }
        item
    };
    items.enumerate().map(with_unique_id).collect()
}

/// A message whose items are listed.
struct Listed<'a> {
    message: &'a Message,
    layout: &'a ItemLayout,
    /// Id of the run in the ids of the items.
    base: String,
    /// Id of the item of a message that is one item, if it isn't made of `base`.
    id: Option<String>,
    status: &'static str,
    /// The client's names of tools.
    names: &'a ClientNames,
    /// Ids of the calls of custom tools.
    custom_calls: &'a HashSet<&'a str>,
    /// True if reasoning has its encrypted content.
    has_encrypted: bool,
    /// True if images have their URLs.
    has_image_urls: bool,
}

impl Listed<'_> {
    fn items(&self) -> Vec<Value> {
        let Self { message, status, .. } = self;
        match message.role {
            Role::Assistant => {
                let items = self.layout.items(message).into_iter().enumerate();
                items.filter_map(|(index, item)| self.answer_item(item, index)).collect()
            }
            Role::Tool => {
                let call_id = message.tool_call_id.as_deref();
                let is_custom = call_id.is_some_and(|id| self.custom_calls.contains(id));
                let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
                let output = if message.is_text_only() { json!(message.content) } else { self.content() };
                vec![json!({
                    "type": kind, "id": self.id_of(item_id::CALL_OUTPUT), "status": status, "call_id": call_id,
                    "output": output,
                })]
            }
            Role::User if message.opaque_parts().next().is_some_and(Opaque::is_item) => {
                let with_id = |(index, opaque): (usize, &Opaque)| {
                    let item = opaque.value.as_object()?;
                    let item = match &self.id {
                        Some(id) => item.clone().into_iter().chain([("id".to_owned(), json!(id))]).collect(),
                        // Another item may name it by its id, such as the answer to a question.
                        None if item.get("id").is_some_and(Value::is_string) => item.clone(),
                        None => provider_item(item, &self.base, index),
                    };
                    Some(Value::Object(item))
                };
                message.opaque_parts().enumerate().filter_map(with_id).collect()
            }
            Role::User | Role::System => vec![json!({
                "type": "message", "id": self.id_of(item_id::MESSAGE), "status": status, "role": message.role,
                "content": self.content(),
            })],
        }
    }

    /// The id of the item of a message that is one item.
    fn id_of(&self, prefix: &str) -> String {
        self.id.clone().unwrap_or_else(|| format_item_id(prefix, &self.base, 0))
    }

    fn content(&self) -> Value {
        self.message.parts().into_iter().map(|part| self.input_part(part)).collect()
    }

    fn input_part(&self, part: Part<'_>) -> Value {
        match part {
            Part::Text(text) => json!({"type": "input_text", "text": text}),
            Part::Image(image) => {
                let detail = image.detail.as_deref().unwrap_or("auto");
                let url = image.url();
                if is_stored(&url) {
                    return json!({"type": "input_image", "file_id": url, "detail": detail});
                }
                let url = Some(url).filter(|_| self.has_image_urls);
                json!({"type": "input_image", "image_url": url, "detail": detail})
            }
            Part::Document(document) => {
                let mut part = json!({"type": "input_file", "filename": document.name});
                if let DocumentSource::Url(url) = &document.source {
                    part[if is_stored(url) { "file_id" } else { "file_url" }] = json!(url);
                }
                part
            }
            Part::Opaque(opaque) => opaque.value.clone(),
        }
    }

    fn answer_item(&self, stored: StoredItem<'_>, index: usize) -> Option<Value> {
        let StoredItem { part, text, annotations, phase } = stored;
        let answer = self.message;
        let (id, status) = (|prefix: &str| format_item_id(prefix, &self.base, index), self.status.to_owned());
        let message = |part| OutputItem::Message {
            id: id(item_id::MESSAGE),
            status: status.clone(),
            role: "assistant".to_owned(),
            content: vec![part],
            phase: phase.map(str::to_owned),
        };
        let item = match part {
            AnswerPart::Text => {
                let (text, annotations) = (text.to_owned(), annotations.to_vec());
                message(OutputPart::Text(OutputText { text, annotations, ..OutputText::default() }))
            }
            AnswerPart::Refusal => message(OutputPart::refusal(text.to_owned())),
            AnswerPart::Reasoning(number) => {
                let block = answer.reasoning.get(number as usize)?;
                let text = Some(block.text.clone()).filter(|text| !text.is_empty());
                let summary = text.map(|text| ReasoningText { kind: "summary_text".to_owned(), text });
                let encrypted_content = encrypted_content::encode(block).filter(|_| self.has_encrypted);
                let (id, summary) = (id(item_id::REASONING), summary.into_iter().collect());
                OutputItem::Reasoning { id, status, summary, content: None, encrypted_content }
            }
            AnswerPart::Call(number) => self.call_item(answer.tool_calls.get(number as usize)?, id, status),
            AnswerPart::Omitted => {
                return Some(json!(provider_item(stored.omitted()?.as_object()?, &self.base, index)));
            }
            AnswerPart::Item(number) => {
                let item = answer.opaque_parts().nth(number as usize)?.value.as_object()?;
                return Some(json!(provider_item(item, &self.base, index)));
            }
        };
        Some(json!(item))
    }

    fn call_item(&self, call: &ToolCall, id: impl Fn(&str) -> String, status: String) -> OutputItem {
        let (call_id, client) = (call.id.clone(), self.names.get(&call.name));
        let name = client.map_or(&call.name, |client| &client.name).clone();
        let namespace = client.and_then(|client| client.namespace.clone());
        if client.is_some_and(|client| client.custom) {
            let (id, input) = (id(item_id::CUSTOM_TOOL_CALL), custom_input(&call.arguments));
            return OutputItem::CustomToolCall { id, status, call_id, name, namespace, input };
        }
        let (id, arguments) = (id(item_id::FUNCTION_CALL), call.arguments.clone());
        OutputItem::FunctionCall { id, status, call_id, name, namespace, arguments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_added_as_messages_and_listed_again() {
        let items = json!([
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            {"role": "assistant", "content": "Hello!"},
        ]);
        let messages = messages_of_items(serde_json::from_value(items).unwrap()).unwrap();
        let items: Vec<_> = messages
            .into_iter()
            .flat_map(|message| items_of_message(&SessionMessage::new(message)))
            .collect();
        let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["message", "function_call", "function_call_output", "message"]);
        assert_eq!(items[0]["content"][0], json!({"type": "input_text", "text": "Hi"}));
        assert_eq!((&items[2]["call_id"], &items[2]["output"]), (&json!("c1"), &json!("seen")));
        assert_eq!(items[3]["content"][0]["text"], "Hello!");
    }

    #[test]
    fn items_of_a_response_have_the_ids_of_its_output() {
        let call = ToolCall { id: "c".into(), name: "look".into(), arguments: "{}".into() };
        let message = Message { tool_calls: vec![call], ..Message::new(Role::Assistant, "I look.") };
        let run = RunId::new();
        let stored = SessionMessage { run: Some(run), ..SessionMessage::new(message) };
        let ids: Vec<_> =
            items_of_message(&stored).iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let stem = run.to_string().replacen("req_", "", 1);
        assert_eq!(ids, [format!("msg_{stem}_0"), format!("fc_{stem}_1")]);
    }

    #[test]
    fn too_many_items_and_a_bad_one_are_refused_by_their_field() {
        let bad = vec![InputItem { kind: Some("message".into()), ..InputItem::default() }];
        assert_eq!(messages_of_items(bad).unwrap_err().param.as_deref(), Some("items[0].role"));
        let many = vec![InputItem::default(); 21];
        assert_eq!(messages_of_items(many).unwrap_err().param.as_deref(), Some("items"));
    }
}
