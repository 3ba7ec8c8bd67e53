//! The strategies: who of several that fit comes first.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hearth_domain::{Cost, Strategy, Usage};

use super::{Candidate, needs::Needs};
use crate::load::Load;

/// How long an answer is taken to be whose request doesn't say: only prices are compared by it.
const USUAL_ANSWER: u32 = 500;

/// A candidate, and its share where shares are by weight.
pub(super) type Weighted = (Candidate, u32);

/// Sorts candidates; of equals the first stays the first. `name` is whose shares these are.
pub(super) fn order(
    strategy: Strategy,
    mut candidates: Vec<Weighted>,
    name: &str,
    needs: &Needs,
    load: &Load,
    turns: &Turns,
) -> Vec<Candidate> {
    let who =
        |candidate: &Candidate| (candidate.selected.provider.clone(), candidate.model.as_str().to_owned());
    match strategy {
        Strategy::Priority => {}
        Strategy::LeastBusy => candidates.sort_by_cached_key(|(candidate, _)| {
            let (provider, model) = who(candidate);
            load.running(&provider, &model)
        }),
        // Who hasn't answered yet is asked first, or would never be known.
        Strategy::Latency => candidates.sort_by_cached_key(|(candidate, _)| {
            let (provider, model) = who(candidate);
            load.first_token(&provider, &model).unwrap_or(Duration::ZERO)
        }),
        Strategy::Cost => candidates.sort_by_cached_key(|(candidate, _)| {
            let cost = cost(candidate, needs);
            (cost.is_none(), cost)
        }),
        Strategy::Weighted => turns.take(name, &mut candidates),
    }
    candidates.into_iter().map(|(candidate, _)| candidate).collect()
}

/// How the first of several was found.
pub(super) fn how(strategy: Strategy, count: usize) -> String {
    let how = match strategy {
        _ if count < 2 => return String::new(),
        Strategy::Priority => return String::new(),
        Strategy::LeastBusy => "the least busy",
        Strategy::Latency => "the one that answers soonest",
        Strategy::Cost => "the cheapest",
        Strategy::Weighted => "whose turn it is",
    };
    format!(", {how} of {count}")
}

/// What the request would cost, if the prices are known.
fn cost(candidate: &Candidate, needs: &Needs) -> Option<Cost> {
    let price = candidate.facts.as_ref()?.price.as_ref()?;
    let usage = Usage {
        prompt_tokens: needs.prompt_tokens.max(1),
        completion_tokens: needs.max_tokens.unwrap_or(USUAL_ANSWER),
        ..Usage::default()
    };
    price.of(&usage)
}

/// Whose turn it is, where shares are by weight.
///
/// Each time everybody gains its weight; who has most is taken, and loses what all gained together. So shares
/// hold over any stretch, and no one is taken many times in a row (nginx' smooth weighted round-robin,
/// <https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1>).
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, HashMap<String, i64>>>);

impl Turns {
    fn take(&self, name: &str, candidates: &mut [Weighted]) {
        let key = |candidate: &Candidate| format!("{}:{}", candidate.selected.provider, candidate.model);
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = turns.entry(name.to_owned()).or_default();
        // Who isn't there any more has no turn.
        gained.retain(|who, _| candidates.iter().any(|(candidate, _)| key(candidate) == *who));
        let mut total = 0;
        for (candidate, weight) in candidates.iter() {
            *gained.entry(key(candidate)).or_default() += i64::from(*weight);
            total += i64::from(*weight);
        }
        let has = |candidate: &Candidate| gained.get(&key(candidate)).copied().unwrap_or_default();
        candidates.sort_by_cached_key(|(candidate, _)| std::cmp::Reverse(has(candidate)));
        if let Some((first, _)) = candidates.first() {
            *gained.entry(key(first)).or_default() -= total;
        }
    }
}

#[cfg(test)]
mod tests;
