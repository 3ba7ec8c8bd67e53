//! Items that a request names by their ids, as clients do that count on what is stored: an item's id says
//! which run made it, and which of the run's items it is.

use hearth_domain::{Message, RunId};

use super::{
    InputItem, ItemContent, ItemPart, ItemRole, Layout, ResponsesInput, ResponsesRequest,
    items::sealed,
    layout::{Part, Placed},
};
use crate::{ApiError, ErrorCode};

const MESSAGE: &str = "msg";
const REASONING: &str = "rs";
const CALL: &str = "fc";
const FREEFORM_CALL: &str = "ctc";

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

/// The id of the item `number` of a run: `msg_` for what it says, `rs_` for thoughts, `fc_` and `ctc_` for a call.
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

    /// Puts the item itself where its id stands. `answer`: what the model said in the item's run, `layout`: in which
    /// order.
    ///
    /// # Errors
    /// `not_found`, naming the field, if the run made no such item.
    pub fn tell(&mut self, reference: &Reference, answer: &Message, layout: &Layout) -> Result<(), ApiError> {
        let placed = layout.items(answer).get(reference.number).copied();
        let named = placed.and_then(|placed| input_item(answer, placed));
        let named = named.filter(|(kinds, _)| kinds.contains(&reference.kind.as_str()));
        if let (Some((_, named)), Some(ResponsesInput::Items(items))) = (named, &mut self.input)
            && let Some(item) = items.get_mut(reference.index)
        {
            *item = named;
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

/// An item of an answer as an item of a request, and which prefixes its id may have.
fn input_item(
    answer: &Message,
    Placed { part, text }: Placed<'_>,
) -> Option<(&'static [&'static str], InputItem)> {
    let kind = |kind: &str| InputItem { kind: Some(kind.to_owned()), ..InputItem::default() };
    Some(match part {
        Part::Text | Part::Refusal => {
            let content = Some(ItemContent::Text(text.to_owned()));
            (&[MESSAGE], InputItem { role: Some(ItemRole::Assistant), content, ..kind("message") })
        }
        Part::Thoughts(number) => {
            let block = answer.reasoning.get(number as usize)?;
            let text = Some(block.text.clone()).filter(|text| !text.is_empty());
            let part =
                |text| ItemPart { kind: "summary_text".to_owned(), text: Some(text), ..ItemPart::default() };
            let summary = Some(text.into_iter().map(part).collect());
            let encrypted_content = sealed(block);
            (&[REASONING], InputItem { summary, encrypted_content, ..kind("reasoning") })
        }
        Part::Call(number) => {
            let call = answer.tool_calls.get(number as usize)?;
            let (call_id, name) = (Some(call.id.clone()), Some(call.name.clone()));
            let arguments = Some(call.arguments.clone());
            (&[CALL, FREEFORM_CALL], InputItem { call_id, name, arguments, ..kind("function_call") })
        }
    })
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Reasoning, Role, ToolCall};
    use serde_json::json;

    use super::*;
    use crate::{RunEventBody, answer::Answers, event::ToolCallBegin};

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
            request.tell(&reference, &answer(), &Layout::default()).unwrap();
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

    /// Gemini seals its calls behind the text, and other models think between two pieces of text.
    #[test]
    fn items_of_interleaved_thoughts_are_found_in_their_order() {
        let thoughts = |index, text: &str, signature: Option<&str>| RunEventBody::Reasoning {
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
            thoughts(0, "Hm.", None),
            RunEventBody::text("Again."),
            thoughts(1, "", Some("gemini:call:call_0:c2VhbA==")),
            RunEventBody::ToolCall { choice: 0, index: 0, begins: Some(begins), arguments: "{}".into() },
        ];
        let (mut layout, mut answers) = (Layout::default(), Answers::default());
        for event in &events {
            layout.note(event);
            answers.take(event);
        }
        let made = answers.all()[0].clone();
        let stored = Message {
            reasoning: made.reasoning.clone(),
            tool_calls: made.tool_calls.clone(),
            ..Message::new(Role::Assistant, made.said())
        };
        let run = RunId::new().to_string();
        let kinds = [MESSAGE, REASONING, MESSAGE, REASONING, CALL];
        let ids = (0..).zip(kinds).map(|(number, kind)| item_id(kind, &run, number));
        let items: Vec<_> = ids.map(|id| json!({"type": "item_reference", "id": id})).collect();
        let mut request: ResponsesRequest =
            serde_json::from_value(json!({"model": "auto", "input": items})).unwrap();
        for reference in request.references().unwrap() {
            request.tell(&reference, &stored, &layout).unwrap();
        }
        let said = request.into_turn(Vec::new()).unwrap().said;
        let turns: Vec<_> = said.iter().map(|turn| (turn.content.as_str(), turn.reasoning.len())).collect();
        assert_eq!(turns, [("I look.", 0), ("Again.", 1), ("", 1)]);
        assert_eq!(said[2].reasoning, made.reasoning[1..]);
        assert_eq!(said[2].tool_calls, made.tool_calls);
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
            assert_eq!(
                request.tell(&reference, &answer(), &Layout::default()).unwrap_err().code,
                ErrorCode::NotFound
            );
        }
        let many = vec![json!({"type": "item_reference", "id": item_id(MESSAGE, &run, 0)}); MOST + 1];
        let request: ResponsesRequest =
            serde_json::from_value(json!({"model": "auto", "input": many})).unwrap();
        assert_eq!(request.references().unwrap_err().param.as_deref(), Some("input"));
    }
}
