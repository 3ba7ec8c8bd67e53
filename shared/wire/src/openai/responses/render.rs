//! Run events as this API shows them: named events, each with its number.
//!
//! A thing that the model makes is an item. It is added, goes on in deltas, and is done; the events between
//! those are <https://platform.openai.com/docs/api-reference/responses-streaming>.

mod message;

use hearth_domain::{FinishReason, Message, Reasoning, Run, RunId, Timestamp, ToolCall, Usage};
use serde_json::{Map, Value, json};

use super::{
    Asked, Incomplete, OutputItem, ReasoningText, ResponseFailure, ResponseObject,
    items::sealed,
    layout::{Layout, Part, Placed},
    offer::{ClientName, ClientNames, custom_input},
    references::item_id,
};
use crate::{
    ApiError, ErrorCode, RunEvent, RunEventBody,
    answer::ending,
    event::ToolCallBegin,
    stream::{Frame, Render},
};

const IN_PROGRESS: &str = "in_progress";
const COMPLETED: &str = "completed";
const INCOMPLETE: &str = "incomplete";
const FAILED: &str = "failed";

/// The names of events about thoughts: of thoughts as they are, and of a summary.
type Names = [&'static str; 2];

const PART_ADDED: Names = ["response.content_part.added", "response.reasoning_summary_part.added"];
const THOUGHTS_DELTA: Names = ["response.reasoning_text.delta", "response.reasoning_summary_text.delta"];
const THOUGHTS_DONE: Names = ["response.reasoning_text.done", "response.reasoning_summary_text.done"];
const PART_DONE: Names = ["response.content_part.done", "response.reasoning_summary_part.done"];

/// Takes a run's events in order; gives this API's, and the whole response at the end.
#[derive(Debug)]
pub struct Renderer {
    response: ResponseObject,
    /// Whether thoughts are given in the form that goes back to their maker.
    seals: bool,
    /// What the client calls the functions.
    names: ClientNames,
    /// For each item of the output, what it is of the run.
    made: Vec<Made>,
    sequence: u64,
    queued: bool,
    begun: bool,
    frames: Vec<Frame>,
}

/// What an item is of the run.
#[derive(Debug)]
struct Made {
    of: Part,
    open: bool,
}

impl Render for Renderer {
    type Answer = ResponseObject;

    /// The event that ends the response is the last one: this API has no `[DONE]`.
    fn last(&self) -> Option<Frame> {
        None
    }

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        match &event.body {
            RunEventBody::Selected(selected) => {
                self.response.model.clone_from(&selected.model);
                self.response.asked.settle(selected.node.is_some());
                // Another one may be chosen in its place.
                if self.sequence == 0 {
                    self.tell_response("response.created");
                }
            }
            RunEventBody::Queued { .. } if !self.queued => {
                self.queued = true;
                "queued".clone_into(&mut self.response.status);
                self.tell_response("response.queued");
            }
            RunEventBody::Started { .. } => self.begin(),
            RunEventBody::Delta { choice: 0, text, logprobs } => self.text(text, logprobs),
            RunEventBody::Refusal { choice: 0, text } => self.refusal(text),
            RunEventBody::Reasoning { choice: 0, index, added } => self.thoughts(*index, added),
            RunEventBody::ToolCall { choice: 0, index, begins, arguments } => {
                self.call(*index, begins.as_ref(), arguments);
            }
            RunEventBody::Structured { choice: 0, structured } => {
                self.response.structured = Some(structured.into());
            }
            RunEventBody::Usage { usage } => self.response.usage = Some((*usage).into()),
            RunEventBody::Done { finish_reason } => self.done(*finish_reason),
            RunEventBody::Error { error } => self.failed(FAILED, error),
            RunEventBody::Cancelled => {
                let error = ApiError::new(ErrorCode::Cancelled, "the request was cancelled");
                self.failed("cancelled", &error);
            }
            _ => {}
        }
        std::mem::take(&mut self.frames)
    }

    fn collected(mut self, events: &[RunEvent]) -> Result<ResponseObject, ApiError> {
        ending(events)?;
        for event in events {
            self.frames(event);
        }
        Ok(self.response)
    }
}

impl Renderer {
    /// A renderer for the run `id`, before its first event. `seals`: thoughts come with the form that goes
    /// back to their maker.
    pub(super) fn new(id: RunId, asked: Asked, seals: bool, names: ClientNames) -> Self {
        let response = ResponseObject {
            id: id.to_string(),
            object: "response".to_owned(),
            created_at: Timestamp::now().unix(),
            completed_at: None,
            status: IN_PROGRESS.to_owned(),
            error: None,
            incomplete_details: None,
            model: String::new(),
            output: Vec::new(),
            usage: None,
            structured: None,
            asked,
        };
        Self {
            response,
            seals,
            names,
            made: Vec::new(),
            sequence: 0,
            queued: false,
            begun: false,
            frames: Vec::new(),
        }
    }

    /// The response of a run that ended, made of its record, of what the model said, and of the order of its items.
    #[must_use]
    pub fn recorded(run: &Run, said: &Message, layout: &Layout, asked: Asked) -> ResponseObject {
        let names = ClientNames::of(&asked.tools);
        let mut renderer = Self::new(run.id, asked, false, names);
        renderer.response.created_at = run.created_at.unix();
        renderer.response.model = run.model.to_string();
        renderer.response.asked.settle(run.node.is_some());
        for Placed { part, text } in layout.items(said) {
            renderer.replay(said, part, text);
        }
        renderer.response.usage = Some(run.usage.into());
        renderer.done(run.finish_reason.unwrap_or(FinishReason::Stop));
        renderer.response.completed_at = run.finished_at.map(Timestamp::unix);
        renderer.response
    }

    /// Makes an item of a stored answer again.
    fn replay(&mut self, said: &Message, part: Part, text: &str) {
        match part {
            Part::Text => self.text(text, &[]),
            Part::Refusal => self.refusal(text),
            Part::Thoughts(number) => {
                if let Some(block) = said.reasoning.get(number as usize) {
                    self.thoughts(number, block);
                }
            }
            Part::Call(number) => {
                if let Some(ToolCall { id, name, arguments }) = said.tool_calls.get(number as usize) {
                    let begins = ToolCallBegin { id: id.clone(), name: name.clone() };
                    self.call(number, Some(&begins), arguments);
                }
            }
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            IN_PROGRESS.clone_into(&mut self.response.status);
            self.tell_response("response.in_progress");
        }
    }

    fn thoughts(&mut self, number: u32, added: &Reasoning) {
        // A seal may come after its block's end. Text that does begins another item.
        let goes_on = |made: &Made| made.of == Part::Thoughts(number) && (made.open || added.text.is_empty());
        let index = match self.made.iter().rposition(goes_on) {
            Some(index) => index,
            None => {
                self.end_all_but_calls();
                let summarised = self.summarises();
                let item = OutputItem::Reasoning {
                    id: self.item_id("rs"),
                    status: IN_PROGRESS.to_owned(),
                    summary: Vec::new(),
                    content: (!summarised).then(Vec::new),
                    encrypted_content: None,
                };
                self.add(Part::Thoughts(number), item)
            }
        };
        let seal = sealed(added).filter(|_| self.seals);
        let Some(OutputItem::Reasoning { summary, content, encrypted_content, .. }) =
            self.response.output.get_mut(index)
        else {
            return;
        };
        *encrypted_content = seal.or_else(|| encrypted_content.take());
        if added.text.is_empty() {
            return;
        }
        let (kind, texts) = match content {
            Some(content) => ("reasoning_text", content),
            None => ("summary_text", summary),
        };
        let first = texts.is_empty();
        if first {
            texts.push(ReasoningText { kind: kind.to_owned(), text: String::new() });
        }
        texts.iter_mut().for_each(|part| part.text.push_str(&added.text));
        if first {
            self.tell_of_thoughts(index, PART_ADDED, json!({"part": {"type": kind, "text": ""}}));
        }
        self.tell_of_thoughts(index, THOUGHTS_DELTA, json!({"delta": added.text}));
    }

    fn call(&mut self, number: u32, begins: Option<&ToolCallBegin>, added: &str) {
        let index = match (self.made.iter().position(|made| made.of == Part::Call(number)), begins) {
            (Some(index), _) => index,
            (None, Some(ToolCallBegin { id, name })) => {
                self.end_all_but_calls();
                let call = self.begun_call(id.clone(), name);
                self.add(Part::Call(number), call)
            }
            // What goes on without having begun is nobody's.
            (None, None) => return,
        };
        match self.response.output.get_mut(index) {
            Some(OutputItem::FunctionCall { arguments, .. }) => arguments.push_str(added),
            // Its input is known when the JSON around it is whole.
            Some(OutputItem::CustomToolCall { input, .. }) => {
                input.push_str(added);
                return;
            }
            _ => {}
        }
        if !added.is_empty() {
            self.tell_of(index, "response.function_call_arguments.delta", json!({"delta": added}));
        }
    }

    /// A call of the function `function`, in the client's words.
    fn begun_call(&self, call_id: String, function: &str) -> OutputItem {
        let status = IN_PROGRESS.to_owned();
        let client = self.names.get(function).cloned();
        let ClientName { namespace, name, custom } = client.unwrap_or_else(|| ClientName {
            namespace: None,
            name: function.to_owned(),
            custom: false,
        });
        if custom {
            let (id, input) = (self.item_id("ctc"), String::new());
            return OutputItem::CustomToolCall { id, status, call_id, name, namespace, input };
        }
        let (id, arguments) = (self.item_id("fc"), String::new());
        OutputItem::FunctionCall { id, status, call_id, name, namespace, arguments }
    }

    fn done(&mut self, reason: FinishReason) {
        self.begin();
        let (status, why) = match reason {
            FinishReason::Stop | FinishReason::ToolCalls => (COMPLETED, None),
            // It has said what it had to.
            FinishReason::ContentFilter if self.made.iter().any(|made| made.of == Part::Refusal) => {
                (COMPLETED, None)
            }
            FinishReason::Length => (INCOMPLETE, Some("max_output_tokens")),
            FinishReason::ContentFilter => (INCOMPLETE, Some("content_filter")),
            FinishReason::Cancelled => ("cancelled", None),
        };
        if self.made.is_empty() && why.is_none() {
            // A message that says nothing is still one.
            self.begin_message(Part::Text);
        }
        let open: Vec<usize> = (0..self.made.len()).filter(|index| self.made[*index].open).collect();
        for index in open {
            self.end(index, if why.is_some() { INCOMPLETE } else { COMPLETED });
        }
        status.clone_into(&mut self.response.status);
        self.response.incomplete_details = why.map(|why| Incomplete { reason: why.to_owned() });
        self.response.completed_at = Some(Timestamp::now().unix());
        self.response.usage.get_or_insert(Usage::default().into());
        let name = if why.is_some() { "response.incomplete" } else { "response.completed" };
        self.tell_response(name);
    }

    fn failed(&mut self, status: &str, error: &ApiError) {
        status.clone_into(&mut self.response.status);
        let (code, message) = (error.code.as_str().to_owned(), error.message.clone());
        self.response.error = Some(ResponseFailure { code, message });
        self.tell_response("response.failed");
    }

    fn summarises(&self) -> bool {
        self.response.asked.reasoning.summary.is_some()
    }

    /// The id of the next item.
    fn item_id(&self, kind: &str) -> String {
        item_id(kind, &self.response.id, self.made.len())
    }

    fn add(&mut self, of: Part, item: OutputItem) -> usize {
        self.begin();
        let index = self.made.len();
        self.tell("response.output_item.added", json!({"output_index": index, "item": item.begun()}));
        self.made.push(Made { of, open: true });
        self.response.output.push(item);
        index
    }

    fn end(&mut self, index: usize, how: &str) {
        self.made[index].open = false;
        match &mut self.response.output[index] {
            OutputItem::Message { content, status, .. } => {
                how.clone_into(status);
                if let Some(part) = content.first().cloned() {
                    self.end_part(index, &part);
                }
            }
            OutputItem::Reasoning { content, summary, status, .. } => {
                how.clone_into(status);
                if let Some(part) = content.as_ref().unwrap_or(summary).first().cloned() {
                    self.tell_of_thoughts(index, THOUGHTS_DONE, json!({"text": part.text}));
                    self.tell_of_thoughts(index, PART_DONE, json!({"part": part}));
                }
            }
            OutputItem::FunctionCall { name, arguments, status, .. } => {
                how.clone_into(status);
                let fields = json!({"name": name, "arguments": arguments});
                self.tell_of(index, "response.function_call_arguments.done", fields);
            }
            OutputItem::CustomToolCall { input, status, .. } => {
                how.clone_into(status);
                *input = custom_input(input);
                let input = input.clone();
                self.tell_of(index, "response.custom_tool_call_input.delta", json!({"delta": input}));
                self.tell_of(index, "response.custom_tool_call_input.done", json!({"input": input}));
            }
        }
        let item = json!({"output_index": index, "item": self.response.output[index]});
        self.tell("response.output_item.done", item);
    }

    fn tell_response(&mut self, name: &'static str) {
        self.tell(name, json!({"response": self.response}));
    }

    /// Tells of a part of thoughts, under the name that goes with how they are told.
    fn tell_of_thoughts(&mut self, index: usize, [full, summary]: Names, mut fields: Value) {
        let (name, place) =
            if self.summarises() { (summary, "summary_index") } else { (full, "content_index") };
        fields[place] = json!(0);
        self.tell_of(index, name, fields);
    }

    /// Tells of an item.
    fn tell_of(&mut self, index: usize, name: &'static str, mut fields: Value) {
        let (OutputItem::Message { id, .. }
        | OutputItem::Reasoning { id, .. }
        | OutputItem::FunctionCall { id, .. }
        | OutputItem::CustomToolCall { id, .. }) = &self.response.output[index];
        fields["item_id"] = json!(id);
        fields["output_index"] = json!(index);
        self.tell(name, fields);
    }

    fn tell(&mut self, name: &'static str, fields: Value) {
        let mut event = Map::new();
        event.insert("type".to_owned(), json!(name));
        event.insert("sequence_number".to_owned(), json!(self.sequence));
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        self.sequence += 1;
        self.frames.push(Frame::named(name, &event));
    }
}
