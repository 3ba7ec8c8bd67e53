//! Strategies: the order of several capable candidates.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hearth_domain::{Cost, Strategy, Usage};

use super::{candidates::Candidate, needs::Needs};
use crate::providers::load::LoadTracker;

/// Tokens of an answer without a limit, for comparing costs.
const TYPICAL_ANSWER_TOKENS: u32 = 500;

/// A candidate and its weight in the weighted strategy.
pub(super) type Weighted = (Candidate, u32);

/// Sorts candidates; equal ones keep their order. `name` identifies the group in the weighted strategy.
pub(super) fn order(
    strategy: Strategy,
    mut candidates: Vec<Weighted>,
    name: &str,
    needs: &Needs,
    load: &LoadTracker,
    round_robin: &WeightedRoundRobin,
) -> Vec<Candidate> {
    let key = |candidate: &Candidate| (candidate.account.clone(), candidate.model.as_str().to_owned());
    match strategy {
        Strategy::Priority => {}
        Strategy::LeastBusy => candidates.sort_by_cached_key(|(candidate, _)| {
            let (provider, model) = key(candidate);
            load.in_progress(&provider, &model)
        }),
        // Models without a time yet come first: otherwise they would never get one.
        Strategy::Latency => candidates.sort_by_cached_key(|(candidate, _)| {
            let (provider, model) = key(candidate);
            load.first_token(&provider, &model).unwrap_or(Duration::ZERO)
        }),
        Strategy::Cost => candidates.sort_by_cached_key(|(candidate, _)| {
            let cost = cost(candidate, needs);
            (cost.is_none(), cost)
        }),
        Strategy::Weighted => round_robin.rotate(name, &mut candidates),
    }
    candidates.into_iter().map(|(candidate, _)| candidate).collect()
}

/// The part of a reason that names the strategy: `, the cheapest of 3`.
pub(super) fn describe(strategy: Strategy, count: usize) -> String {
    let choice = match strategy {
        _ if count < 2 => return String::new(),
        Strategy::Priority => return String::new(),
        Strategy::LeastBusy => "the least busy",
        Strategy::Latency => "the one that answers soonest",
        Strategy::Cost => "the cheapest",
        Strategy::Weighted => "whose turn it is",
    };
    format!(", {choice} of {count}")
}

/// The estimated cost of the request, if the prices are known.
fn cost(candidate: &Candidate, needs: &Needs) -> Option<Cost> {
    let price = candidate.info.as_ref()?.price.as_ref()?;
    let usage = Usage {
        prompt_tokens: needs.prompt_tokens.max(1),
        completion_tokens: needs.max_tokens.unwrap_or(TYPICAL_ANSWER_TOKENS),
        ..Usage::default()
    };
    price.of(&usage)
}

/// Smooth weighted round-robin, as in nginx
/// (<https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1>).
///
/// At each request the credit of every candidate grows by its weight. The candidate with the most credit comes first, and
/// pays the sum of all weights. So shares hold over any number of requests, and no candidate gets many in a row.
#[derive(Debug, Default)]
pub(crate) struct WeightedRoundRobin(Mutex<HashMap<String, HashMap<String, i64>>>);

impl WeightedRoundRobin {
    fn rotate(&self, name: &str, candidates: &mut [Weighted]) {
        let key = |candidate: &Candidate| format!("{}:{}", candidate.account, candidate.model);
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let credits = groups.entry(name.to_owned()).or_default();
        credits.retain(|id, _| candidates.iter().any(|(candidate, _)| key(candidate) == *id));
        let mut total = 0;
        for (candidate, weight) in candidates.iter() {
            *credits.entry(key(candidate)).or_default() += i64::from(*weight);
            total += i64::from(*weight);
        }
        let credit = |candidate: &Candidate| credits.get(&key(candidate)).copied().unwrap_or_default();
        candidates.sort_by_cached_key(|(candidate, _)| std::cmp::Reverse(credit(candidate)));
        if let Some((first, _)) = candidates.first() {
            *credits.entry(key(first)).or_default() -= total;
        }
    }
}

#[cfg(test)]
mod tests;
