//! The order of a response's items. A stored answer has its text, reasoning and calls in separate fields; the layout
//! records their order in the output, so that the index in an item's id still leads to the item.

use hearth_domain::{ClientDialect, Message, Part, PartPlace, Piece};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::text_fields::{ANNOTATIONS, PHASE, text_fields};
use crate::{
    RunEventBody,
    extension::{Extension, value_bytes},
};

/// Largest size in memory of the stored citations of an answer: they are in an item of the table, which has at most 400 KB.
const ANNOTATIONS_MAX_BYTES: usize = 128 << 10;

/// The part of an answer that an item contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnswerPart {
    /// A piece of the text.
    Text,
    /// A piece of the refusal.
    Refusal,
    /// The reasoning block with this number.
    #[serde(rename = "thoughts")]
    Reasoning(u32),
    /// The call with this number.
    Call(u32),
    /// The provider's item with this number, an opaque part of the stored answer.
    Item(u32),
    /// A provider's item that was too large to be stored.
    Omitted,
}

/// The items of one response, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemLayout(
    Vec<Item>,
    /// Bytes of the citations so far.
    #[serde(skip)]
    usize,
);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    part: AnswerPart,
    /// Length of its piece of the text or of the refusal.
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes: usize,
    /// Phase of its piece of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phase: Option<String>,
    /// Citations of its piece of the text; of an item that was omitted its type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Value>,
    /// True while later events may extend it.
    #[serde(skip)]
    open: bool,
}

/// An item of a stored answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredItem<'a> {
    pub(super) part: AnswerPart,
    /// Its piece of the text or of the refusal.
    pub(super) text: &'a str,
    /// Annotations of the text.
    pub(super) annotations: &'a [Value],
    /// Phase of the text.
    pub(super) phase: Option<&'a str>,
}

impl<'a> StoredItem<'a> {
    /// An item in place of the provider's one that was omitted.
    pub(super) fn omitted(&self) -> Option<&'a Value> {
        self.annotations.first().filter(|_| self.part == AnswerPart::Omitted)
    }
}

impl ItemLayout {
    /// Returns whether the order is unknown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the indices of the provider's items that are stored.
    pub(super) fn provider_items(&self) -> impl Iterator<Item = usize> {
        let items = self.0.iter().enumerate();
        items.filter(|(_, item)| matches!(item.part, AnswerPart::Item(_))).map(|(index, _)| index)
    }

    /// Returns the pieces of the text in order: the length of each in bytes, and the fields that OpenAI gets again with it.
    pub(super) fn texts(&self) -> impl Iterator<Item = (usize, Map<String, Value>)> {
        let texts = self.0.iter().filter(|item| item.part == AnswerPart::Text);
        texts.map(|item| (item.bytes, text_fields(&item.annotations, item.phase.as_deref())))
    }

    /// Adds a run's next event, by the renderer's rules: a text, a refusal and a reasoning block end when another item
    /// begins, calls don't.
    pub fn add_event(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Delta { choice: 0, text, logprobs } if !text.is_empty() || !logprobs.is_empty() => {
                self.open_message(AnswerPart::Text).bytes += text.len();
            }
            RunEventBody::Refusal { choice: 0, text } if !text.is_empty() => {
                self.open_message(AnswerPart::Refusal).bytes += text.len();
            }
            RunEventBody::Reasoning { choice: 0, index, added } => {
                let part = AnswerPart::Reasoning(*index);
                let continues = |item: &Item| item.part == part && (item.open || added.text.is_empty());
                if !self.0.iter().any(continues) {
                    self.begin(part);
                }
            }
            RunEventBody::ToolCall { choice: 0, index, begins, .. } => {
                let part = AnswerPart::Call(*index);
                if begins.is_some() && self.0.iter().all(|item| item.part != part) {
                    self.begin(part);
                }
            }
            RunEventBody::Extension { choice: 0, dialect: ClientDialect::OpenAiResponses, extension } => {
                self.add_extension(extension);
            }
            _ => {}
        }
    }

    fn add_extension(&mut self, extension: &Extension) {
        match extension {
            Extension::TextBlock => {
                for item in &mut self.0 {
                    item.open &= item.part != AnswerPart::Text;
                }
            }
            Extension::Phase(phase) => self.open_message(AnswerPart::Text).phase = Some(phase.clone()),
            Extension::Annotation(annotation) => {
                self.1 = self.1.saturating_add(value_bytes(annotation));
                let is_stored = self.1 <= ANNOTATIONS_MAX_BYTES;
                let text = self.open_message(AnswerPart::Text);
                text.annotations.extend(is_stored.then(|| annotation.clone()));
            }
            Extension::Item(item) if item.is_object() && extension.is_stored() => {
                let number = u32::try_from(self.provider_items().count()).unwrap_or(u32::MAX);
                self.begin(AnswerPart::Item(number));
            }
            Extension::Item(item) if item.is_object() => {
                self.begin(AnswerPart::Omitted);
                if let (Some(last), Extension::Item(item)) = (self.0.last_mut(), extension.stored().as_ref())
                {
                    last.annotations.push(item.clone());
                }
            }
            Extension::Item(_) | Extension::Fields(_) => {}
        }
    }

    /// Returns the open message with this part, which it begins if there is none.
    fn open_message(&mut self, part: AnswerPart) -> &mut Item {
        let open = self.0.iter().rposition(|item| item.open && item.part == part);
        let index = open.unwrap_or_else(|| {
            self.begin(part);
            self.0.len() - 1
        });
        &mut self.0[index]
    }

    fn begin(&mut self, part: AnswerPart) {
        for item in &mut self.0 {
            item.open &= matches!(item.part, AnswerPart::Call(_));
        }
        self.0.push(Item { part, bytes: 0, phase: None, annotations: Vec::new(), open: true });
    }

    /// Returns the items of `answer` in order. Without a layout it is that of the message's pieces.
    pub(super) fn items<'a>(&'a self, answer: &'a Message) -> Vec<StoredItem<'a>> {
        if self.is_empty() {
            return default_order(answer);
        }
        // The stored text is the whole text followed by the whole refusal.
        let text_bytes =
            self.0.iter().filter(|item| item.part == AnswerPart::Text).map(|item| item.bytes).sum();
        let (mut text_at, mut refusal_at) = (0, text_bytes);
        let stored = |item: &'a Item| {
            let (part, annotations, phase) = (item.part, item.annotations.as_slice(), item.phase.as_deref());
            let at = match part {
                AnswerPart::Text => &mut text_at,
                AnswerPart::Refusal => &mut refusal_at,
                AnswerPart::Reasoning(_)
                | AnswerPart::Call(_)
                | AnswerPart::Item(_)
                | AnswerPart::Omitted => {
                    return StoredItem { part, text: "", annotations, phase };
                }
            };
            let from = std::mem::replace(at, *at + item.bytes);
            let text = answer.content.get(from..*at).unwrap_or_default();
            StoredItem { part, text, annotations, phase }
        };
        self.0.iter().map(stored).collect()
    }
}

/// The items of a message without a layout, in the order of its pieces. Texts with nothing between them are one item, unless they
/// have fields of their own.
fn default_order(answer: &Message) -> Vec<StoredItem<'_>> {
    let without_text = |part| StoredItem { part, text: "", annotations: &[], phase: None };
    let (mut reasoning, mut provider_items, fields) = (0.., 0.., answer.extra_by_place());
    let mut items: Vec<StoredItem<'_>> = Vec::new();
    // Place of the last item's text in the message's, if a text without fields may continue it.
    let mut open_from = None;
    for piece in answer.pieces() {
        let item = match piece {
            Piece::Reasoning(_) => reasoning.next().map(AnswerPart::Reasoning).map(without_text),
            Piece::Call(number, _) => u32::try_from(number).ok().map(AnswerPart::Call).map(without_text),
            Piece::Part(_, Part::Opaque(_)) => provider_items.next().map(AnswerPart::Item).map(without_text),
            Piece::Part(_, Part::Image(_) | Part::Document(_)) => None,
            Piece::Part(number, Part::Text(text)) => {
                let item = text_item(text, fields.get(&PartPlace::Part(number)).copied());
                let is_plain = item.annotations.is_empty() && item.phase.is_none();
                let from = answer.offset_of(text);
                match (items.last_mut(), open_from) {
                    (Some(last), Some(open)) if is_plain => {
                        last.text = answer.content.get(open..from + text.len()).unwrap_or_default();
                    }
                    _ => {
                        items.push(item);
                        open_from = is_plain.then_some(from);
                    }
                }
                continue;
            }
        };
        open_from = None;
        items.extend(item);
    }
    // An empty message is an item if it is the only one.
    if items.is_empty() {
        items.push(without_text(AnswerPart::Text));
    }
    items
}

/// The item of a text with these fields of its own.
fn text_item<'a>(text: &'a str, fields: Option<&'a Map<String, Value>>) -> StoredItem<'a> {
    let field = |name: &str| fields?.get(name);
    let annotations = field(ANNOTATIONS).and_then(Value::as_array);
    let annotations = annotations.map(Vec::as_slice).unwrap_or_default();
    let phase = field(PHASE).and_then(Value::as_str);
    StoredItem { part: AnswerPart::Text, text, annotations, phase }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

#[cfg(test)]
mod tests {
    use hearth_domain::{
        Attachment, AttachmentContent, FinishReason, Opaque, Reasoning, Role, Run, RunId, RunState, ToolCall,
        UserId,
    };
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        RunEvent,
        answer::{Answer, Answers},
        event::ToolCallBegin,
        openai::responses::{
            ExtendedOutputItem, RenderOptions, RequestEcho, ResponseObject, ResponsesRenderer, stored_answer,
        },
        stream::Render as _,
    };

    fn event() -> impl Strategy<Value = RunEventBody> {
        let text = "[ab]{0,2}";
        prop_oneof![
            text.prop_map(RunEventBody::text),
            text.prop_map(|text| RunEventBody::Refusal { choice: 0, text }),
            (0..3_u32, text, any::<bool>()).prop_map(|(index, text, signed)| {
                let added = Reasoning { text, signature: signed.then(|| "s".into()), ..Reasoning::default() };
                RunEventBody::Reasoning { choice: 0, index, added }
            }),
            (0..3_u32, any::<bool>()).prop_map(|(index, begins)| {
                let begins = begins.then(|| ToolCallBegin { id: format!("c{index}"), name: "look".into() });
                RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() }
            }),
            prop_oneof![
                Just(Extension::TextBlock),
                Just(Extension::Phase("commentary".to_owned())),
                (0..3).prop_map(|number| Extension::Annotation(json!({"number": number}))),
                (0..3).prop_map(|number| Extension::Item(
                    json!({"type": "mcp_call", "id": "mcp_1", "n": number})
                )),
            ]
            .prop_map(|extension| RunEventBody::extension(ClientDialect::OpenAiResponses, extension)),
        ]
    }

    /// Returns whether an event doesn't skip a number, as no provider does.
    fn is_next(body: &RunEventBody, answer: &Answer) -> bool {
        match body {
            RunEventBody::Reasoning { index, .. } => *index as usize <= answer.reasoning.len(),
            RunEventBody::ToolCall { index, begins, .. } => {
                let calls = answer.tool_calls.len();
                if begins.is_some() { *index as usize == calls } else { (*index as usize) < calls }
            }
            _ => true,
        }
    }

    /// An item without its status.
    fn content(item: &ExtendedOutputItem) -> Value {
        let mut item = serde_json::to_value(item).unwrap();
        // A block of reasoning in several pieces is several items with its whole text.
        if item["type"] == "reasoning" {
            return json!({"type": "reasoning", "id": item["id"]});
        }
        let fields = item.as_object_mut().unwrap();
        fields.remove("status");
        // Of one that isn't stored.
        fields.remove("output");
        item
    }

    proptest! {
        #[test]
        fn stored_answer_is_rendered_like_its_events(bodies in prop::collection::vec(event(), 0..12)) {
            let (mut layout, mut answers) = (ItemLayout::default(), Answers::default());
            let bodies: Vec<_> = bodies.into_iter().filter(|body| {
                let fits = is_next(body, &answers.all()[0]);
                if fits {
                    layout.add_event(body);
                    answers.apply(body);
                }
                fits
            }).collect();
            let id = RunId::new();
            let message = stored_answer(&answers.all()[0], &layout, id);
            let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
            let events: Vec<_> =
                (1..).zip(bodies).chain([(99, done)]).map(|(seq, body)| RunEvent { seq, body }).collect();
            let (echo, options) = (RequestEcho::default(), RenderOptions::default());
            let renderer = ResponsesRenderer::new(id, echo.clone(), options.clone());
            let response = renderer.into_answer(&events).unwrap();
            let stored: ItemLayout = serde_json::from_value(serde_json::to_value(&layout).unwrap()).unwrap();
            let run = Run { id, state: RunState::Completed, ..Run::example(UserId::new()) };
            let again = ResponsesRenderer::from_record(&run, &message, &stored, echo, options);
            let contents = |response: &ResponseObject| response.output.iter().map(content).collect::<Vec<_>>();
            prop_assert_eq!(contents(&again), contents(&response));
        }
    }

    #[test]
    fn answer_without_layout_has_reasoning_text_and_calls() {
        let answer = Message {
            reasoning: vec![Reasoning::default()],
            tool_calls: vec![ToolCall { id: "c".into(), name: "look".into(), arguments: "{}".into() }],
            ..Message::new(Role::Assistant, "I look.")
        };
        let parts: Vec<_> = ItemLayout::default().items(&answer).into_iter().map(|item| item.part).collect();
        assert_eq!(parts, [AnswerPart::Reasoning(0), AnswerPart::Text, AnswerPart::Call(0)]);
    }

    #[test]
    fn answer_without_layout_has_its_pieces_in_order() {
        let place = |at, content| Attachment { at, images_before: 0, content };
        let opaque = Opaque { param: "items[0]".into(), value: json!({"type": "web_search_call"}) };
        let answer = Message {
            attachments: vec![
                place(1, AttachmentContent::Break(0)),
                place(2, AttachmentContent::Call),
                place(2, AttachmentContent::Reasoning),
                place(2, AttachmentContent::Opaque(opaque)),
            ],
            reasoning: vec![Reasoning::default()],
            tool_calls: ["c", "d"]
                .map(|id| ToolCall { id: id.into(), name: "look".into(), arguments: "{}".into() })
                .to_vec(),
            ..Message::new(Role::Assistant, "abc")
        };
        let layout = ItemLayout::default();
        let parts: Vec<_> = layout.items(&answer).into_iter().map(|item| (item.part, item.text)).collect();
        let expected = [
            (AnswerPart::Text, "ab"),
            (AnswerPart::Call(0), ""),
            (AnswerPart::Reasoning(0), ""),
            (AnswerPart::Item(0), ""),
            (AnswerPart::Text, "c"),
            (AnswerPart::Call(1), ""),
        ];
        assert_eq!(parts, expected);
    }
}
