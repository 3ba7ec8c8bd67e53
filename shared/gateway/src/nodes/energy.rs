//! The energy of runs at nodes.

use std::time::{Duration, Instant};

use hearth_domain::{Cost, NodeEnergy, NodeId, Price, Rate};

use super::{LiveNode, Nodes, runs::NodeRuns};

/// Tokens a second that the worst case assumes where no speed is measured.
const UNMEASURED_SPEED: f64 = 5.0;
/// Tokens a second below which the worst case takes no speed for true: a node sets its own.
const SPEED_MIN: f64 = 0.5;
/// Time that the worst case adds to that of the tokens.
const WORST_OVERHEAD_LIMIT: Duration = Duration::from_secs(60);

/// The energy of a node that may serve a run, and the runs that share it.
#[derive(Debug, Clone)]
pub(crate) struct EnergyUse {
    energy: NodeEnergy,
    node: NodeId,
    /// The runs of this process. Those of others aren't known here.
    runs: NodeRuns,
    /// Runs of the model that the node computes at once.
    slots: u32,
    /// The measured speed of the model, if there is one.
    tokens_per_second: Option<f64>,
}

/// Measures the energy of a run, from its slot to its end.
#[derive(Debug)]
pub(crate) struct EnergyMeter {
    node: EnergyUse,
    began: Option<(Instant, u32)>,
}

impl Nodes {
    /// Sets the energy of the node in this process, by its settings.
    pub(crate) fn set_in_process_energy(&self, energy: NodeEnergy) {
        // A second node is ignored, as in `attach`.
        let _ = self.in_process_energy.set(energy);
    }

    /// The energy of a node: as its owner has set it here, else by the node's own settings. `slots` and
    /// `tokens_per_second`: of the model that serves.
    pub(crate) fn energy_use(
        &self,
        node: &LiveNode,
        slots: u32,
        tokens_per_second: Option<f64>,
    ) -> Option<EnergyUse> {
        let is_in_process = self.in_process.get().is_some_and(|local| local.id() == node.record.id);
        let of_settings = match is_in_process {
            true => self.in_process_energy.get().copied(),
            false => node.state.as_ref().and_then(|state| state.energy),
        };
        let energy = node.record.energy.or(of_settings)?;
        Some(EnergyUse { energy, node: node.record.id, runs: self.runs.clone(), slots, tokens_per_second })
    }
}

impl EnergyUse {
    /// The price of the model's tokens by its speed; free until a speed is measured, else the node would never get a run.
    pub(crate) fn price(&self) -> Price {
        let output = self.tokens_per_second.and_then(|speed| self.energy.price_per_token(speed));
        Price { output: Some(output.unwrap_or(Rate::FREE)), ..Price::free() }
    }

    /// The most that a run of so many tokens is taken to cost: alone, and with the prompt as slow as the answer.
    pub(crate) fn worst_cost(&self, tokens: u32) -> Cost {
        let speed = self.tokens_per_second.unwrap_or(UNMEASURED_SPEED).max(SPEED_MIN);
        self.energy.cost(WORST_OVERHEAD_LIMIT + Duration::from_secs_f64(f64::from(tokens) / speed), 1.0)
    }

    /// A meter for one run.
    pub(crate) fn meter(&self) -> EnergyMeter {
        EnergyMeter { node: self.clone(), began: None }
    }

    /// The runs that share the energy now: those that the node has of this process, up to its slots.
    fn runs_at_once(&self) -> u32 {
        self.runs.of_node(self.node).clamp(1, self.slots.max(1))
    }
}

impl EnergyMeter {
    /// Begins to measure: the run has a slot. A second call changes nothing.
    pub(crate) fn begin(&mut self) {
        if self.began.is_none() {
            self.began = Some((Instant::now(), self.node.runs_at_once()));
        }
    }

    /// The cost up to now, shared by the mean of the runs at the beginning and now; nothing before the run has a slot.
    pub(crate) fn cost(&self) -> Cost {
        let Some((began, runs_then)) = self.began else { return Cost::ZERO };
        let runs_at_once = f64::from(runs_then.saturating_add(self.node.runs_at_once())) / 2.0;
        self.node.energy.cost(began.elapsed(), runs_at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_shares_the_energy_with_those_beside_it() {
        let energy = NodeEnergy { idle_watts: 0.0, busy_watts: 360.0, price_per_kwh: 1.0 };
        let (runs, node) = (NodeRuns::default(), NodeId::new());
        let alone = EnergyUse { energy, node, runs: runs.clone(), slots: 2, tokens_per_second: None };
        // Ten seconds at 360 W are a thousandth of a kilowatt-hour.
        let cost = |node: &EnergyUse, runs_then: u32| {
            let began = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
            let cost = EnergyMeter { node: node.clone(), began: Some((began, runs_then)) }.cost();
            (cost.dollars() * 1e6).round() / 1e6
        };
        assert!((cost(&alone, 1) - 0.001).abs() < 2e-6);
        let _beside: Vec<_> = (0..3).map(|_| runs.begin(node, "m", None)).collect();
        // Two of the three have a slot: at the end two share, at the beginning one had it alone or two shared it.
        assert!((cost(&alone, 2) - 0.0005).abs() < 2e-6);
        assert!((cost(&alone, 1) - 0.001 / 1.5).abs() < 2e-6);
        assert_eq!(alone.meter().cost(), Cost::ZERO);
    }

    #[test]
    fn price_follows_the_speed_and_is_free_before_it_is_measured() {
        let energy = NodeEnergy { idle_watts: 100.0, busy_watts: 460.0, price_per_kwh: 0.5 };
        let runs = NodeRuns::default();
        let node = EnergyUse { energy, node: NodeId::new(), runs, slots: 4, tokens_per_second: None };
        assert_eq!(node.price(), Price::free());
        // 360 W for a minute and the 300 s of 1500 tokens: 36 Wh.
        assert_eq!(node.worst_cost(1500).to_string(), "0.018");
        // 360 W at 100 tokens a second: 3.6 J a token, a millionth of a kilowatt-hour.
        let node = EnergyUse { tokens_per_second: Some(100.0), ..node };
        let price = node.price();
        assert_eq!(price.output.map(|rate| rate.of(1_000_000).to_string()).as_deref(), Some("0.5"));
        assert_eq!(node.worst_cost(30_000).to_string(), "0.018");
        // A node that dawdles makes no run as dear as it likes.
        let slow = EnergyUse { tokens_per_second: Some(1e-9), ..node };
        assert_eq!(slow.worst_cost(150).to_string(), "0.018");
    }
}
