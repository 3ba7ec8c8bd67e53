//! `item_reference` items: a client names an item of a stored response by its id ([`item_id`](super::item_id)) instead
//! of sending it.

use hearth_domain::{Message, RunId};
use serde::Deserialize as _;

use super::{
    InputItem, ItemContent, ItemLayout, ItemPart, ItemRole, ResponsesInput, ResponsesRequest,
    encrypted_content,
    item_id::{self, ItemId},
    item_layout::{AnswerPart, StoredItem},
};
use crate::{ApiError, ErrorCode};

/// Largest number of references in one request.
const REFERENCES_MAX_COUNT: usize = 256;

/// A reference to an item of a stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemReference {
    /// Run whose output contains the item.
    pub run: RunId,
    /// Index of the reference in the request's input.
    input_index: usize,
    id: ItemId,
}

impl ResponsesRequest {
    /// The references in the input. Each must be [resolved](Self::resolve_reference) before the request is converted.
    ///
    /// # Errors
    /// `not_found`, naming the field, for an id that is not an item's; `invalid_request` for too many references.
    pub fn item_references(&self) -> Result<Vec<ItemReference>, ApiError> {
        let Some(ResponsesInput::Items(items)) = &self.input else { return Ok(Vec::new()) };
        let references =
            items.iter().enumerate().filter(|(_, item)| item.kind.as_deref() == Some("item_reference"));
        let references: Vec<_> =
            references.map(|(index, item)| ItemReference::parse(index, item)).collect::<Result<_, _>>()?;
        if references.len() > REFERENCES_MAX_COUNT {
            let message = format!(
                "at most {REFERENCES_MAX_COUNT} items can be named by their ids; send the items themselves"
            );
            return Err(ApiError::invalid("input", message));
        }
        Ok(references)
    }

    /// Replaces a reference by its item. `answer` is the stored answer of the reference's run, and `layout` the order of
    /// its items.
    ///
    /// # Errors
    /// `not_found`, naming the field, if the run has no such item.
    pub fn resolve_reference(
        &mut self,
        reference: &ItemReference,
        answer: &Message,
        layout: &ItemLayout,
    ) -> Result<(), ApiError> {
        let stored = layout.items(answer).get(reference.id.index).copied();
        let resolved = stored.and_then(|stored| input_item(answer, stored));
        let prefix = reference.id.prefix.as_str();
        let resolved = resolved.filter(|(prefixes, item)| {
            // An item of the provider has its own prefix.
            let own = item.id.as_deref().and_then(|id| id.split_once('_'));
            prefixes.contains(&prefix) || prefixes.is_empty() && own.is_some_and(|(own, _)| own == prefix)
        });
        if let (Some((_, resolved)), Some(ResponsesInput::Items(items))) = (resolved, &mut self.input)
            && let Some(item) = items.get_mut(reference.input_index)
        {
            *item = resolved;
            return Ok(());
        }
        Err(reference.not_found())
    }
}

impl ItemReference {
    fn parse(input_index: usize, item: &InputItem) -> Result<Self, ApiError> {
        let id = item.id.as_deref().and_then(ItemId::parse);
        let id = id.ok_or_else(|| item_not_found(input_index))?;
        Ok(Self { run: id.run, input_index, id })
    }

    /// The error for an item that isn't stored.
    #[must_use]
    pub fn not_found(&self) -> ApiError {
        item_not_found(self.input_index)
    }
}

fn item_not_found(input_index: usize) -> ApiError {
    let message = "there is no stored item with this id; send the item itself";
    ApiError::new(ErrorCode::NotFound, message).at(format!("input[{input_index}].id"))
}

/// Converts a stored item to an input item. Also returns the prefixes that its id may have; none of an item of the provider,
/// which has its id.
fn input_item(
    answer: &Message,
    StoredItem { part, text, .. }: StoredItem<'_>,
) -> Option<(&'static [&'static str], InputItem)> {
    let of_kind = |kind: &str| InputItem { kind: Some(kind.to_owned()), ..InputItem::default() };
    Some(match part {
        AnswerPart::Text | AnswerPart::Refusal => {
            let content = Some(ItemContent::Text(text.to_owned()));
            (
                &[item_id::MESSAGE],
                InputItem { role: Some(ItemRole::Assistant), content, ..of_kind("message") },
            )
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
    use hearth_domain::{Reasoning, Role, ToolCall};
    use serde_json::json;

    use super::*;
    use crate::{
        RunEventBody, answer::Answers, event::ToolCallBegin, openai::responses::item_id::format_item_id,
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
        let reference = json!({"type": "item_reference", "id": format_item_id(item_id::MESSAGE, &run, 0)});
        let many = vec![reference; REFERENCES_MAX_COUNT + 1];
        let request: ResponsesRequest =
            serde_json::from_value(json!({"model": "auto", "input": many})).unwrap();
        assert_eq!(request.item_references().unwrap_err().param.as_deref(), Some("input"));
    }
}
