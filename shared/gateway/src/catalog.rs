//! What is known of the models that are asked, and what they cost.

use std::borrow::Cow;

use hearth_domain::{Cost, Facts, Price, Usage};
use hearth_providers::{Provider, config::LOCAL};

use crate::Gateway;

/// What a model of a provider takes.
#[derive(Debug, Default)]
pub(crate) struct Tariff {
    provider: String,
    /// None where it isn't known.
    price: Option<Price>,
}

impl Tariff {
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

impl Gateway {
    /// What is known of a model of a provider; nothing of a node's, whose file tells.
    #[must_use]
    pub(crate) fn facts(&self, provider: &dyn Provider, model: &str) -> Option<Cow<'_, Facts>> {
        self.0.directory.routing().catalog.facts(provider.name(), provider.kind(), model)
    }

    /// What a model of a provider takes. A node's takes nothing.
    pub(crate) fn tariff(&self, provider: &dyn Provider, model: &str) -> Tariff {
        let price = match provider.kind() {
            LOCAL => Some(Price::free()),
            _ => self.facts(provider, model).and_then(|facts| facts.price.clone()),
        };
        Tariff { provider: provider.name().to_owned(), price }
    }
}
