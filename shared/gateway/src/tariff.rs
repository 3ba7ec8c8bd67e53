//! What runs cost.

use hearth_domain::{Cost, Price, Usage};
use hearth_wire::RunEventBody;

use crate::resolve::Candidate;

/// What a model of a provider takes.
#[derive(Debug, Default)]
pub(crate) struct Tariff {
    provider: String,
    /// None where it isn't known.
    price: Option<Price>,
    /// How many images were made.
    images: u32,
}

impl Tariff {
    /// What a candidate's model takes.
    pub(crate) fn of(candidate: &Candidate) -> Self {
        let price = candidate.facts.as_ref().and_then(|facts| facts.price.clone());
        Self { provider: candidate.selected.provider.clone(), price, images: 0 }
    }

    /// Counts what is paid by the piece.
    pub(crate) fn note(&mut self, event: &RunEventBody) {
        self.images += u32::from(matches!(event, RunEventBody::Artifact { .. }));
    }

    /// What the images of a run cost, where they and not their tokens have a known price. It is counted.
    pub(crate) fn charge_files(&self) -> Option<Cost> {
        let price = self.price.as_ref().filter(|price| price.input.is_none() && price.output.is_none())?;
        let cost = price.image.filter(|_| self.images > 0)?.times(self.images);
        metrics::counter!("hearth_cost_nanodollars_total", "provider" => self.provider.clone())
            .increment(cost.nanodollars());
        Some(cost)
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
