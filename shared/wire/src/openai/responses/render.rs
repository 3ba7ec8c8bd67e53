//! Renders run events as this API's events.
//!
//! The output consists of items. Each is added, extended by deltas, and done
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>).

mod message;
mod provider_item;
mod reasoning;
mod tool_call;

use hearth_domain::{ClientDialect, FinishReason, Message, Run, RunId, RunState, Timestamp, ToolCall, Usage};
use serde_json::{Map, Value, json};

use super::{
    IncompleteDetails, OutputItem, RenderOptions, RequestEcho, ResponseFailure, ResponseObject,
    custom_tools::custom_input,
    item_id::format_item_id,
    item_layout::{AnswerPart, ItemLayout, StoredItem},
};
use crate::{
    ApiError, RunEvent, RunEventBody,
    answer::{cancelled, final_outcome},
    event::ToolCallBegin,
    stream::{Frame, Render},
};

const QUEUED: &str = "queued";
const IN_PROGRESS: &str = "in_progress";
const COMPLETED: &str = "completed";
const INCOMPLETE: &str = "incomplete";
const FAILED: &str = "failed";
const CANCELLED: &str = "cancelled";

/// Renders the events of one run.
#[derive(Debug)]
pub struct ResponsesRenderer {
    response: ResponseObject,
    options: RenderOptions,
    /// End time of a run that has ended already.
    ended_at: Option<Timestamp>,
    /// State of each item of the output.
    items: Vec<RenderedItem>,
    sequence: u64,
    queued: bool,
    begun: bool,
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct RenderedItem {
    part: AnswerPart,
    open: bool,
}

impl Render for ResponsesRenderer {
    type Answer = ResponseObject;

    /// None: the event that ends the response is the last one, this API has no `[DONE]`.
    fn final_frame(&self) -> Option<Frame> {
        None
    }

    fn frames(&mut self, event: &RunEvent) -> Vec<Frame> {
        match &event.body {
            RunEventBody::Selected(selected) => {
                self.response.model = selected.model.to_string();
                self.response.request.fill_sampling_defaults(selected.node.is_some());
                // A fallback is selected later.
                if self.sequence == 0 {
                    self.emit_response("response.created");
                }
            }
            RunEventBody::Waiting { .. } | RunEventBody::Queued { .. } if !self.queued => {
                self.queued = true;
                // It waits for its conversation, before a model is selected.
                if self.sequence == 0 {
                    self.emit_response("response.created");
                }
                QUEUED.clone_into(&mut self.response.status);
                self.emit_response("response.queued");
            }
            RunEventBody::Started { .. } => self.begin(),
            RunEventBody::Delta { choice: 0, text, logprobs } => self.add_text(text, logprobs),
            RunEventBody::Refusal { choice: 0, text } => self.add_refusal(text),
            RunEventBody::Reasoning { choice: 0, index, added } => self.add_reasoning(*index, added),
            RunEventBody::ToolCall { choice: 0, index, begins, arguments } => {
                self.add_to_call(*index, begins.as_ref(), arguments);
            }
            RunEventBody::Extension { choice: 0, dialect: ClientDialect::OpenAiResponses, extension } => {
                self.add_extension(extension);
            }
            RunEventBody::Structured { choice: 0, structured } => {
                self.response.structured = Some(structured.into());
            }
            RunEventBody::Usage { usage } => self.response.usage = Some((*usage).into()),
            RunEventBody::Done { finish_reason } => self.complete(*finish_reason),
            RunEventBody::Error { error } => self.fail(FAILED, error),
            RunEventBody::Cancelled => self.fail(CANCELLED, &cancelled()),
            _ => {}
        }
        std::mem::take(&mut self.frames)
    }

    fn into_answer(mut self, events: &[RunEvent]) -> Result<ResponseObject, ApiError> {
        final_outcome(events)?;
        for event in events {
            self.frames(event);
        }
        Ok(self.response)
    }
}

impl ResponsesRenderer {
    /// Creates a renderer for the run `id`, before its first event.
    pub(super) fn new(id: RunId, request: RequestEcho, options: RenderOptions) -> Self {
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
            request,
        };
        Self {
            response,
            options,
            ended_at: None,
            items: Vec::new(),
            sequence: 0,
            queued: false,
            begun: false,
            frames: Vec::new(),
        }
    }

    /// Creates a renderer that renders the events of a recorded run again, from the first: each event gets the number that
    /// it had.
    #[must_use]
    pub fn of_run(run: &Run, request: RequestEcho, options: RenderOptions) -> Self {
        let options = options.or_of(&request);
        let mut renderer = Self::new(run.id, request, options);
        renderer.response.created_at = run.created_at.unix();
        renderer.ended_at = run.finished_at;
        renderer
    }

    /// Renders the response of a run from its record, its stored answer and the layout of its items. One that hasn't ended
    /// has no output yet.
    #[must_use]
    pub fn from_record(
        run: &Run,
        answer: &Message,
        layout: &ItemLayout,
        request: RequestEcho,
        options: RenderOptions,
    ) -> ResponseObject {
        let mut renderer = Self::of_run(run, request, options);
        renderer.response.model = run.selection.model.to_string();
        renderer.response.request.fill_sampling_defaults(run.selection.node.is_some());
        if !run.state.is_terminal() {
            let status = if run.state == RunState::Queued { QUEUED } else { IN_PROGRESS };
            status.clone_into(&mut renderer.response.status);
            return renderer.response;
        }
        let is_complete = run.state == RunState::Completed;
        // An answer that broke off before its first piece has no item.
        let has_answer = is_complete || !answer.content.is_empty() || !answer.tool_calls.is_empty();
        for item in layout.items(answer).into_iter().filter(|_| has_answer) {
            renderer.add_stored(answer, item);
        }
        renderer.response.usage = Some(run.usage.into());
        if !is_complete {
            renderer.end_all(INCOMPLETE);
        }
        match &run.failure {
            _ if is_complete => renderer.complete(run.finish_reason.unwrap_or(FinishReason::Stop)),
            Some(failure) => renderer.break_off(FAILED, &failure.code, &failure.message),
            None => {
                let error = cancelled();
                renderer.break_off(CANCELLED, error.code.as_str(), &error.message);
            }
        }
        renderer.response.completed_at = run.finished_at.filter(|_| is_complete).map(Timestamp::unix);
        renderer.response
    }

    /// The number of the next event.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// The response after the events of the run's beginning.
    #[must_use]
    pub fn into_begun(mut self, events: &[RunEvent]) -> ResponseObject {
        for event in events {
            self.frames(event);
        }
        self.response
    }

    fn add_stored(&mut self, answer: &Message, stored: StoredItem<'_>) {
        let StoredItem { part, text, annotations, phase } = stored;
        match part {
            AnswerPart::Omitted => {
                if let Some(item) = stored.omitted() {
                    self.add_provider_item(item);
                }
            }
            AnswerPart::Text => {
                // Each stored text is an item of its own.
                self.end_text();
                if let Some(phase) = phase {
                    self.add_phase(phase);
                }
                self.add_text(text, &[]);
                annotations.iter().for_each(|annotation| self.add_annotation(annotation));
            }
            AnswerPart::Refusal => self.add_refusal(text),
            AnswerPart::Reasoning(number) => {
                if let Some(block) = answer.reasoning.get(number as usize) {
                    self.add_reasoning(number, block);
                }
            }
            AnswerPart::Call(number) => {
                if let Some(ToolCall { id, name, arguments }) = answer.tool_calls.get(number as usize) {
                    let begins = ToolCallBegin { id: id.clone(), name: name.clone() };
                    self.add_to_call(number, Some(&begins), arguments);
                }
            }
            AnswerPart::Item(number) => {
                if let Some(opaque) = answer.opaque_parts().nth(number as usize) {
                    self.add_provider_item(&opaque.value);
                }
            }
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            IN_PROGRESS.clone_into(&mut self.response.status);
            self.emit_response("response.in_progress");
        }
    }

    fn complete(&mut self, reason: FinishReason) {
        self.begin();
        let (status, incomplete) = match reason {
            FinishReason::Stop | FinishReason::ToolCalls => (COMPLETED, None),
            // The refusal is the complete answer.
            FinishReason::ContentFilter if self.items.iter().any(|item| item.part == AnswerPart::Refusal) => {
                (COMPLETED, None)
            }
            FinishReason::Length => (INCOMPLETE, Some("max_output_tokens")),
            FinishReason::ContentFilter => (INCOMPLETE, Some("content_filter")),
            FinishReason::Cancelled => (CANCELLED, None),
        };
        if self.items.is_empty() && incomplete.is_none() {
            // An empty answer has an empty message.
            self.begin_message(AnswerPart::Text, None);
        }
        self.end_all(if incomplete.is_some() { INCOMPLETE } else { COMPLETED });
        status.clone_into(&mut self.response.status);
        self.response.incomplete_details =
            incomplete.map(|reason| IncompleteDetails { reason: reason.to_owned() });
        self.response.completed_at = Some(self.ended_at.unwrap_or_else(Timestamp::now).unix());
        self.response.usage.get_or_insert(Usage::default().into());
        let name = if incomplete.is_some() { "response.incomplete" } else { "response.completed" };
        self.emit_response(name);
    }

    fn fail(&mut self, status: &str, error: &ApiError) {
        self.break_off(status, error.code.as_str(), &error.message);
        self.emit_response("response.failed");
    }

    fn break_off(&mut self, status: &str, code: &str, message: &str) {
        status.clone_into(&mut self.response.status);
        self.response.error = Some(ResponseFailure { code: code.to_owned(), message: message.to_owned() });
    }

    /// The id of the next item.
    fn next_item_id(&self, prefix: &str) -> String {
        format_item_id(prefix, &self.response.id, self.items.len())
    }

    /// Adds an item, and returns its index.
    fn add_item(&mut self, part: AnswerPart, item: OutputItem) -> usize {
        self.begin();
        let index = self.items.len();
        let fields = json!({"output_index": index, "item": item.without_content()});
        self.emit("response.output_item.added", fields);
        self.items.push(RenderedItem { part, open: true });
        self.response.output.push(item.into());
        index
    }

    /// The item at `index`, unless it is the provider's.
    fn item_mut(&mut self, index: usize) -> Option<&mut OutputItem> {
        self.response.output.get_mut(index)?.standard_mut()
    }

    /// Ends all open items but calls, before another item begins. Calls stay open: some providers stream several at once.
    fn end_all_but_calls(&mut self) {
        for index in 0..self.items.len() {
            if self.items[index].open && !matches!(self.items[index].part, AnswerPart::Call(_)) {
                self.end_item(index, COMPLETED);
            }
        }
    }

    fn end_all(&mut self, end_status: &str) {
        let open: Vec<usize> = (0..self.items.len()).filter(|index| self.items[*index].open).collect();
        for index in open {
            self.end_item(index, end_status);
        }
    }

    fn end_item(&mut self, index: usize, end_status: &str) {
        self.items[index].open = false;
        let Some(item) = self.item_mut(index) else { return };
        match item {
            OutputItem::Message { content, status, .. } => {
                end_status.clone_into(status);
                if let Some(part) = content.first().cloned() {
                    self.emit_part_done(index, &part);
                }
            }
            OutputItem::Reasoning { content, summary, status, .. } => {
                end_status.clone_into(status);
                if let Some(part) = content.as_ref().unwrap_or(summary).first().cloned() {
                    self.emit_reasoning_done(index, &part);
                }
            }
            OutputItem::FunctionCall { name, arguments, status, .. } => {
                end_status.clone_into(status);
                let fields = json!({"name": name, "arguments": arguments});
                self.emit_for_item(index, "response.function_call_arguments.done", fields);
            }
            OutputItem::CustomToolCall { input, status, .. } => {
                end_status.clone_into(status);
                *input = custom_input(input);
                let input = input.clone();
                self.emit_for_item(index, "response.custom_tool_call_input.delta", json!({"delta": input}));
                self.emit_for_item(index, "response.custom_tool_call_input.done", json!({"input": input}));
            }
        }
        let item = json!({"output_index": index, "item": self.response.output[index]});
        self.emit("response.output_item.done", item);
    }

    /// Emits an event with the whole response.
    fn emit_response(&mut self, name: &'static str) {
        self.emit(name, json!({"response": self.response}));
    }

    /// Emits an event of the item at `index`.
    fn emit_for_item(&mut self, index: usize, name: &'static str, mut fields: Value) {
        if let Some(item) = self.item_mut(index) {
            fields["item_id"] = json!(item.id());
        }
        fields["output_index"] = json!(index);
        self.emit(name, fields);
    }

    fn emit(&mut self, name: &'static str, fields: Value) {
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
