//! What runs cost.

use hearth_domain::{Cost, Price, Usage};

use crate::resolve::Candidate;

/// What a model of a provider takes.
#[derive(Debug, Default)]
pub(crate) struct Tariff {
    provider: String,
    /// None where it isn't known.
    price: Option<Price>,
}

impl Tariff {
    /// What a candidate's model takes.
    pub(crate) fn of(candidate: &Candidate) -> Self {
        let price = candidate.facts.as_ref().and_then(|facts| facts.price.clone());
        Self { provider: candidate.selected.provider.clone(), price }
    }

    /// What a run costs that took so many tokens, if the price is known. It is counted.
    pub(crate) fn charge(&self, usage: &Usage) -> Option<Cost> {
        let cost = self.price.as_ref().and_then(|price| price.of(usage));
        let provider = || self.provider.clone();
        match cost {
            Some(cost) => {
                metrics::counter!("hearth_cost_nanodollars_total", "provider" => provider())
                    .increment(cost.nanodollars());
            }
            None => {
                metrics::counter!("hearth_cost_unknown_total", "provider" => provider()).increment(1);
            }
        }
        cost
    }
}
