//! Storage format of a run's events: consecutive pieces of one text are a single entry, so that a token costs little
//! more than its text.

use hearth_domain::Reasoning;
use serde::{Deserialize, Serialize};

use crate::{RunEvent, RunEventBody};

/// Entry of a stored batch.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Entry<P, E> {
    Pieces(P),
    Event(E),
}

/// Pieces of one text with consecutive sequence numbers from `seq`.
#[derive(Serialize)]
struct PiecesRef<'a> {
    seq: u64,
    #[serde(flatten)]
    text: Text,
    pieces: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Pieces {
    seq: u64,
    #[serde(flatten)]
    text: Text,
    pieces: Vec<String>,
}

/// Text that pieces belong to.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    /// Index of the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    choice: u32,
    /// Index of the block of reasoning; `None` for the answer's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thought: Option<u32>,
}

/// Encodes a batch of events as JSON.
///
/// # Errors
/// None for events that a run can have.
pub fn encode(events: &[RunEvent]) -> serde_json::Result<String> {
    let mut entries: Vec<Entry<PiecesRef<'_>, &RunEvent>> = Vec::new();
    for event in events {
        let Some((text, piece)) = piece_of(&event.body) else {
            entries.push(Entry::Event(event));
            continue;
        };
        match entries.last_mut() {
            Some(Entry::Pieces(last))
                if last.text == text && last.seq + last.pieces.len() as u64 == event.seq =>
            {
                last.pieces.push(piece);
            }
            _ => entries.push(Entry::Pieces(PiecesRef { seq: event.seq, text, pieces: vec![piece] })),
        }
    }
    serde_json::to_string(&entries)
}

/// Decodes a batch, including those of earlier versions, with an entry for each event.
///
/// # Errors
/// If it isn't one.
pub fn decode(json: &str) -> serde_json::Result<Vec<RunEvent>> {
    let entries: Vec<Entry<Pieces, RunEvent>> = serde_json::from_str(json)?;
    let mut events = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry {
            Entry::Event(event) => events.push(event),
            Entry::Pieces(Pieces { seq, text: Text { choice, thought }, pieces }) => {
                let bodies = pieces.into_iter().map(|text| match thought {
                    Some(index) => {
                        let added = Reasoning { text, ..Reasoning::default() };
                        RunEventBody::Reasoning { choice, index, added }
                    }
                    None => RunEventBody::Delta { choice, text, logprobs: Vec::new() },
                });
                events.extend((seq..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }));
            }
        }
    }
    Ok(events)
}

/// Returns the text and the piece of an event with nothing else.
fn piece_of(event: &RunEventBody) -> Option<(Text, &str)> {
    match event {
        RunEventBody::Delta { choice, text, logprobs } if logprobs.is_empty() => {
            Some((Text { choice: *choice, thought: None }, text))
        }
        RunEventBody::Reasoning {
            choice,
            index,
            added: Reasoning { text, signature: None, encrypted: None },
        } => Some((Text { choice: *choice, thought: Some(*index) }, text)),
        _ => None,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde gives")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use hearth_domain::{FinishReason, Logprob, TokenLogprob};

    use super::*;

    fn delta(choice: u32, text: &str) -> RunEventBody {
        RunEventBody::Delta { choice, text: text.into(), logprobs: Vec::new() }
    }

    fn thought(index: u32, text: &str, signature: Option<&str>) -> RunEventBody {
        let added =
            Reasoning { text: text.into(), signature: signature.map(str::to_owned), ..Reasoning::default() };
        RunEventBody::Reasoning { choice: 0, index, added }
    }

    #[test]
    fn batch_is_read_as_it_was_written() {
        let token = Logprob { bytes: vec![195, 169], logprob: -0.5 };
        let token = TokenLogprob { token, top: Vec::new() };
        let bodies = [
            RunEventBody::Started { prompt_tokens: 3 },
            thought(0, "Hm", None),
            thought(0, ".", None),
            thought(0, "", Some("sealed")),
            delta(0, "Once"),
            delta(0, " \"upon\""),
            delta(1, "\n"),
            delta(0, ""),
            RunEventBody::Delta { choice: 0, text: "é".into(), logprobs: vec![token] },
            RunEventBody::Done { finish_reason: FinishReason::Stop },
        ];
        let mut events: Vec<_> = (7..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect();
        // A gap, as vectors leave one.
        events.push(RunEvent { seq: 20, body: delta(0, "a") });
        events.push(RunEvent { seq: 22, body: delta(0, "b") });
        assert_eq!(decode(&encode(&events).unwrap()).unwrap(), events);
        // As earlier versions wrote them.
        assert_eq!(decode(&serde_json::to_string(&events).unwrap()).unwrap(), events);
    }

    #[test]
    fn token_costs_little_more_than_its_text() {
        let events: Vec<_> = (1..=500).map(|seq| RunEvent { seq, body: delta(0, " word") }).collect();
        let json = encode(&events).unwrap();
        assert!(json.len() < 500 * " word".len() + 500 * 4, "{} bytes", json.len());
    }
}
