//! Assembles tool calls from streamed pieces, for every dialect.
//!
//! The documented key of a piece is its index. Servers omit it, use the same one for several calls, repeat ids and names in
//! each piece, omit ids, or send the name late. So a piece is assigned by id, index, name and order together, and a call
//! is emitted once it has a name.

use hearth_wire::{ApiError, RunEventBody, event::ToolCallBegin, json_scanner::JsonScanner};
use rand::distr::{Alphanumeric, SampleString as _};

use crate::{
    answer_error::unreadable,
    decoder::{ANSWER_MAX_BYTES, TOOL_CALLS_MAX_COUNT},
};

/// Length of the random part of an id.
const ID_LENGTH: usize = 24;

/// A piece of a call in a frame. Empty texts count as missing.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// The provider's number of the call, or of its block.
    pub(super) index: Option<u32>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    /// The next part of the arguments' JSON.
    pub(super) arguments: String,
}

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

#[derive(Debug)]
struct Call {
    index: Option<u32>,
    /// The provider's own id.
    id: Option<String>,
    name: Option<String>,
    /// The number of the call among the emitted ones.
    number: Option<u32>,
    scanner: JsonScanner,
    /// Arguments that arrived before the name.
    buffered: String,
    /// Detects a call that is sent again as a whole.
    arguments: ArgumentsDigest,
}

/// The length and a hash of a call's arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ArgumentsDigest {
    bytes: usize,
    hash: u64,
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
                !(call.is_unfinished() && is_continuation(piece)) && (name.is_some() || !call.is_unfinished())
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
        self.calls.push(Call {
            index: piece.index,
            id: None,
            name: None,
            number: None,
            scanner: JsonScanner::default(),
            buffered: String::new(),
            arguments: ArgumentsDigest::default(),
        });
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

impl Call {
    fn add(&mut self, piece: &Piece) {
        self.index = self.index.or(piece.index);
        // An emitted call keeps its id: the client has it.
        if self.id.is_none() && self.number.is_none() {
            self.id.clone_from(&piece.id);
        }
        if self.name.is_none() {
            self.name.clone_from(&piece.name);
        }
        self.scanner.push(piece.arguments.as_bytes());
        self.arguments = self.arguments.and(piece.arguments.as_bytes());
    }

    /// Returns whether the arguments have begun and are incomplete.
    fn is_unfinished(&self) -> bool {
        self.scanner.has_begun() && !self.scanner.is_complete()
    }

    /// Returns whether the call is complete and the piece has other arguments, so that it belongs to another call.
    fn is_followed_by(&self, piece: &Piece) -> bool {
        self.scanner.is_complete() && !piece.arguments.trim().is_empty() && !self.is_sent_again(piece)
    }

    /// Returns whether the piece is the whole call again, as some servers send it at the end.
    fn is_sent_again(&self, piece: &Piece) -> bool {
        let same_id = self.id.is_some() && self.id == piece.id;
        let digest = ArgumentsDigest::default().and(piece.arguments.as_bytes());
        same_id && self.scanner.is_complete() && self.arguments == digest
    }
}

/// Returns whether a piece is in the middle of arguments.
fn is_continuation(piece: &Piece) -> bool {
    !piece.arguments.is_empty() && !piece.arguments.trim_start().starts_with('{')
}

impl ArgumentsDigest {
    /// Adds bytes: FNV-1a (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
    fn and(self, bytes: &[u8]) -> Self {
        let basis = if self.bytes == 0 { 0xcbf2_9ce4_8422_2325 } else { self.hash };
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.iter().fold(basis, step);
        Self { bytes: self.bytes + bytes.len(), hash: if self.bytes + bytes.len() == 0 { 0 } else { hash } }
    }
}

/// Creates an id for a call that has none. It is unique in the conversation: Anthropic's API refuses a repeated one.
pub(super) fn new_call_id() -> String {
    format!("call_{}", Alphanumeric.sample_string(&mut rand::rng(), ID_LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pieces<'a> = (Option<u32>, &'a str, &'a str, &'a str);

    /// The calls of these pieces (index, id, name, arguments), as (id, name, arguments).
    fn calls(pieces: &[Pieces<'_>]) -> Vec<(String, String, String)> {
        let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
        for (index, id, name, arguments) in pieces {
            let (id, name) = (Some((*id).to_owned()), Some((*name).to_owned()));
            let piece = Piece { index: *index, id, name, arguments: (*arguments).to_owned() };
            calls.add(piece, &mut events).unwrap();
        }
        calls.finish(&mut events).unwrap();
        let mut assembled: Vec<(String, String, String)> = Vec::new();
        for event in events {
            let RunEventBody::ToolCall { index, begins, arguments, .. } = event else { panic!("{event:?}") };
            if let Some(ToolCallBegin { id, name }) = begins {
                assert_eq!(index as usize, assembled.len());
                assembled.push((id, name, String::new()));
            }
            assembled[index as usize].2.push_str(&arguments);
        }
        assembled
    }

    fn expect(pieces: &[Pieces<'_>], expected: &[(&str, &str, &str)]) {
        let assembled = calls(pieces);
        let shown: Vec<_> = assembled.iter().map(|(id, name, args)| (&**id, &**name, &**args)).collect();
        assert_eq!(shown, expected, "{pieces:?}");
    }

    const TWO: [(&str, &str, &str); 2] = [("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")];

    #[test]
    fn two_calls_are_distinguished_by_index_id_or_name() {
        expect(&[(None, "a", "look", "{\"n\":1}"), (None, "b", "look", "{\"n\":2}")], &TWO);
        expect(&[(Some(0), "a", "look", "{\"n\":1}"), (Some(0), "b", "look", "{\"n\":2}")], &TWO);
        // Pieces by index.
        expect(
            &[
                (Some(0), "a", "look", ""),
                (Some(1), "b", "look", ""),
                (Some(0), "", "", "{\"n\":"),
                (Some(1), "", "", "{\"n\":"),
                (Some(0), "", "", "1}"),
                (Some(1), "", "", "2}"),
            ],
            &TWO,
        );
        // Pieces by id.
        expect(
            &[
                (None, "a", "look", "{\"n\""),
                (None, "b", "look", "{\"n\""),
                (None, "a", "", ":1}"),
                (None, "b", "", ":2}"),
            ],
            &TWO,
        );
        // An index that two calls have continues the later one.
        expect(
            &[
                (Some(0), "a", "look", "{\"n\":1}"),
                (Some(0), "b", "look", "{\"n\""),
                (Some(0), "", "", ":2}"),
            ],
            &TWO,
        );
    }

    #[test]
    fn repeated_id_or_name_continues_its_call() {
        let one = [("a", "look", "{\"n\":1}")];
        expect(&[(None, "a", "look", "{\"n\""), (None, "a", "look", ":1}")], &one);
        expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "a", "look", ":1}")], &one);
        // An id of its own for each piece.
        expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "x", "", ":1}"), (Some(0), "y", "", "")], &one);
        expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "x", "look", ":1}")], &one);
        // The whole call again at the end.
        expect(
            &[
                (Some(0), "a", "look", "{\"n\":"),
                (Some(0), "", "", "1}"),
                (Some(0), "a", "look", "{\"n\":1}"),
            ],
            &one,
        );
    }

    #[test]
    fn late_name_emits_the_buffered_arguments() {
        let one = [("a", "look", "{\"n\":1}")];
        expect(&[(Some(0), "a", "", ""), (Some(0), "", "look", "{\"n\":1}")], &one);
        expect(&[(Some(0), "a", "", "{\"n\":"), (Some(0), "a", "look", "1}")], &one);
        expect(&[(None, "a", "", "{\"n\":1}"), (None, "", "look", "")], &one);
    }

    #[test]
    fn missing_and_repeated_ids_are_replaced_by_unique_ones() {
        let assembled = calls(&[
            (Some(0), "", "look", "{}"),
            (Some(1), "", "look", "{}"),
            (Some(2), "look", "look", "{}"),
            (Some(3), "look", "look", "{}"),
        ]);
        let mut ids: Vec<_> = assembled.iter().map(|(id, ..)| id.clone()).collect();
        assert_eq!(ids[2], "look");
        ids.extend(calls(&[(Some(0), "", "look", "{}")]).into_iter().map(|(id, ..)| id));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    }

    #[test]
    fn calls_at_one_index_without_ids_are_distinguished_by_complete_arguments_or_names() {
        let assembled = calls(&[(Some(0), "", "look", "{\"n\":1}"), (Some(0), "", "look", "{\"n\":2}")]);
        assert_eq!((assembled.len(), &*assembled[1].2), (2, "{\"n\":2}"));
        let assembled =
            calls(&[(None, "", "look", "{}"), (None, "", "hear", ""), (None, "", "", "{\"n\":2}")]);
        let assembled: Vec<_> =
            assembled.iter().map(|(_, name, arguments)| (&**name, &**arguments)).collect();
        assert_eq!(assembled, [("look", "{}"), ("hear", "{\"n\":2}")]);
    }

    #[test]
    fn call_without_arguments_gets_an_empty_object() {
        expect(&[(Some(0), "a", "look", ""), (Some(0), "", "", "")], &[("a", "look", "{}")]);
        expect(
            &[(Some(0), "a", "look", ""), (Some(0), "b", "look", "{\"n\":2}")],
            &[("a", "look", "{}"), ("b", "look", "{\"n\":2}")],
        );
    }

    #[test]
    fn call_without_a_name_is_an_error_if_it_has_arguments() {
        let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
        calls.add(Piece { index: Some(3), ..Piece::default() }, &mut events).unwrap();
        calls.finish(&mut events).unwrap();
        assert!(events.is_empty());
        let piece = Piece { index: Some(3), arguments: "{".into(), ..Piece::default() };
        calls.add(piece, &mut events).unwrap();
        assert!(calls.finish(&mut events).is_err());
    }

    #[test]
    fn too_many_calls_are_an_error() {
        let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
        let mut piece = |index| {
            let name = Some("look".to_owned());
            calls.add(Piece { index: Some(index), name, ..Piece::default() }, &mut events)
        };
        assert!((0..1024).all(|index| piece(index).is_ok()));
        assert!(piece(1024).is_err());
    }
}
