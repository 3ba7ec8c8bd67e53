//! Items of a conversation: made of the messages of a session, and converted to them.

use hearth_domain::{
    Message, Opaque, Part, Role, RunId, SessionMessage, SessionMessageId, SessionMessageState,
};
use serde_json::{Value, json};

use super::{
    InputItem, ItemLayout, OutputItem, OutputPart, OutputText, ReasoningText, ResponsesInput, item_id,
    item_id::{format_item_id, provider_item},
    item_layout::AnswerPart,
    item_layout::StoredItem,
};
use crate::ApiError;

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
    let (id, message) = (stored.id.to_string(), &stored.message);
    match message.role {
        Role::Assistant => items_of_answer(stored, status),
        Role::Tool => vec![json!({
            "type": "function_call_output", "id": id, "status": status,
            "call_id": message.tool_call_id, "output": message.content,
        })],
        Role::User if message.opaque_parts().next().is_some_and(Opaque::is_item) => {
            let with_id = |opaque: &Opaque| {
                let mut item = opaque.value.clone();
                item["id"] = json!(id);
                item
            };
            message.opaque_parts().map(with_id).collect()
        }
        Role::User | Role::System => vec![json!({
            "type": "message", "id": id, "status": status, "role": message.role,
            "content": message.parts().into_iter().map(input_part).collect::<Vec<_>>(),
        })],
    }
}

fn input_part(part: Part<'_>) -> Value {
    match part {
        Part::Text(text) => json!({"type": "input_text", "text": text}),
        Part::Image(image) => {
            let detail = image.detail.as_deref().unwrap_or("auto");
            json!({"type": "input_image", "image_url": image.url(), "detail": detail})
        }
        Part::Document(document) => json!({"type": "input_file", "filename": document.name}),
        Part::Opaque(opaque) => opaque.value.clone(),
    }
}

fn items_of_answer(stored: &SessionMessage, status: &str) -> Vec<Value> {
    let layout: ItemLayout = serde_json::from_value(stored.layout.clone()).unwrap_or_default();
    let base = match stored.run {
        Some(run) => run.to_string(),
        None => stored.id.to_string().replacen(SessionMessageId::PREFIX, RunId::PREFIX, 1),
    };
    let items = layout.items(&stored.message).into_iter().enumerate();
    items.filter_map(|(index, item)| answer_item(&stored.message, item, &base, index, status)).collect()
}

fn answer_item(
    answer: &Message,
    stored: StoredItem<'_>,
    base: &str,
    index: usize,
    status: &str,
) -> Option<Value> {
    let StoredItem { part, text, annotations } = stored;
    let (id, status) = (|prefix| format_item_id(prefix, base, index), status.to_owned());
    let message = |part| OutputItem::Message {
        id: id(item_id::MESSAGE),
        status: status.clone(),
        role: "assistant".to_owned(),
        content: vec![part],
    };
    let item = match part {
        AnswerPart::Text => {
            let (text, annotations) = (text.to_owned(), annotations.to_vec());
            message(OutputPart::Text(OutputText { text, annotations, ..OutputText::default() }))
        }
        AnswerPart::Refusal => message(OutputPart::refusal(text.to_owned())),
        AnswerPart::Reasoning(number) => {
            let block = answer.reasoning.get(number as usize)?;
            let summary = ReasoningText { kind: "summary_text".to_owned(), text: block.text.clone() };
            let id = id(item_id::REASONING);
            OutputItem::Reasoning {
                id,
                status,
                summary: vec![summary],
                content: None,
                encrypted_content: None,
            }
        }
        AnswerPart::Call(number) => {
            let call = answer.tool_calls.get(number as usize)?.clone();
            let (call_id, name, arguments) = (call.id, call.name, call.arguments);
            let id = id(item_id::FUNCTION_CALL);
            OutputItem::FunctionCall { id, status, call_id, name, namespace: None, arguments }
        }
        AnswerPart::Omitted => {
            return Some(json!(provider_item(stored.omitted()?.as_object()?, base, index)));
        }
        AnswerPart::Item(number) => {
            let item = answer.opaque_parts().nth(number as usize)?.value.as_object()?;
            return Some(json!(provider_item(item, base, index)));
        }
    };
    Some(json!(item))
}

#[cfg(test)]
mod tests {
    use hearth_domain::ToolCall;

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
