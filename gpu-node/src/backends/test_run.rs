//! The score of a library, and the result of its self-test.

use std::time::Instant;

use hearth_wire::node::{BackendState, NodeBackend};

use super::{child::ChildFailure, compare::Results, libraries::BackendLibrary, self_test::Event};

/// A library with ggml's score on this processor.
pub(super) struct Scored<'a> {
    pub(super) library: &'a BackendLibrary,
    pub(super) score: Result<Option<i32>, ChildFailure>,
}

impl Scored<'_> {
    /// The sort order: the score, 1 for a library without one, -1 if the score is unknown.
    pub(super) fn order(&self) -> i32 {
        self.score.as_ref().map_or(-1, |score| score.unwrap_or(1))
    }

    pub(super) fn is_usable(&self) -> bool {
        self.order() > 0
    }

    pub(super) fn backend(&self, state: BackendState) -> NodeBackend {
        let score = self.score.as_ref().ok().copied().flatten();
        let library = self.library.name.clone();
        NodeBackend { library, state, score, reason: None, milliseconds: None }
    }

    /// The result of a library that can't be tested, by its score.
    pub(super) fn unusable(&self) -> NodeBackend {
        match &self.score {
            Ok(_) => self.backend(BackendState::Unsupported),
            // Without a GPU's driver its library cannot be loaded.
            Err(ChildFailure::Refused(reason)) if !self.library.is_cpu => {
                NodeBackend { reason: Some(reason.clone()), ..self.backend(BackendState::NoDevice) }
            }
            Err(failure) => {
                let reason = Some(failure.clone().reason());
                NodeBackend { reason, ..self.backend(BackendState::Failed) }
            }
        }
    }
}

/// A finished self-test.
pub(super) struct TestRun {
    pub(super) outcome: Result<Vec<Event>, ChildFailure>,
    pub(super) milliseconds: u64,
}

impl TestRun {
    pub(super) fn results(&self) -> Result<Vec<Results>, String> {
        match &self.outcome {
            Ok(events) => Results::of(events),
            Err(failure) => Err(failure.clone().reason()),
        }
    }

    /// Compares each device's results with the reference.
    pub(super) fn check(&self, reference: Option<&Results>) -> Result<(), String> {
        let devices = self.results()?;
        reference.map_or(Ok(()), |reference| devices.iter().try_for_each(|device| device.check(reference)))
    }
}

/// The milliseconds since then.
pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
