//! Placement: the order in which nodes that have a model are asked for a run, and the nodes that get none.
//!
//! The caller's own nodes come before shared ones, which other members use too. Among these the model's state decides, then the
//! runs before this one, then the measured speed.

use std::cmp::Reverse;

use hearth_domain::RuntimeState;

/// Speeds whose ratio is less than this count as equal: then the node with fewer runs is asked.
const SPEED_STEP: f64 = 1.5;

/// A node that may serve a run with one of its models.
#[derive(Debug, Clone)]
pub(crate) struct NodeOption {
    /// The caller owns it.
    pub(crate) is_own: bool,
    /// It gets no further runs.
    pub(crate) is_draining: bool,
    /// The model's state.
    pub(crate) state: RuntimeState,
    /// Runs of the model that have a slot or wait for one.
    pub(crate) model_runs: u32,
    /// Runs of the model that it computes at once.
    pub(crate) slots: u32,
    /// Runs of all of its models.
    pub(crate) node_runs: u32,
    /// Runs that it takes.
    pub(crate) runs_max_count: Option<u32>,
    /// The model fits into its free memory; none if that isn't known.
    pub(crate) has_memory: Option<bool>,
    /// The mean speed of the model's latest runs there; none before the first one.
    pub(crate) tokens_per_second: Option<f64>,
}

/// The reason why a node gets no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassedOver {
    Draining,
    /// It has all the runs that it takes.
    Full(u32),
}

impl PassedOver {
    /// The reason, which follows the node's name.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Draining => "is draining: it gets no further runs".to_owned(),
            Self::Full(count) => format!("has all the runs that it takes ({count})"),
        }
    }
}

/// The nodes in the order in which they are asked, and the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Indices of the options.
    pub(crate) order: Vec<usize>,
    /// Indices of the options that get no run.
    pub(crate) passed_over: Vec<(usize, PassedOver)>,
}

/// Orders the nodes. Equal ones keep their order.
pub(crate) fn place(options: &[NodeOption]) -> Placement {
    let (mut order, mut passed_over) = (Vec::new(), Vec::new());
    for (index, option) in options.iter().enumerate() {
        match option.passed_over() {
            Some(reason) => passed_over.push((index, reason)),
            None => order.push(index),
        }
    }
    order.sort_by_cached_key(|index| options[*index].rank());
    Placement { order, passed_over }
}

impl NodeOption {
    fn passed_over(&self) -> Option<PassedOver> {
        if self.is_draining {
            return Some(PassedOver::Draining);
        }
        self.runs_max_count.filter(|count| self.node_runs >= *count).map(PassedOver::Full)
    }

    /// The rank: the smallest one is asked first.
    fn rank(&self) -> impl Ord + use<> {
        let state = match (self.state, self.has_memory) {
            (RuntimeState::Loaded | RuntimeState::Busy, _) => 0,
            (RuntimeState::Loading, _) => 1,
            (RuntimeState::Unloaded, None | Some(true)) => 2,
            // It has to evict another model, which may be in use.
            (RuntimeState::Unloaded, Some(false)) => 3,
            (RuntimeState::Failed | RuntimeState::Downloading, _) => 4,
        };
        // A node without a measured speed comes first: otherwise it would never get one.
        let speed = self.tokens_per_second.map_or(i32::MAX, speed_class);
        (!self.is_own, state, self.runs_before(), Reverse(speed), self.model_runs)
    }

    /// Runs that must end before this one gets a slot.
    fn runs_before(&self) -> u32 {
        (self.model_runs + 1).saturating_sub(self.slots.max(1))
    }

    /// The reasons of its place, for people.
    pub(crate) fn describe(&self) -> String {
        let mut text = if self.is_own { "own" } else { "shared" }.to_owned();
        let (free, slots) = (self.slots.saturating_sub(self.model_runs), self.slots);
        text += match self.state {
            RuntimeState::Loaded | RuntimeState::Busy => ", model loaded",
            RuntimeState::Loading => ", model is being loaded",
            RuntimeState::Unloaded if self.has_memory == Some(false) => {
                ", model not loaded, and without free memory for it"
            }
            RuntimeState::Unloaded => ", model not loaded",
            RuntimeState::Downloading => ", model is being downloaded",
            RuntimeState::Failed => ", model failed to load",
        };
        text += &match self.runs_before() {
            0 => format!(", {free} of {slots} slots free"),
            before => format!(", {before} runs before"),
        };
        if let Some(speed) = self.tokens_per_second {
            text += &format!(", {speed:.0} tokens/s");
        }
        text
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a logarithm is small, and a cast saturates")]
fn speed_class(tokens_per_second: f64) -> i32 {
    tokens_per_second.max(0.01).log(SPEED_STEP).round() as i32
}

#[cfg(test)]
mod tests;
