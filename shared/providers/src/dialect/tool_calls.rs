//! Puts the pieces of streamed tool calls together, for every dialect.
//!
//! The documented key of a piece is its index. Servers leave it out, give the same one to several calls, repeat ids and
//! names in each piece, leave ids out, or send the name late. So a piece is assigned by id, index, name and order
//! together, and a call is told once its name is known.

use hearth_wire::{ApiError, RunEventBody, event::ToolCallBegin, json_scanner::JsonScanner};
use rand::distr::{Alphanumeric, SampleString as _};

use super::unreadable;
use crate::reader::ANSWER_MAX_BYTES;

/// The most calls of one answer.
const CALLS_MAX_COUNT: usize = 1024;
/// The length of the random part of an id.
const ID_LENGTH: usize = 24;

/// A piece of a call, as a frame has it. Empty texts count as missing.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// The provider's number for the call, or for the block that it is.
    pub(super) index: Option<u32>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    /// What follows of the arguments' JSON.
    pub(super) arguments: String,
}

/// The calls of one answer.
#[derive(Debug)]
pub(super) struct ToolCalls {
    /// Which answer it is, from 0.
    choice: u32,
    calls: Vec<Call>,
    /// The place in `calls` that the last piece belongs to.
    latest: Option<usize>,
    /// How many calls are told.
    told: u32,
    /// Bytes of arguments that wait for their call's name.
    waiting_bytes: usize,
}

#[derive(Debug)]
struct Call {
    index: Option<u32>,
    /// The provider's own id.
    id: Option<String>,
    name: Option<String>,
    /// The call's number among those that are told.
    number: Option<u32>,
    scanner: JsonScanner,
    /// Arguments that came before the name.
    waiting: String,
    /// The length and a hash of the arguments, to know a call that is sent again as a whole.
    sent: Sent,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sent {
    bytes: usize,
    hash: u64,
}

impl ToolCalls {
    /// The calls of the answer number `choice`, before the first.
    pub(super) fn new(choice: u32) -> Self {
        Self { choice, calls: Vec::new(), latest: None, told: 0, waiting_bytes: 0 }
    }

    /// Whether there is no call.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes a piece, and appends what it gives to `events`.
    ///
    /// # Errors
    /// `provider_error` for more calls, or more arguments without a name, than an answer may have.
    pub(super) fn take(&mut self, mut piece: Piece, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        piece.id = piece.id.filter(|id| !id.is_empty());
        piece.name = piece.name.filter(|name| !name.is_empty());
        let place = match self.place_of(&piece) {
            Some(place) if self.calls[place].is_sent_again(&piece) => return Ok(()),
            Some(place) => place,
            None => self.begin(&piece)?,
        };
        self.latest = Some(place);
        self.calls[place].add(&piece);
        self.tell(place, piece.arguments, events)
    }

    /// The answer has ended. A call without arguments has an empty object.
    ///
    /// # Errors
    /// `provider_error` for a call that has arguments and no name.
    pub(super) fn finish(&mut self, events: &mut Vec<RunEventBody>) -> Result<(), ApiError> {
        for place in 0..self.calls.len() {
            self.end(place, events)?;
        }
        Ok(())
    }

    /// The provider says that the call of this index is whole: what `finish` does for all. `arguments`: as they are if
    /// none came in pieces.
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
            self.tell(place, piece.arguments, events)?;
        }
        self.end(place, events)
    }

    /// The call that a piece goes on with; none if it begins another.
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
        // Without an index it can go on with the latest call only; with one that is new it begins a call.
        let place = by_index.unwrap_or(self.latest)?;
        let call = &self.calls[place];
        let begins = match (&piece.id, &piece.name) {
            // Another id is another call, unless the piece is plainly in the middle of this one's arguments.
            (Some(_), name) if call.id.is_some() => {
                !(call.is_unfinished() && goes_on(piece)) && (name.is_some() || !call.is_unfinished())
            }
            // An id, or a name, that comes late.
            (_, Some(name)) => {
                call.name.as_ref().is_some_and(|known| known != name) || call.is_followed_by(piece)
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
        if self.calls.len() >= CALLS_MAX_COUNT {
            return Err(unreadable(format!("it has more than {CALLS_MAX_COUNT} tool calls")));
        }
        self.calls.push(Call {
            index: piece.index,
            id: None,
            name: None,
            number: None,
            scanner: JsonScanner::default(),
            waiting: String::new(),
            sent: Sent::default(),
        });
        Ok(self.calls.len() - 1)
    }

    /// Appends what is to be told of a call: arguments wait until its name is known.
    fn tell(
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
            self.waiting_bytes += arguments.len();
            if self.waiting_bytes > ANSWER_MAX_BYTES {
                return Err(unreadable("a tool call without a name"));
            }
            call.waiting.push_str(&arguments);
            return Ok(());
        };
        let index = self.told;
        self.told += 1;
        call.number = Some(index);
        let arguments = std::mem::take(&mut call.waiting) + &arguments;
        let begins = Some(ToolCallBegin { id: self.id_to_tell(place), name });
        events.push(RunEventBody::ToolCall { choice, index, begins, arguments });
        Ok(())
    }

    /// The id of a call: the provider's, unless it has none or another call has the same.
    fn id_to_tell(&self, place: usize) -> String {
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
            // An empty beginning, of which nothing has come.
            (Some(_), true) | (None, false) => Ok(()),
        }
    }
}

impl Call {
    fn add(&mut self, piece: &Piece) {
        self.index = self.index.or(piece.index);
        // Once it is told a call keeps its id: the client has it.
        if self.id.is_none() && self.number.is_none() {
            self.id.clone_from(&piece.id);
        }
        if self.name.is_none() {
            self.name.clone_from(&piece.name);
        }
        self.scanner.push(piece.arguments.as_bytes());
        self.sent = self.sent.and(piece.arguments.as_bytes());
    }

    /// Whether arguments have begun and are not whole.
    fn is_unfinished(&self) -> bool {
        self.scanner.has_begun() && !self.scanner.is_complete()
    }

    /// Whether the call is whole and the piece has other arguments: it can't belong to it.
    fn is_followed_by(&self, piece: &Piece) -> bool {
        self.scanner.is_complete() && !piece.arguments.trim().is_empty() && !self.is_sent_again(piece)
    }

    /// Whether the piece is the whole call once more, as some servers send it at the end.
    fn is_sent_again(&self, piece: &Piece) -> bool {
        let same_id = self.id.is_some() && self.id == piece.id;
        same_id && self.scanner.is_complete() && self.sent == Sent::default().and(piece.arguments.as_bytes())
    }
}

/// Whether a piece is the middle of arguments.
fn goes_on(piece: &Piece) -> bool {
    !piece.arguments.is_empty() && !piece.arguments.trim_start().starts_with('{')
}

impl Sent {
    /// With more bytes: FNV-1a (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
    fn and(self, bytes: &[u8]) -> Self {
        let basis = if self.bytes == 0 { 0xcbf2_9ce4_8422_2325 } else { self.hash };
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.iter().fold(basis, step);
        Self { bytes: self.bytes + bytes.len(), hash: if self.bytes + bytes.len() == 0 { 0 } else { hash } }
    }
}

/// An id for a call that has none. Nothing else in the conversation has it: Anthropic's API refuses a repeated one.
pub(super) fn new_call_id() -> String {
    format!("call_{}", Alphanumeric.sample_string(&mut rand::rng(), ID_LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Given<'a> = (Option<u32>, &'a str, &'a str, &'a str);

    /// The calls that these pieces (index, id, name, arguments) give, as (id, name, arguments).
    fn calls(pieces: &[Given<'_>]) -> Vec<(String, String, String)> {
        let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
        for (index, id, name, arguments) in pieces {
            let (id, name) = (Some((*id).to_owned()), Some((*name).to_owned()));
            let piece = Piece { index: *index, id, name, arguments: (*arguments).to_owned() };
            calls.take(piece, &mut events).unwrap();
        }
        calls.finish(&mut events).unwrap();
        let mut made: Vec<(String, String, String)> = Vec::new();
        for event in events {
            let RunEventBody::ToolCall { index, begins, arguments, .. } = event else { panic!("{event:?}") };
            if let Some(ToolCallBegin { id, name }) = begins {
                assert_eq!(index as usize, made.len());
                made.push((id, name, String::new()));
            }
            made[index as usize].2.push_str(&arguments);
        }
        made
    }

    fn expect(pieces: &[Given<'_>], expected: &[(&str, &str, &str)]) {
        let made = calls(pieces);
        let shown: Vec<_> = made.iter().map(|(id, name, args)| (&**id, &**name, &**args)).collect();
        assert_eq!(shown, expected, "{pieces:?}");
    }

    const TWO: [(&str, &str, &str); 2] = [("a", "look", "{\"n\":1}"), ("b", "look", "{\"n\":2}")];

    #[test]
    fn two_calls_are_told_apart_by_whatever_differs() {
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
        // An index that was given twice goes on with the later call.
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
    fn a_repeated_id_or_name_goes_on_with_its_call() {
        let one = [("a", "look", "{\"n\":1}")];
        expect(&[(None, "a", "look", "{\"n\""), (None, "a", "look", ":1}")], &one);
        expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "a", "look", ":1}")], &one);
        // An id of its own for each piece.
        expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "x", "", ":1}"), (Some(0), "y", "", "")], &one);
        expect(&[(Some(0), "a", "look", "{\"n\""), (Some(0), "x", "look", ":1}")], &one);
        // The whole call once more at the end.
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
    fn a_name_that_comes_late_begins_the_call_with_what_was_held() {
        let one = [("a", "look", "{\"n\":1}")];
        expect(&[(Some(0), "a", "", ""), (Some(0), "", "look", "{\"n\":1}")], &one);
        expect(&[(Some(0), "a", "", "{\"n\":"), (Some(0), "a", "look", "1}")], &one);
        expect(&[(None, "a", "", "{\"n\":1}"), (None, "", "look", "")], &one);
    }

    #[test]
    fn missing_and_repeated_ids_are_made_up_and_unique() {
        let made = calls(&[
            (Some(0), "", "look", "{}"),
            (Some(1), "", "look", "{}"),
            (Some(2), "look", "look", "{}"),
            (Some(3), "look", "look", "{}"),
        ]);
        let mut ids: Vec<_> = made.iter().map(|(id, ..)| id.clone()).collect();
        assert_eq!(ids[2], "look");
        ids.extend(calls(&[(Some(0), "", "look", "{}")]).into_iter().map(|(id, ..)| id));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 5);
    }

    #[test]
    fn two_calls_at_one_index_without_ids_are_told_apart_by_whole_arguments_or_names() {
        let made = calls(&[(Some(0), "", "look", "{\"n\":1}"), (Some(0), "", "look", "{\"n\":2}")]);
        assert_eq!((made.len(), &*made[1].2), (2, "{\"n\":2}"));
        let made = calls(&[(None, "", "look", "{}"), (None, "", "hear", ""), (None, "", "", "{\"n\":2}")]);
        let made: Vec<_> = made.iter().map(|(_, name, arguments)| (&**name, &**arguments)).collect();
        assert_eq!(made, [("look", "{}"), ("hear", "{\"n\":2}")]);
    }

    #[test]
    fn a_call_without_arguments_has_an_empty_object() {
        expect(&[(Some(0), "a", "look", ""), (Some(0), "", "", "")], &[("a", "look", "{}")]);
        expect(
            &[(Some(0), "a", "look", ""), (Some(0), "b", "look", "{\"n\":2}")],
            &[("a", "look", "{}"), ("b", "look", "{\"n\":2}")],
        );
    }

    #[test]
    fn a_call_that_never_has_a_name_is_an_error_if_it_says_anything() {
        let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
        calls.take(Piece { index: Some(3), ..Piece::default() }, &mut events).unwrap();
        calls.finish(&mut events).unwrap();
        assert!(events.is_empty());
        let piece = Piece { index: Some(3), arguments: "{".into(), ..Piece::default() };
        calls.take(piece, &mut events).unwrap();
        assert!(calls.finish(&mut events).is_err());
    }

    #[test]
    fn there_is_a_limit_to_calls() {
        let (mut calls, mut events) = (ToolCalls::new(0), Vec::new());
        let mut piece = |index| {
            let name = Some("look".to_owned());
            calls.take(Piece { index: Some(index), name, ..Piece::default() }, &mut events)
        };
        assert!((0..1024).all(|index| piece(index).is_ok()));
        assert!(piece(1024).is_err());
    }
}
