//! Decodes the frames of an answer: events with a `type`. A server that can't stream sends the whole response in one
//! frame.

use std::collections::{HashMap, HashSet};

use hearth_domain::{ClientDialect, FinishReason, Reasoning};
use hearth_wire::{ApiError, RunEventBody, extension::Extension};
use serde_json::Value;

use super::{
    encrypted_reasoning,
    event::{Event, OutputItem, Part, Response},
    whole_items::{item_of, items_of, joined},
};
use crate::{
    answer_error::{broken_off, unknown_finish_reason, unreadable},
    decoder::{Decoder, Frame},
    dialect::{
        failure::{failure, named_failure, stated_failure},
        json,
        openai_chat::chunk::LogprobEntry,
        tool_calls::{Piece, ToolCalls},
    },
    lenient::is_present,
};

/// Maximum number of items of one output.
const ITEMS_MAX_COUNT: usize = 10_000;
/// Longest phase of a message. A longer one is left out.
const PHASE_MAX_BYTES: usize = 64;

/// Decodes events.
#[derive(Debug)]
pub(in crate::dialect) struct ResponsesDecoder {
    /// The blocks of thoughts, by their place in the output.
    thoughts: HashMap<u32, Thoughts>,
    calls: ToolCalls,
    /// The places of calls so far.
    open: HashSet<u32>,
    /// The places of messages whose text has begun.
    texts: HashSet<u32>,
    /// The phases of messages, by their places.
    phases: HashMap<u32, String>,
    /// The places of messages with an annotation.
    annotated: HashSet<u32>,
    /// The places and ids of the provider's items that have ended.
    provider_items: HashSet<(u32, Option<String>)>,
    /// Number of texts so far.
    text_count: usize,
    /// The place of the text that is the latest part of the answer, and the number of its part.
    open_text: Option<(u32, u32)>,
    /// The place of the latest event.
    latest: u32,
    refused: bool,
    begun: bool,
}

/// The state of a block of thoughts.
#[derive(Debug, Clone, Copy)]
struct Thoughts {
    /// The number of the block, from 0.
    number: u32,
    /// True if any text of it has been emitted.
    has_text: bool,
}

impl Default for ResponsesDecoder {
    fn default() -> Self {
        Self {
            thoughts: HashMap::new(),
            calls: ToolCalls::new(0),
            open: HashSet::new(),
            texts: HashSet::new(),
            phases: HashMap::new(),
            annotated: HashSet::new(),
            provider_items: HashSet::new(),
            text_count: 0,
            open_text: None,
            latest: 0,
            refused: false,
            begun: false,
        }
    }
}

impl Decoder for ResponsesDecoder {
    fn decode(&mut self, frame: Frame<'_>, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        if frame.data.trim() == "[DONE]" {
            events.extend(self.end()?);
            return Ok(());
        }
        let Some(mut event) = json::parse::<Event>(frame.data)? else { return Ok(()) };
        let kind = event.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(frame.event);
        if is_present(&event.error) && event.object.as_deref() != Some("response") {
            return Err(failure(&event.error));
        }
        let place = event.output_index.unwrap_or(self.latest);
        self.latest = place;
        let part_number = event.content_index.unwrap_or_default();
        let delta = event.delta.take().filter(|delta| !delta.is_empty());
        let before = events.len();
        match kind {
            "response.output_text.delta" => {
                let logprobs: Vec<_> =
                    event.logprobs.into_iter().filter_map(LogprobEntry::into_token).collect();
                if delta.is_some() || !logprobs.is_empty() {
                    self.begin_text((place, part_number), events)?;
                    let text = delta.unwrap_or_default();
                    events.push(RunEventBody::Delta { choice: 0, text, logprobs });
                }
            }
            "response.output_text.done" => {
                let part = Part { text: event.text, logprobs: event.logprobs, ..Part::default() };
                self.message(place, vec![part], events)?;
            }
            "response.output_text.annotation.added" if event.annotation.is_object() => {
                self.begin_text((place, part_number), events)?;
                self.annotated.insert(place);
                events.push(extension(Extension::Annotation(event.annotation)));
            }
            "response.refusal.delta" => {
                if let Some(text) = delta {
                    self.refused = true;
                    self.open_text = None;
                    self.record_text(place)?;
                    events.push(RunEventBody::Refusal { choice: 0, text });
                }
            }
            "response.output_item.added" => self.begin(place, event.item.unwrap_or_default(), events)?,
            "response.output_item.done" => {
                self.finish(place, event.item.unwrap_or_default(), || item_of(frame.data), events)?;
            }
            "response.function_call_arguments.delta" => {
                if !self.open.contains(&place) {
                    return Err(unreadable("arguments of a tool call that didn't begin"));
                }
                let arguments = delta.unwrap_or_default();
                self.calls.add(Piece { index: Some(place), arguments, ..Piece::default() }, events)?;
            }
            // Parts of a summary are paragraphs.
            "response.reasoning_summary_part.added" if event.summary_index > Some(0) => {
                events.push(self.think(place, "\n\n".to_owned())?);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(text) = delta {
                    events.push(self.think(place, text)?);
                }
            }
            "response.completed" => {
                events.extend(self.done(event.response.unwrap_or_default(), "completed", frame.data)?)
            }
            "response.incomplete" => {
                events.extend(self.done(event.response.unwrap_or_default(), "incomplete", frame.data)?);
            }
            "response.failed" | "response.cancelled" => {
                return Err(failure(&event.response.unwrap_or_default().error));
            }
            "error" => return Err(named_failure(frame.data)),
            "" if event.object.as_deref() == Some("response") => {
                events.extend(self.done(event.into_response(), "", frame.data)?);
            }
            "" => return stated_failure(frame.data).map_or(Ok(()), Err),
            // Beginnings, ends that repeat the content, and events that weren't requested.
            _ => {}
        }
        self.begun |= events.len() > before;
        Ok(())
    }

    fn end(&mut self) -> Result<Vec<RunEventBody>, ApiError> {
        // The last event of a complete answer is terminal: after it this isn't called.
        Err(broken_off())
    }
}

impl ResponsesDecoder {
    /// Decodes the beginning of an item. Texts begin with their first delta.
    fn begin(
        &mut self,
        place: u32,
        item: OutputItem,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        match item.kind.as_deref() {
            Some("reasoning") => {
                self.open_text = None;
                self.block(place).map(|_| ())
            }
            Some("function_call") => {
                self.open_text = None;
                self.open.insert(place);
                let (id, name, index) = (item.call_id, item.name, Some(place));
                self.calls.add(Piece { index, id, name, arguments: String::new() }, events)
            }
            Some("message") => self.record_phase(place, item.phase, events),
            _ => Ok(()),
        }
    }

    /// Records the phase of a message, and emits it if the message's text is open.
    fn record_phase(
        &mut self,
        place: u32,
        phase: Option<String>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        let is_fit = |phase: &String| (1..=PHASE_MAX_BYTES).contains(&phase.len());
        let is_new = !self.phases.contains_key(&place);
        let Some(phase) = phase.filter(is_fit).filter(|_| is_new) else { return Ok(()) };
        if self.open_text.is_some_and(|(open, _)| open == place) {
            events.push(extension(Extension::Phase(phase.clone())));
        }
        self.phases.insert(place, phase);
        check_count(self.phases.len())
    }

    /// Decodes the end of an item: emits the content that wasn't in deltas. `whole`: the item as JSON, for one of a type that
    /// only this dialect has.
    fn finish(
        &mut self,
        place: u32,
        mut item: OutputItem,
        whole: impl FnOnce() -> Option<Value>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        if item.kind.as_deref() != Some("message") {
            self.open_text = None;
        }
        match item.kind.as_deref() {
            Some("function_call") => {
                let whole = item.arguments.take().unwrap_or_default();
                if !self.open.contains(&place) {
                    self.begin(place, item, events)?;
                }
                self.calls.finish_index(Some(place), whole, events)
            }
            Some("reasoning") => {
                let Thoughts { number, has_text } = *self.block(place)?;
                let parts = if item.summary.is_empty() { item.content } else { item.summary };
                let text = if has_text { String::new() } else { joined(parts) };
                let encrypted = item.encrypted_content.as_deref().map(encrypted_reasoning::with_prefix);
                if encrypted.is_some() || !text.is_empty() {
                    self.block(place)?.has_text = true;
                    let added = Reasoning { text, signature: None, encrypted };
                    events.push(RunEventBody::Reasoning { choice: 0, index: number, added });
                }
                Ok(())
            }
            Some("message") => {
                self.record_phase(place, item.phase, events)?;
                self.message(place, item.content, events)
            }
            Some("") | None => Ok(()),
            Some(_) => {
                let Some(whole) = whole().filter(Value::is_object) else { return Ok(()) };
                let id = whole["id"].as_str().map(str::to_owned);
                // Some servers send an end twice.
                if self.provider_items.insert((place, id)) {
                    events.push(extension(Extension::Item(whole)));
                }
                check_count(self.provider_items.len())
            }
        }
    }

    /// Decodes a whole message, unless its text has begun before.
    fn message(
        &mut self,
        place: u32,
        parts: Vec<Part>,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        if self.texts.contains(&place) {
            // Some servers send the citations at the end alone.
            if let Some((open, number)) = self.open_text
                && open == place
                && !self.annotated.contains(&place)
            {
                let annotations = parts.into_iter().nth(number as usize).map(|part| part.annotations);
                self.annotate(place, annotations.unwrap_or_default().into_iter(), events);
            }
            return Ok(());
        }
        for (number, Part { text, refusal, logprobs, annotations }) in (0..).zip(parts) {
            let logprobs: Vec<_> = logprobs.into_iter().filter_map(LogprobEntry::into_token).collect();
            let text = text.unwrap_or_default();
            if !text.is_empty() || !logprobs.is_empty() || !annotations.is_empty() {
                self.begin_text((place, number), events)?;
            }
            if !text.is_empty() || !logprobs.is_empty() {
                events.push(RunEventBody::Delta { choice: 0, text, logprobs });
            }
            self.annotate(place, annotations.into_iter(), events);
            if let Some(text) = refusal.filter(|text| !text.is_empty()) {
                self.record_text(place)?;
                self.open_text = None;
                self.refused = true;
                events.push(RunEventBody::Refusal { choice: 0, text });
            }
        }
        Ok(())
    }

    fn annotate(
        &mut self,
        place: u32,
        annotations: impl Iterator<Item = Value>,
        events: &mut Vec<RunEventBody>,
    ) {
        let before = events.len();
        events.extend(annotations.map(Extension::Annotation).map(extension));
        if events.len() > before {
            self.annotated.insert(place);
        }
    }

    /// Begins the text of a part of a message, unless it is open.
    fn begin_text(&mut self, part: (u32, u32), events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        self.record_text(part.0)?;
        let open = self.open_text.replace(part);
        if open == Some(part) {
            return Ok(());
        }
        if open.is_some() {
            self.text_count += 1;
            check_count(self.text_count)?;
            events.push(extension(Extension::TextBlock));
        }
        let phase = self.phases.get(&part.0).cloned();
        events.extend(phase.map(Extension::Phase).map(extension));
        Ok(())
    }

    fn record_text(&mut self, place: u32) -> Result<(), ApiError> {
        self.texts.insert(place);
        check_count(self.texts.len())
    }

    fn think(&mut self, place: u32, text: String) -> Result<RunEventBody, ApiError> {
        self.open_text = None;
        let block = self.block(place)?;
        block.has_text = true;
        let added = Reasoning { text, ..Reasoning::default() };
        Ok(RunEventBody::Reasoning { choice: 0, index: block.number, added })
    }

    /// Returns the block of thoughts at this place of the output.
    fn block(&mut self, place: u32) -> Result<&mut Thoughts, ApiError> {
        let number = self.thoughts.len();
        check_count(number)?;
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(self.thoughts.entry(place).or_insert(Thoughts { number, has_text: false }))
    }

    /// Decodes the end of the response. `status`: the event's; the response's own status has precedence.
    /// `data`: its frame.
    fn done(&mut self, response: Response, status: &str, data: &str) -> Result<Vec<RunEventBody>, ApiError> {
        let mut events = Vec::new();
        if !self.begun {
            let mut items = None;
            for (place, item) in (0..).zip(response.output) {
                let whole = || {
                    items.get_or_insert_with(|| items_of(data)).get_mut(place as usize).map(std::mem::take)
                };
                self.finish(place, item, whole, &mut events)?;
            }
        }
        self.calls.finish(&mut events)?;
        let cause = response.incomplete_details.and_then(|details| details.reason);
        // Some servers send the status from before the end.
        let is_final = |own: &&str| status.is_empty() || !matches!(*own, "" | "queued" | "in_progress");
        let own = response.status.as_deref().filter(is_final).filter(|_| status != "incomplete");
        let finish_reason = match (own.unwrap_or(status), cause.as_deref()) {
            (_, Some("content_filter")) => FinishReason::ContentFilter,
            // Truncated, for any other cause.
            ("incomplete", _) => FinishReason::Length,
            ("completed", _) if self.refused => FinishReason::ContentFilter,
            ("completed", _) if !self.calls.is_empty() => FinishReason::ToolCalls,
            ("completed", _) => FinishReason::Stop,
            (_, _) if is_present(&response.error) => return Err(failure(&response.error)),
            (status, _) => return Err(unknown_finish_reason(status)),
        };
        events.extend(response.usage.map(|usage| RunEventBody::Usage { usage: usage.into() }));
        events.push(RunEventBody::Done { finish_reason });
        Ok(events)
    }
}

fn extension(extension: Extension) -> RunEventBody {
    RunEventBody::extension(ClientDialect::OpenAiResponses, extension)
}

/// Checks a number of items so far.
fn check_count(count: usize) -> Result<(), ApiError> {
    if count > ITEMS_MAX_COUNT {
        return Err(unreadable(format!("it has more than {ITEMS_MAX_COUNT} items")));
    }
    Ok(())
}
