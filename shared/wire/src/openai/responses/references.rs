//! Items that a request names by their ids, as clients do that count on what is stored: an item's id says
//! which run made it, and which of the run's items it is.

use hearth_domain::{Message, RunId};

use super::{InputItem, ItemContent, ItemPart, ItemRole, ResponsesInput, ResponsesRequest, items::sealed};
use crate::{ApiError, ErrorCode};

const MESSAGE: &str = "msg";
const REASONING: &str = "rs";
const CALL: &str = "fc";

/// How many items a request may name.
const MOST: usize = 256;

/// An item that is named and not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The run that made it.
    pub run: RunId,
    /// Which item of the request it is.
    index: usize,
    kind: String,
    /// Which item of the run it is.
    number: usize,
}

/// The id of the item `number` of a run: `msg_` for what it says, `rs_` for thoughts, `fc_` for a call.
pub(super) fn item_id(kind: &str, run: &str, number: usize) -> String {
    format!("{kind}_{}_{number}", run.trim_start_matches(RunId::PREFIX))
}

impl ResponsesRequest {
    /// The items that are named by their ids. Each must be [told](Self::tell) before the request is taken.
    ///
    /// # Errors
    /// `not_found`, naming the field, for what is no item's id; `invalid_request` for too many.
    pub fn references(&self) -> Result<Vec<Reference>, ApiError> {
        let Some(ResponsesInput::Items(items)) = &self.input else { return Ok(Vec::new()) };
        let named =
            items.iter().enumerate().filter(|(_, item)| item.kind.as_deref() == Some("item_reference"));
        let found: Vec<_> =
            named.map(|(index, item)| Reference::parse(index, item)).collect::<Result<_, _>>()?;
        if found.len() > MOST {
            let message =
                format!("at most {MOST} items can be named by their ids; send the items themselves");
            return Err(ApiError::invalid("input", message));
        }
        Ok(found)
    }

    /// Puts the item itself where its id stands. `answer`: what the model said in the item's run.
    ///
    /// # Errors
    /// `not_found`, naming the field, if the run made no such item.
    pub fn tell(&mut self, reference: &Reference, answer: &Message) -> Result<(), ApiError> {
        let mut made = items(answer);
        let there = made.get(reference.number).is_some_and(|(kind, _)| *kind == reference.kind);
        if let Some(ResponsesInput::Items(items)) = &mut self.input
            && let Some(item) = items.get_mut(reference.index)
            && there
        {
            *item = made.swap_remove(reference.number).1;
            return Ok(());
        }
        Err(reference.missing())
    }
}

impl Reference {
    fn parse(index: usize, item: &InputItem) -> Result<Self, ApiError> {
        let parsed = item.id.as_deref().and_then(|id| {
            let (kind, rest) = id.split_once('_')?;
            let (stem, number) = rest.rsplit_once('_')?;
            let run = format!("{}{stem}", RunId::PREFIX).parse().ok()?;
            Some(Self { run, index, kind: kind.to_owned(), number: number.parse().ok()? })
        });
        parsed.ok_or_else(|| missing(index))
    }

    /// The error for an item that isn't stored.
    #[must_use]
    pub fn missing(&self) -> ApiError {
        missing(self.index)
    }
}

fn missing(index: usize) -> ApiError {
    let message = "there is no stored item with this id; send the item itself";
    ApiError::new(ErrorCode::NotFound, message).at(format!("input[{index}].id"))
}

/// What a run made, in the order in which its response tells it, as items of a request.
fn items(answer: &Message) -> Vec<(&'static str, InputItem)> {
    let kind = |kind: &str| InputItem { kind: Some(kind.to_owned()), ..InputItem::default() };
    let mut items = Vec::new();
    for block in &answer.reasoning {
        let text = Some(block.text.clone()).filter(|text| !text.is_empty());
        let part =
            |text| ItemPart { kind: "summary_text".to_owned(), text: Some(text), ..ItemPart::default() };
        let summary = Some(text.into_iter().map(part).collect());
        items.push((REASONING, InputItem { summary, encrypted_content: sealed(block), ..kind("reasoning") }));
    }
    // A message that says nothing is one, if there is nothing else.
    if !answer.content.is_empty() || (items.is_empty() && answer.tool_calls.is_empty()) {
        let content = Some(ItemContent::Text(answer.content.clone()));
        items.push((MESSAGE, InputItem { role: Some(ItemRole::Assistant), content, ..kind("message") }));
    }
    for call in &answer.tool_calls {
        let (call_id, name) = (Some(call.id.clone()), Some(call.name.clone()));
        let arguments = Some(call.arguments.clone());
        items.push((CALL, InputItem { call_id, name, arguments, ..kind("function_call") }));
    }
    items
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Reasoning, Role, ToolCall};
    use serde_json::json;

    use super::*;

    fn naming(id: &str) -> ResponsesRequest {
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
    fn an_item_stands_where_its_id_stood() {
        let run = RunId::new();
        for (number, kind) in [REASONING, MESSAGE, CALL].into_iter().enumerate() {
            let mut request = naming(&item_id(kind, &run.to_string(), number));
            let [reference] = &request.references().unwrap()[..] else { panic!("one item is named") };
            assert_eq!(reference.run, run);
            let reference = reference.clone();
            request.tell(&reference, &answer()).unwrap();
            assert_eq!(request.references().unwrap(), []);
            let said = request.into_turn(Vec::new()).unwrap().said;
            let whole = answer();
            let expected = match kind {
                REASONING => Message { reasoning: whole.reasoning, ..Message::new(Role::Assistant, "") },
                MESSAGE => Message::new(Role::Assistant, "I look."),
                _ => Message { tool_calls: whole.tool_calls, ..Message::new(Role::Assistant, "") },
            };
            assert_eq!(said[1], expected);
        }
    }

    #[test]
    fn what_is_not_stored_is_named() {
        let run = RunId::new().to_string();
        for id in ["msg_1", "msg_x_0", "", &item_id(MESSAGE, &run, 7).replace("_7", "_-1")] {
            let error = naming(id).references().unwrap_err();
            assert_eq!(
                (error.code, error.param.as_deref()),
                (ErrorCode::NotFound, Some("input[1].id")),
                "{id}"
            );
        }
        for (kind, number) in [(MESSAGE, 0), (CALL, 3)] {
            let mut request = naming(&item_id(kind, &run, number));
            let reference = request.references().unwrap().remove(0);
            assert_eq!(request.tell(&reference, &answer()).unwrap_err().code, ErrorCode::NotFound);
        }
        let many = vec![json!({"type": "item_reference", "id": item_id(MESSAGE, &run, 0)}); MOST + 1];
        let request: ResponsesRequest =
            serde_json::from_value(json!({"model": "auto", "input": many})).unwrap();
        assert_eq!(request.references().unwrap_err().param.as_deref(), Some("input"));
    }
}
