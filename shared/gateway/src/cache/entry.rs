//! A kept answer: who gave it, and its events.

use std::fmt;

use hearth_domain::{Cost, FinishReason, UserId};
use hearth_store::cached_answers::CachedFacts;
use hearth_wire::{RunEvent, RunEventBody, event::Selected};
use serde::{Deserialize, Serialize};

/// Why the model of a kept answer serves a run.
const REASON: &str = "an answer that the cache has kept";

/// A kept answer.
pub(crate) struct Entry {
    pub(crate) facts: CachedFacts,
    said: Said,
    /// What it takes in memory, in bytes.
    pub(crate) weight: u32,
}

/// What a model has said, as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Said {
    /// Who it was.
    pub(crate) selected: Selected,
    /// From the answer's beginning to its end.
    pub(crate) events: Vec<RunEventBody>,
}

/// What was said is for who asked.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Entry {
    /// Of what was said. `json_bytes`: how long that is as JSON.
    pub(crate) fn new(facts: CachedFacts, said: Said, json_bytes: usize) -> Self {
        let bytes = json_bytes + said.events.len() * size_of::<RunEventBody>() + size_of::<Self>();
        Self { facts, said, weight: u32::try_from(bytes).unwrap_or(u32::MAX) }
    }

    /// Of what was stored; none if this version can't read it.
    pub(crate) fn read(facts: CachedFacts, body: &str) -> Option<Self> {
        let said = serde_json::from_str(body).ok()?;
        Some(Self::new(facts, said, body.len()))
    }

    /// Who serves a run with it.
    pub(crate) fn selected(&self) -> Selected {
        Selected { reason: REASON.to_owned(), ..self.said.selected.clone() }
    }

    /// The events of a run that it serves, which costs nothing.
    pub(crate) fn replay(&self) -> impl Iterator<Item = RunEvent> {
        let (said, end) = self.said.events.split_at(self.said.events.len().saturating_sub(1));
        let selected = std::iter::once(RunEventBody::Selected(self.selected()));
        let cost = std::iter::once(RunEventBody::Cost { cost: Cost::ZERO });
        let bodies = selected.chain(said.iter().cloned()).chain(cost).chain(end.iter().cloned());
        (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body })
    }

    /// Whether it is `owner`'s, and a name of its model fits.
    pub(crate) fn is(&self, owner: UserId, pattern: Option<&str>) -> bool {
        self.facts.owner == owner && fits(&self.facts, pattern)
    }
}

/// Whether a name of the answer's model fits the pattern; without one, every answer fits.
pub(crate) fn fits(facts: &CachedFacts, pattern: Option<&str>) -> bool {
    let Some(pattern) = pattern else { return true };
    let whole = format!("{}:{}", facts.provider, facts.model);
    [&facts.asked, &facts.model, &whole].iter().any(|name| matches(pattern, name))
}

/// Whether a text fits a pattern, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        // The first place is as good as any: what follows has the most room then.
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Takes an answer's next event into those before: pieces of one text become one.
pub(crate) fn append(events: &mut Vec<RunEventBody>, event: RunEventBody) {
    let choice = choice_of(&event);
    let before = events.iter_mut().rev().find(|before| choice.is_some() && choice_of(before) == choice);
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

/// Which of a run's answers an event is of.
fn choice_of(event: &RunEventBody) -> Option<u32> {
    match event {
        RunEventBody::Delta { choice, .. }
        | RunEventBody::Refusal { choice, .. }
        | RunEventBody::Reasoning { choice, .. }
        | RunEventBody::ToolCall { choice, .. }
        | RunEventBody::Structured { choice, .. }
        | RunEventBody::ChoiceDone { choice, .. } => Some(*choice),
        _ => None,
    }
}

/// Whether an answer that ends so is what the model had to say.
pub(crate) fn is_whole(reason: FinishReason) -> bool {
    match reason {
        // So many tokens were asked for, and no more.
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Length => true,
        FinishReason::ContentFilter | FinishReason::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::Reasoning;
    use hearth_wire::{answer::Answers, event::ToolCallBegin};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5-mini", false),
            ("gpt-*", "gpt-5-mini", true),
            ("*mini", "gpt-5-mini", true),
            ("*5*", "gpt-5-mini", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("aa*a", "aa", false),
            ("a*a", "aa", true),
            ("*ab*ab", "xab", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern:?} {text:?}");
        }
    }

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
            (0..3_u32)
                .prop_map(|choice| RunEventBody::ChoiceDone { choice, finish_reason: FinishReason::Stop }),
        ]
    }

    /// Without those that skip a number, as no provider does.
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
                answers.take(event);
            }
            fits
        };
        events.into_iter().filter(|event| numbered(event)).collect()
    }

    proptest! {
        #[test]
        fn pieces_put_together_say_the_same(events in prop::collection::vec(event(), 0..24).prop_map(in_order)) {
            let answers = |events: &[RunEventBody]| {
                let mut answers = Answers::default();
                events.iter().for_each(|event| answers.take(event));
                answers
            };
            let mut together = Vec::new();
            events.iter().cloned().for_each(|event| append(&mut together, event));
            prop_assert!(together.len() <= events.len());
            prop_assert_eq!(answers(&together), answers(&events));
        }
    }
}
