//! Names of the parts of a stored conversation that only a provider of this dialect gets, for errors: the fields in which they
//! came are those of earlier requests.

use hearth_domain::{AttachmentContent, Message, Opaque};

use super::{is_hosted_item, item_id::ItemId};

/// Field of a request that names the response whose conversation it continues.
pub const PREVIOUS_RESPONSE: &str = "previous_response_id";
/// Field of a request that names the conversation that it continues; a response repeats it.
pub const CONVERSATION: &str = "conversation";
const FIELDS: [&str; 2] = [PREVIOUS_RESPONSE, CONVERSATION];
/// Field of a part of a stored answer.
pub(super) const ANSWER: &str = "output";
/// Longest name that an error quotes.
const NAME_MAX_BYTES: usize = 100;

/// Names the parts by the field `field` of the request that continues their conversation: [`PREVIOUS_RESPONSE`] or
/// [`CONVERSATION`].
pub fn name_stored_parts(messages: &mut [Message], field: &str) {
    let attachments = messages.iter_mut().flat_map(|message| &mut message.attachments);
    for attachment in attachments {
        if let AttachmentContent::Opaque(part) = &mut attachment.content {
            part.param = format!("{field}.{}", own_param(&part.param));
        }
    }
}

/// Returns the request's field that names the conversation of a part; `None` for a part of the request itself.
#[must_use]
pub fn stored_field(part: &Opaque) -> Option<&'static str> {
    FIELDS.into_iter().find(|field| part.param.strip_prefix(field).is_some_and(|rest| rest.starts_with('.')))
}

/// Returns whether a part of an answer is an item that another provider must not miss. A request's own items of such a type
/// are messages of the user.
#[must_use]
pub fn is_needed_answer_item(part: &Opaque) -> bool {
    own_param(&part.param) == ANSWER && !part.value["type"].as_str().is_some_and(is_hosted_item)
}

/// Describes a part for an error: its type, and the response that it is an item of.
#[must_use]
pub fn describe_stored_part(part: &Opaque) -> String {
    let text = |name: &str| part.value[name].as_str().filter(|text| is_name(text));
    let kind = text("type").map(|kind| format!(" of type \"{kind}\"")).unwrap_or_default();
    let id = text("id").map(|id| format!(" {id}")).unwrap_or_default();
    match text("id").and_then(ItemId::parse) {
        Some(ItemId { run, .. }) => format!("the item{id}{kind} of the response {run}"),
        None => format!("an earlier item{id}{kind}"),
    }
}

/// Returns the type of a part in quotation marks, if an error may quote it.
#[must_use]
pub fn quoted_kind(part: &Opaque) -> Option<String> {
    part.value["type"].as_str().filter(|kind| is_name(kind)).map(|kind| format!("\"{kind}\""))
}

/// The field in the request that the part came with.
fn own_param(param: &str) -> &str {
    let without = |field: &&str| param.strip_prefix(*field)?.strip_prefix('.');
    FIELDS.iter().find_map(without).unwrap_or(param)
}

/// Returns whether a text is a name rather than a client's prose.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !text.is_empty() && text.len() <= NAME_MAX_BYTES && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Attachment, Role, RunId};
    use serde_json::{Value, json};

    use super::*;
    use crate::openai::responses::item_id::format_item_id;

    fn message(param: &str, value: Value) -> Message {
        let content = AttachmentContent::Opaque(Opaque { param: param.into(), value });
        let attachments = vec![Attachment { at: 0, images_before: 0, content }];
        Message { attachments, ..Message::new(Role::Assistant, "") }
    }

    #[test]
    fn part_is_named_by_the_request_that_continues_it() {
        let mut messages = [message("input[1].content[0]", json!({})), message("output", json!({}))];
        let params = |messages: &[Message]| {
            let parts = messages.iter().flat_map(Message::opaque_parts);
            parts.map(|part| part.param.clone()).collect::<Vec<_>>()
        };
        name_stored_parts(&mut messages, "previous_response_id");
        name_stored_parts(&mut messages, "conversation");
        assert_eq!(params(&messages), ["conversation.input[1].content[0]", "conversation.output"]);
        let parts: Vec<_> = messages.iter().flat_map(Message::opaque_parts).collect();
        assert_eq!(stored_field(parts[0]), Some("conversation"));
        assert!(!parts[0].is_item() && parts[1].is_item());
        let own = message("input[1]", json!({}));
        assert_eq!(stored_field(own.opaque_parts().next().unwrap()), None);
    }

    #[test]
    fn item_of_an_answer_is_needed_unless_the_provider_ran_its_tool() {
        let is_needed = |param: &str, kind: &str| {
            let message = message(param, json!({"type": kind}));
            message.opaque_parts().all(is_needed_answer_item)
        };
        assert!(is_needed("output", "computer_call"));
        assert!(is_needed("conversation.output", "compaction"));
        assert!(!is_needed("output", "web_search_call"));
        assert!(!is_needed("messages[1].content[0]", "server_tool_use"));
    }

    #[test]
    fn part_is_described_by_its_response_and_type() {
        let run = RunId::new();
        let id = format_item_id("cu", &run.to_string(), 1);
        let describe = |value: Value| {
            message("output", value).opaque_parts().map(describe_stored_part).collect::<String>()
        };
        assert_eq!(
            describe(json!({"type": "computer_call", "id": id})),
            format!("the item {id} of type \"computer_call\" of the response {run}")
        );
        assert_eq!(describe(json!({"type": "compaction"})), "an earlier item of type \"compaction\"");
        assert_eq!(describe(json!({"type": "any text\n", "id": "a b"})), "an earlier item");
    }
}
