//! Assembles tool calls from streamed pieces, for every dialect.
//!
//! The documented key of a piece is its index. Servers omit it, use the same one for several calls, repeat ids and names in
//! each piece, omit ids, or send the name late. So a piece is assigned by id, index, name and order together, and a call
//! is emitted once it has a name.

mod call;

use hearth_wire::{ApiError, RunEventBody, event::ToolCallBegin};
use rand::distr::{Alphanumeric, SampleString as _};

use crate::{
    answer_error::unreadable,
    decoder::{ANSWER_MAX_BYTES, TOOL_CALLS_MAX_COUNT},
};
use call::Call;
pub(super) use call::Piece;

/// Length of the random part of an id.
const ID_LENGTH: usize = 24;

/// The calls of one answer.
#[derive(Debug)]
pub(super) struct ToolCalls {
    /// The number of the answer, from 0.
    choice: u32,
    calls: Vec<Call>,
    /// The place in `calls` that the last piece belongs to.
    latest: Option<usize>,
    /// Number of emitted calls.
    emitted_count: u32,
    /// Number of bytes of arguments that are buffered until their call has a name.
    buffered_bytes: usize,
}

impl ToolCalls {
    /// Creates the calls of the answer number `choice`.
    pub(super) fn new(choice: u32) -> Self {
        Self { choice, calls: Vec::new(), latest: None, emitted_count: 0, buffered_bytes: 0 }
    }

    /// Returns whether there is no call.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a piece, and appends its event to `events`, if there is one.
    ///
    /// # Errors
    /// `provider_error` for more calls, or more arguments without a name, than an answer may have.
    pub(super) fn add(&mut self, mut piece: Piece, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        piece.id = piece.id.filter(|id| !id.is_empty());
        piece.name = piece.name.filter(|name| !name.is_empty());
        let place = match self.place_of(&piece) {
            Some(place) if self.calls[place].is_sent_again(&piece) => return Ok(()),
            Some(place) => place,
            None => self.begin(&piece)?,
        };
        self.latest = Some(place);
        self.calls[place].add(&piece);
        self.emit(place, piece.arguments, events)
    }

    /// Completes all calls when the answer has ended. A call without arguments gets an empty object.
    ///
    /// # Errors
    /// `provider_error` for a call that has arguments and no name.
    pub(super) fn finish(&mut self, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        for place in 0..self.calls.len() {
            self.end(place, events)?;
        }
        Ok(())
    }

    /// Completes the call of this index, as [`Self::finish`] does for all. `arguments`: the whole arguments, which count if
    /// none arrived in pieces.
    ///
    /// # Errors
    /// As for [`Self::finish`].
    pub(super) fn finish_index(
        &mut self,
        index: Option<u32>,
        arguments: String,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        let place = index.and_then(|index| self.with_index(index)).or(self.latest);
        let Some(place) = place else { return Ok(()) };
        if !self.calls[place].scanner.has_begun() {
            let piece = Piece { arguments, ..Piece::default() };
            self.calls[place].add(&piece);
            self.emit(place, piece.arguments, events)?;
        }
        self.end(place, events)
    }

    /// Returns the place of the call that a piece continues; `None` if it begins another.
    fn place_of(&self, piece: &Piece) -> Option<usize> {
        let by_index = piece.index.map(|index| self.with_index(index));
        if let Some(id) = &piece.id {
            let has_id = |call: &Call| call.id.as_ref() == Some(id);
            let same_index =
                |call: &Call| piece.index.is_none() || call.index.is_none() || call.index == piece.index;
            if let Some(place) = self.calls.iter().rposition(|call| has_id(call) && same_index(call)) {
                return Some(place).filter(|place| !self.calls[*place].is_followed_by(piece));
            }
        }
        // Without an index it can continue the latest call only; with a new one it begins a call.
        let place = by_index.unwrap_or(self.latest)?;
        let call = &self.calls[place];
        let begins = match (&piece.id, &piece.name) {
            // Another id means another call, unless the piece is clearly in the middle of this call's arguments.
            (Some(_), name) if call.id.is_some() => {
                !(call.is_unfinished() && piece.is_continuation())
                    && (name.is_some() || !call.is_unfinished())
            }
            // A late id or name.
            (_, Some(name)) => {
                call.name.as_ref().is_some_and(|own| own != name) || call.is_followed_by(piece)
            }
            (Some(_), None) => piece.index.is_none() && call.is_followed_by(piece),
            (None, None) => false,
        };
        (!begins).then_some(place)
    }

    fn with_index(&self, index: u32) -> Option<usize> {
        self.calls.iter().rposition(|call| call.index == Some(index))
    }

    fn begin(&mut self, piece: &Piece) -> Result<usize, ApiError> {
        if self.calls.len() >= TOOL_CALLS_MAX_COUNT {
            return Err(unreadable(format!("it has more than {TOOL_CALLS_MAX_COUNT} tool calls")));
        }
        self.calls.push(Call::with_index(piece.index));
        Ok(self.calls.len() - 1)
    }

    /// Appends the next event of a call: its arguments are buffered until it has a name.
    fn emit(
        &mut self,
        place: usize,
        arguments: String,
        events: &mut Vec<RunEventBody>,
    ) -> Result<(), ApiError> {
        let choice = self.choice;
        let call = &mut self.calls[place];
        if let Some(index) = call.number {
            if !arguments.is_empty() {
                events.push(RunEventBody::ToolCall { choice, index, begins: None, arguments });
            }
            return Ok(());
        }
        let Some(name) = call.name.clone() else {
            self.buffered_bytes += arguments.len();
            if self.buffered_bytes > ANSWER_MAX_BYTES {
                return Err(unreadable("a tool call without a name"));
            }
            call.buffered.push_str(&arguments);
            return Ok(());
        };
        let index = self.emitted_count;
        self.emitted_count += 1;
        call.number = Some(index);
        let arguments = std::mem::take(&mut call.buffered) + &arguments;
        let begins = Some(ToolCallBegin { id: self.unique_id(place), name });
        events.push(RunEventBody::ToolCall { choice, index, begins, arguments });
        Ok(())
    }

    /// Returns the id of a call: the provider's, or a new one if it has none or another call has the same.
    fn unique_id(&self, place: usize) -> String {
        let own = self.calls[place].id.as_ref();
        let taken = |id: &String| self.calls[..place].iter().any(|call| call.id.as_ref() == Some(id));
        own.filter(|id| !taken(id)).cloned().unwrap_or_else(new_call_id)
    }

    fn end(&mut self, place: usize, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        let call = &mut self.calls[place];
        match (call.number, call.scanner.has_begun()) {
            (Some(index), false) => {
                let arguments = "{}".to_owned();
                call.add(&Piece { arguments: arguments.clone(), ..Piece::default() });
                events.push(RunEventBody::ToolCall { choice: self.choice, index, begins: None, arguments });
                Ok(())
            }
            (None, true) => Err(unreadable("a tool call without a name")),
            // A call is complete, or nothing of it has arrived but an empty piece.
            (Some(_), true) | (None, false) => Ok(()),
        }
    }
}

/// Creates an id for a call that has none. It is unique in the conversation: Anthropic's API refuses a repeated one.
pub(super) fn new_call_id() -> String {
    format!("call_{}", Alphanumeric.sample_string(&mut rand::rng(), ID_LENGTH))
}

#[cfg(test)]
mod tests;
