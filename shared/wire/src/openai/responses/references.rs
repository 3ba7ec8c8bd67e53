//! A client names an item of a stored response by its id ([`item_id`](super::item_id)) instead of sending it: by an
//! `item_reference`, or by an item of its type without content, as an earlier picture is named, or reasoning that the client read
//! without its encrypted content.

use std::collections::HashSet;

use hearth_domain::{Message, RunId};
use serde::Deserialize as _;
use serde_json::Value;

use super::{
    InputItem, ItemContent, ItemLayout, ItemPart, ItemRole, ResponsesInput, ResponsesRequest,
    encrypted_content, is_hosted_item,
    item_id::{self, ItemId},
    item_layout::{AnswerPart, StoredItem},
    text_fields::text_fields,
};
use crate::{ApiError, ErrorCode};

/// Largest number of responses whose items one request refers to.
const RESPONSES_MAX_COUNT: usize = 256;

/// A reference to an item of a stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReference {
    /// Run whose output contains the item.
    pub run: RunId,
    /// Index of the reference in the request's input.
    input_index: usize,
    id: ItemId,
    /// Type of the item; of any type if `None`.
    kind: Option<String>,
    /// True if the request is valid without the item.
    is_optional: bool,
}

impl ResponsesRequest {
    /// The references in the input. Each must be [resolved](Self::resolve_reference) before the request is converted.
    ///
    /// # Errors
    /// `not_found`, naming the field, for an id that is not an item's; `invalid_request` if they are of too many responses.
    pub fn item_references(&self) -> Result<Vec<ItemReference>, ApiError> {
        let Some(ResponsesInput::Items(items)) = &self.input else { return Ok(Vec::new()) };
        let references = items.iter().enumerate();
        let references = references.filter_map(|(index, item)| ItemReference::of(index, item).transpose());
        let mut references: Vec<ItemReference> = references.collect::<Result<_, _>>()?;
        let needed = references.iter().filter(|reference| !reference.is_optional);
        let mut responses: HashSet<RunId> = needed.map(|reference| reference.run).collect();
        if responses.len() > RESPONSES_MAX_COUNT {
            let message = format!(
                "items of at most {RESPONSES_MAX_COUNT} responses can be named by their ids; send the items themselves, or \
                 continue by previous_response_id"
            );
            return Err(ApiError::invalid("input", message));
        }
        // Models don't read reasoning before the user's last message.
        let is_user = |item: &InputItem| item.role == Some(ItemRole::User);
        let last_question = items.iter().rposition(is_user);
        references.retain(|reference| {
            !reference.is_optional
                || last_question.is_none_or(|last| reference.input_index > last)
                    && (responses.contains(&reference.run)
                        || responses.len() < RESPONSES_MAX_COUNT && responses.insert(reference.run))
        });
        Ok(references)
    }

    /// Replaces a reference by its item. `answer` is the stored answer of the reference's run, and `layout` the order of
    /// its items. One of a hosted tool that was too large to be stored adds nothing, as with `previous_response_id`.
    ///
    /// # Errors
    /// `not_found`, naming the field, if the run has no such item, or if another item was too large.
    pub fn resolve_reference(
        &mut self,
        reference: &ItemReference,
        answer: &Message,
        layout: &ItemLayout,
    ) -> Result<(), ApiError> {
        let stored = layout.items(answer).get(reference.id.index).copied();
        let resolved = match stored.and_then(|stored| stored.omitted()) {
            Some(item) => Some(left_out_item(item).ok_or_else(|| reference.stored_without_content())?),
            None => stored.and_then(|stored| input_item(answer, stored)),
        };
        let prefix = reference.id.prefix.as_str();
        let resolved = resolved.filter(|(prefixes, item)| {
            // An item of the provider has its own prefix.
            let own = item.id.as_deref().and_then(|id| id.split_once('_'));
            let has_prefix = prefixes.contains(&prefix)
                || prefixes.is_empty() && own.is_some_and(|(own, _)| own == prefix);
            let is_named = |kind: &str| item.has_no_effect() || item.kind.as_deref() == Some(kind);
            has_prefix && reference.kind.as_deref().is_none_or(is_named)
        });
        if let (Some((_, resolved)), Some(ResponsesInput::Items(items))) = (resolved, &mut self.input)
            && let Some(item) = items.get_mut(reference.input_index)
        {
            *item = resolved;
            return Ok(());
        }
        if reference.is_optional { Ok(()) } else { Err(reference.not_found()) }
    }
}

impl ItemReference {
    /// Returns the reference that an item is; `None` if it has its content.
    fn of(input_index: usize, item: &InputItem) -> Result<Option<Self>, ApiError> {
        let is_reference = item.kind.as_deref() == Some("item_reference");
        let is_optional = item.is_bare_reasoning();
        if !is_reference && !is_optional && !item.lacks_content() {
            return Ok(None);
        }
        let Some(id) = item.id.as_deref().and_then(ItemId::parse) else {
            return if is_reference { Err(item_not_found(input_index)) } else { Ok(None) };
        };
        let kind = item.kind.clone().filter(|_| !is_reference);
        Ok(Some(Self { run: id.run, input_index, id, kind, is_optional }))
    }

    /// Returns whether the request is valid without the item: reasoning has its summary at least.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// The error for an item that isn't stored.
    #[must_use]
    pub fn not_found(&self) -> ApiError {
        item_not_found(self.input_index)
    }

    /// The error for an item that was too large to be stored.
    fn stored_without_content(&self) -> ApiError {
        let message = "this item was too large to be stored; send the item itself";
        ApiError::new(ErrorCode::NotFound, message).at(format!("input[{}].id", self.input_index))
    }
}

/// Converts an item that was too large to be stored to an input item that adds nothing; `None` if the next request needs it.
fn left_out_item(item: &Value) -> Option<(&'static [&'static str], InputItem)> {
    let text = |name: &str| item[name].as_str().map(str::to_owned);
    let is_hosted = text("type").is_some_and(|kind| is_hosted_item(&kind));
    is_hosted.then(|| (&[] as &[_], InputItem { id: text("id"), ..InputItem::without_effect() }))
}

fn item_not_found(input_index: usize) -> ApiError {
    let message = "there is no stored item with this id; send the item itself";
    ApiError::new(ErrorCode::NotFound, message).at(format!("input[{input_index}].id"))
}

/// Converts a stored item to an input item. Also returns the prefixes that its id may have; none of an item of the provider,
/// which has its id.
fn input_item(
    answer: &Message,
    StoredItem { part, text, annotations, phase }: StoredItem<'_>,
) -> Option<(&'static [&'static str], InputItem)> {
    let of_kind = |kind: &str| InputItem { kind: Some(kind.to_owned()), ..InputItem::default() };
    Some(match part {
        AnswerPart::Text | AnswerPart::Refusal => {
            let (role, extra) = (Some(ItemRole::Assistant), text_fields(&[], phase));
            let content = if annotations.is_empty() {
                ItemContent::Text(text.to_owned())
            } else {
                let (kind, text) = ("output_text".to_owned(), Some(text.to_owned()));
                let extra = text_fields(annotations, None);
                ItemContent::Parts(vec![ItemPart { kind, text, extra, ..ItemPart::default() }])
            };
            let content = Some(content);
            (&[item_id::MESSAGE], InputItem { role, content, extra, ..of_kind("message") })
        }
        AnswerPart::Reasoning(number) => {
            let block = answer.reasoning.get(number as usize)?;
            let text = Some(block.text.clone()).filter(|text| !text.is_empty());
            let part =
                |text| ItemPart { kind: "summary_text".to_owned(), text: Some(text), ..ItemPart::default() };
            let summary = Some(text.into_iter().map(part).collect());
            let encrypted_content = encrypted_content::encode(block);
            (&[item_id::REASONING], InputItem { summary, encrypted_content, ..of_kind("reasoning") })
        }
        AnswerPart::Call(number) => {
            let call = answer.tool_calls.get(number as usize)?;
            let (call_id, name) = (Some(call.id.clone()), Some(call.name.clone()));
            let arguments = Some(call.arguments.clone().into());
            (
                &[item_id::FUNCTION_CALL, item_id::CUSTOM_TOOL_CALL],
                InputItem { call_id, name, arguments, ..of_kind("function_call") },
            )
        }
        AnswerPart::Omitted => return None,
        AnswerPart::Item(number) => {
            let item = &answer.opaque_parts().nth(number as usize)?.value;
            (&[], InputItem::deserialize(item).ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use hearth_domain::{ClientDialect, Reasoning, Role, ToolCall};
    use serde_json::json;

    use super::*;
    use crate::{
        RunEventBody, answer::Answers, event::ToolCallBegin, extension::Extension,
        openai::responses::item_id::format_item_id,
    };

    fn request_with_reference(id: &str) -> ResponsesRequest {
        let input = json!([
            {"role": "user", "content": "Hi"},
            {"type": "item_reference", "id": id},
            {"role": "user", "content": "And now?"},
        ]);
        serde_json::from_value(json!({"model": "auto", "input": input})).unwrap()
    }

    fn answer() -> Message {
        Message {
            reasoning: vec![Reasoning { text: "Hm.".into(), ..Reasoning::default() }],
            tool_calls: vec![ToolCall { id: "call_0".into(), name: "look".into(), arguments: "{}".into() }],
            ..Message::new(Role::Assistant, "I look.")
        }
    }

    #[test]
    fn reference_is_replaced_by_its_item() {
        let run = RunId::new();
        let prefixes = [item_id::REASONING, item_id::MESSAGE, item_id::FUNCTION_CALL];
        for (index, prefix) in prefixes.into_iter().enumerate() {
            let mut request = request_with_reference(&format_item_id(prefix, &run.to_string(), index));
            let [reference] = &request.item_references().unwrap()[..] else { panic!("one reference") };
            assert_eq!(reference.run, run);
            let reference = reference.clone();
            request.resolve_reference(&reference, &answer(), &ItemLayout::default()).unwrap();
            assert_eq!(request.item_references().unwrap(), []);
            let messages = request.into_turn(Vec::new()).unwrap().messages;
            let whole = answer();
            let expected = match prefix {
                item_id::REASONING => {
                    Message { reasoning: whole.reasoning, ..Message::new(Role::Assistant, "") }
                }
                item_id::MESSAGE => Message::new(Role::Assistant, "I look."),
                _ => Message { tool_calls: whole.tool_calls, ..Message::new(Role::Assistant, "") },
            };
            assert_eq!(messages[1], expected);
        }
    }

    /// Gemini signs its calls after the text, and other models reason between two pieces of text.
    #[test]
    fn items_of_interleaved_reasoning_resolve_in_their_order() {
        let reasoning = |index, text: &str, signature: Option<&str>| RunEventBody::Reasoning {
            choice: 0,
            index,
            added: Reasoning {
                text: text.into(),
                signature: signature.map(Into::into),
                ..Reasoning::default()
            },
        };
        let begins = ToolCallBegin { id: "call_0".into(), name: "look".into() };
        let events = [
            RunEventBody::text("I look"),
            RunEventBody::text("."),
            reasoning(0, "Hm.", None),
            RunEventBody::text("Again."),
            reasoning(1, "", Some("gemini:call:call_0:c2VhbA==")),
            RunEventBody::ToolCall { choice: 0, index: 0, begins: Some(begins), arguments: "{}".into() },
        ];
        let (mut layout, mut answers) = (ItemLayout::default(), Answers::default());
        for event in &events {
            layout.add_event(event);
            answers.apply(event);
        }
        let answer = answers.all()[0].clone();
        let stored = Message {
            reasoning: answer.reasoning.clone(),
            tool_calls: answer.tool_calls.clone(),
            ..Message::new(Role::Assistant, answer.text_with_refusal())
        };
        let run = RunId::new().to_string();
        let prefixes = [
            item_id::MESSAGE,
            item_id::REASONING,
            item_id::MESSAGE,
            item_id::REASONING,
            item_id::FUNCTION_CALL,
        ];
        let ids = (0..).zip(prefixes).map(|(index, prefix)| format_item_id(prefix, &run, index));
        let items: Vec<_> = ids.map(|id| json!({"type": "item_reference", "id": id})).collect();
        let mut request: ResponsesRequest =
            serde_json::from_value(json!({"model": "auto", "input": items})).unwrap();
        for reference in request.item_references().unwrap() {
            request.resolve_reference(&reference, &stored, &layout).unwrap();
        }
        let messages = request.into_turn(Vec::new()).unwrap().messages;
        let turns: Vec<_> =
            messages.iter().map(|turn| (turn.content.as_str(), turn.reasoning.len())).collect();
        assert_eq!(turns, [("I look.", 0), ("Again.", 1), ("", 1)]);
        assert_eq!(messages[2].reasoning, answer.reasoning[1..]);
        assert_eq!(messages[2].tool_calls, answer.tool_calls);
    }

    #[test]
    fn reference_to_an_item_without_its_content_adds_nothing() {
        let run = RunId::new();
        let item = |kind: &str, prefix: &str| {
            let item =
                json!({"type": kind, "id": format!("{prefix}_vendor"), "result": "A".repeat(200 << 10)});
            RunEventBody::extension(ClientDialect::OpenAiResponses, Extension::Item(item))
        };
        let mut layout = ItemLayout::default();
        for event in [item("image_generation_call", "ig"), item("compaction", "cmp")] {
            layout.add_event(&event);
        }
        let answer = Message::new(Role::Assistant, "");
        let resolved = |prefix: &str, index| {
            let mut request = request_with_reference(&format_item_id(prefix, &run.to_string(), index));
            let reference = request.item_references().unwrap().remove(0);
            request.resolve_reference(&reference, &answer, &layout)?;
            Ok::<_, ApiError>(request.into_turn(Vec::new()).unwrap().messages)
        };
        let texts: Vec<_> = resolved("ig", 0).unwrap().into_iter().map(|message| message.content).collect();
        assert_eq!(texts, ["Hi", "And now?"]);
        // Another prefix is another item's, and the next request needs what was compacted.
        for (prefix, index) in [("ws", 0), ("cmp", 1)] {
            assert_eq!(resolved(prefix, index).unwrap_err().code, ErrorCode::NotFound, "{prefix}");
        }
    }

    #[test]
    fn reference_without_stored_item_is_not_found() {
        let run = RunId::new().to_string();
        for id in ["msg_1", "msg_x_0", "", &format_item_id(item_id::MESSAGE, &run, 7).replace("_7", "_-1")] {
            let error = request_with_reference(id).item_references().unwrap_err();
            assert_eq!(
                (error.code, error.param.as_deref()),
                (ErrorCode::NotFound, Some("input[1].id")),
                "{id}"
            );
        }
        for (prefix, index) in [(item_id::MESSAGE, 0), (item_id::FUNCTION_CALL, 3)] {
            let mut request = request_with_reference(&format_item_id(prefix, &run, index));
            let reference = request.item_references().unwrap().remove(0);
            let error = request.resolve_reference(&reference, &answer(), &ItemLayout::default()).unwrap_err();
            assert_eq!(error.code, ErrorCode::NotFound);
        }
        let reference =
            |run: &str| json!({"type": "item_reference", "id": format_item_id(item_id::MESSAGE, run, 0)});
        let request = |input: Vec<Value>| -> ResponsesRequest {
            serde_json::from_value(json!({"model": "auto", "input": input})).unwrap()
        };
        let of_one = request(vec![reference(&run); RESPONSES_MAX_COUNT + 1]);
        assert_eq!(of_one.item_references().unwrap().len(), RESPONSES_MAX_COUNT + 1);
        let many = (0..=RESPONSES_MAX_COUNT).map(|_| reference(&RunId::new().to_string()));
        let error = request(many.collect()).item_references().unwrap_err();
        assert_eq!(error.param.as_deref(), Some("input"));
    }

    #[test]
    fn reasoning_without_its_encrypted_content_is_looked_up_after_the_last_question() {
        let run = RunId::new().to_string();
        let reasoning =
            json!({"type": "reasoning", "id": format_item_id(item_id::REASONING, &run, 0), "summary": []});
        let of_openai = json!({"type": "reasoning", "id": "rs_1", "summary": []});
        let question = json!({"role": "user", "content": "Hi"});
        let request = |input: Value| -> ResponsesRequest {
            serde_json::from_value(json!({"model": "auto", "input": input})).unwrap()
        };
        let mut parsed = request(json!([reasoning, question, reasoning, of_openai]));
        let references = parsed.item_references().unwrap();
        let [reference] = &references[..] else { panic!("one reference: {references:?}") };
        assert!(reference.is_optional());
        let block = Reasoning { text: "Hm.".into(), encrypted: Some("E".into()), signature: None };
        let stored = Message { reasoning: vec![block.clone()], ..Message::new(Role::Assistant, "Hi") };
        parsed.resolve_reference(reference, &stored, &ItemLayout::default()).unwrap();
        let messages = parsed.into_turn(Vec::new()).unwrap().messages;
        assert_eq!(messages.last().unwrap().reasoning[0], block);
        // Without the stored item the request stays as it is.
        let mut parsed = request(json!([question, reasoning]));
        let reference = parsed.item_references().unwrap().remove(0);
        parsed
            .resolve_reference(&reference, &Message::new(Role::Assistant, "Hi"), &ItemLayout::default())
            .unwrap();
        assert_eq!(parsed.item_references().unwrap().len(), 1);
        // A picture is named by a picture's id alone.
        let mut named = request(
            json!([{"type": "image_generation_call", "id": format_item_id(item_id::REASONING, &run, 0)}]),
        );
        let reference = named.item_references().unwrap().remove(0);
        let error = named.resolve_reference(&reference, &stored, &ItemLayout::default()).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
}
