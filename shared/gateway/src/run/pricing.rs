//! The cost of runs.

use std::sync::Arc;

use hearth_domain::{Cost, Price, Task, Usage};
use hearth_wire::RunEventBody;

use crate::{nodes::EnergyMeter, providers::model_metrics::ModelMetrics};

/// Counts the tokens of a run at one provider, and their cost.
#[derive(Debug, Default)]
pub(super) struct CostMeter {
    /// None before a provider is selected.
    metrics: Option<Arc<ModelMetrics>>,
    /// None if it is unknown.
    price: Option<Price>,
    /// The number of images so far.
    images: u32,
    /// The energy of the run, if a node serves it whose energy is known: then it is the cost.
    energy: Option<EnergyMeter>,
}

impl CostMeter {
    pub(super) fn new(price: Option<Price>, energy: Option<EnergyMeter>, metrics: Arc<ModelMetrics>) -> Self {
        Self { metrics: Some(metrics), price, images: 0, energy }
    }

    /// Counts an event that is charged by the piece, or begins to be charged by the time.
    pub(super) fn count(&mut self, event: &RunEventBody) {
        if let (RunEventBody::Started { .. }, Some(energy)) = (event, &mut self.energy) {
            energy.begin();
        }
        self.images += u32::from(matches!(event, RunEventBody::Artifact { .. }));
    }

    /// Charges the images of a run, where they and not their tokens have a known price.
    pub(super) fn charge_images(&self) -> Option<Cost> {
        let price = self.price.as_ref().filter(|price| price.input.is_none() && price.output.is_none())?;
        let cost = price.of_images(self.images).filter(|_| self.images > 0)?;
        if let Some(metrics) = &self.metrics {
            metrics.count_cost(Some(cost));
        }
        Some(cost)
    }

    /// The cost of tokens that the provider hasn't reported, if their price is known.
    pub(super) fn cost_of(&self, usage: &Usage) -> Option<Cost> {
        match &self.energy {
            Some(energy) => Some(energy.cost()),
            None => self.price.as_ref().and_then(|price| price.of(usage)),
        }
    }

    /// Charges the tokens of a run, if their price is known.
    pub(super) fn charge_tokens(&self, task: &Task, usage: &Usage) -> Option<Cost> {
        let cost = self.cost_of(usage);
        if let Some(metrics) = &self.metrics {
            metrics.operation(task).count_tokens(usage);
            metrics.count_cost(cost);
        }
        cost
    }
}
