//! A cached answer: its model, and its events.

use std::fmt;

use hearth_domain::{Cost, FinishReason, Pattern, Payer, Selection, UserId};
use hearth_store::cached_answers::CachedFacts;
use hearth_wire::{RunEvent, RunEventBody};
use serde::{Deserialize, Serialize};

/// The reason why a run has the model of a cached answer.
const REASON: &str = "the answer is cached";

/// A cached answer.
pub(crate) struct CachedAnswer {
    pub(super) facts: CachedFacts,
    stored: StoredAnswer,
    /// Approximate bytes in memory.
    pub(super) weight: u32,
}

/// An answer as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    pub(super) selected: Selection,
    /// From the answer's beginning to its end.
    pub(super) events: Vec<RunEventBody>,
}

/// Redacted: an answer is private to its owner.
impl fmt::Debug for CachedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedAnswer").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl CachedAnswer {
    /// `json_bytes`: the length of the answer as JSON.
    pub(super) fn new(facts: CachedFacts, stored: StoredAnswer, json_bytes: usize) -> Self {
        let bytes = json_bytes + stored.events.len() * size_of::<RunEventBody>() + size_of::<Self>();
        Self { facts, stored, weight: u32::try_from(bytes).unwrap_or(u32::MAX) }
    }

    /// Parses a stored answer; none if this version can't read it.
    pub(super) fn read(facts: CachedFacts, body: &str) -> Option<Self> {
        let stored = serde_json::from_str(body).ok()?;
        Some(Self::new(facts, stored, body.len()))
    }

    /// The selected model of a run that it serves.
    pub(crate) fn selected(&self) -> Selection {
        Selection { reason: REASON.to_owned(), payer: None, ..self.stored.selected.clone() }
    }

    /// The owner of the key that the answer was made with.
    pub(crate) fn maker_payer(&self) -> Option<Payer> {
        self.stored.selected.payer
    }

    /// The events of a run that it serves, at no cost.
    pub(crate) fn replay(&self) -> impl Iterator<Item = RunEvent> {
        let events = &self.stored.events;
        let (answer, end) = events.split_at(events.len().saturating_sub(1));
        let selected = std::iter::once(RunEventBody::Selected(self.selected()));
        let cost = std::iter::once(RunEventBody::Cost { cost: Cost::ZERO });
        let bodies = selected.chain(answer.iter().cloned()).chain(cost).chain(end.iter().cloned());
        (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body })
    }

    /// True if it belongs to `owner`, and a name of its model matches.
    pub(super) fn is_of(&self, owner: UserId, pattern: Option<&Pattern>) -> bool {
        self.facts.owner == owner && matches_model(&self.facts, pattern)
    }
}

/// True if a name of the answer's model matches the pattern, or there is no pattern.
pub(super) fn matches_model(facts: &CachedFacts, pattern: Option<&Pattern>) -> bool {
    let Some(pattern) = pattern else { return true };
    let full_name = format!("{}:{}", facts.provider, facts.model);
    [&facts.requested_model, &facts.model, &full_name].iter().any(|name| pattern.matches(name))
}

/// Appends an event to an answer's. Joins pieces of one text.
pub(super) fn append(events: &mut Vec<RunEventBody>, event: RunEventBody) {
    let choice = event.choice();
    let before = events.iter_mut().rev().find(|before| choice.is_some() && before.choice() == choice);
    match (before, event) {
        (
            Some(RunEventBody::Delta { text, logprobs, .. }),
            RunEventBody::Delta { text: more, logprobs: others, .. },
        ) => {
            text.push_str(&more);
            logprobs.extend(others);
        }
        (
            Some(RunEventBody::Reasoning { index, added, .. }),
            RunEventBody::Reasoning { index: same, added: more, .. },
        ) if *index == same => {
            added.text.push_str(&more.text);
            added.signature = more.signature.or_else(|| added.signature.take());
            added.encrypted = more.encrypted.or_else(|| added.encrypted.take());
        }
        (
            Some(RunEventBody::ToolCall { index, arguments, .. }),
            RunEventBody::ToolCall { index: same, begins: None, arguments: more, .. },
        ) if *index == same => arguments.push_str(&more),
        (_, event) => events.push(event),
    }
}

/// True if an answer with this finish reason is complete.
pub(super) fn is_complete(reason: FinishReason) -> bool {
    match reason {
        // The request limits its tokens.
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Length => true,
        FinishReason::ContentFilter | FinishReason::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{ClientDialect, Reasoning};
    use hearth_wire::{answer::Answers, event::ToolCallBegin, extension::Extension};
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = RunEventBody> {
        let text = "[a-c]{0,3}";
        prop_oneof![
            (0..3_u32, text).prop_map(|(choice, text)| RunEventBody::Delta {
                choice,
                text,
                logprobs: Vec::new()
            }),
            (0..2_u32, 0..2_u32, text, any::<bool>()).prop_map(|(choice, index, text, sealed)| {
                let signature = sealed.then(|| text.clone());
                let added = Reasoning { text, signature, encrypted: None };
                RunEventBody::Reasoning { choice, index, added }
            }),
            (0..2_u32, 0..2_u32, any::<bool>(), text).prop_map(|(choice, index, begins, arguments)| {
                let begins = begins.then(|| ToolCallBegin { id: "1".into(), name: "look".into() });
                RunEventBody::ToolCall { choice, index, begins, arguments }
            }),
            (0..2_u32, text, any::<bool>()).prop_map(|(choice, text, is_block)| {
                let extension =
                    if is_block { Extension::TextBlock } else { Extension::Annotation(text.into()) };
                RunEventBody::Extension { choice, dialect: ClientDialect::Anthropic, extension }
            }),
            (0..3_u32)
                .prop_map(|choice| RunEventBody::ChoiceDone { choice, finish_reason: FinishReason::Stop }),
        ]
    }

    /// Without events that skip an index, which no provider sends.
    fn in_order(events: Vec<RunEventBody>) -> Vec<RunEventBody> {
        let mut answers = Answers::default();
        let mut numbered = |event: &RunEventBody| {
            let of = |choice: u32| answers.all().get(choice as usize);
            let fits = match event {
                RunEventBody::Reasoning { choice, index, .. } => {
                    *index as usize <= of(*choice).map_or(0, |answer| answer.reasoning.len())
                }
                RunEventBody::ToolCall { choice, index, .. } => {
                    *index as usize <= of(*choice).map_or(0, |answer| answer.tool_calls.len())
                }
                _ => true,
            };
            if fits {
                answers.apply(event);
            }
            fits
        };
        events.into_iter().filter(|event| numbered(event)).collect()
    }

    proptest! {
        #[test]
        fn joined_pieces_are_the_same_answer(events in prop::collection::vec(event(), 0..24).prop_map(in_order)) {
            let answers = |events: &[RunEventBody]| {
                let mut answers = Answers::default();
                events.iter().for_each(|event| answers.apply(event));
                answers
            };
            let mut joined = Vec::new();
            events.iter().cloned().for_each(|event| append(&mut joined, event));
            prop_assert!(joined.len() <= events.len());
            prop_assert_eq!(answers(&joined), answers(&events));
        }
    }
}
