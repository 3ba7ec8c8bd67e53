//! What is known of a library: its score, and how its self-test went.

use std::time::Instant;

use hearth_wire::node::{BackendState, NodeBackend};

use super::{child::ChildFailure, compare::Results, libraries::BackendLibrary, self_test::Event};

/// A library and ggml's score of it on this processor.
pub(super) struct Scored<'a> {
    pub(super) library: &'a BackendLibrary,
    pub(super) score: Result<Option<i32>, ChildFailure>,
}

impl Scored<'_> {
    /// Of libraries without a score, ggml knows that they are there and no more.
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

    /// The result of one that was not tested, as its score says why.
    pub(super) fn unusable(&self) -> NodeBackend {
        match &self.score {
            Ok(_) => self.backend(BackendState::Unsupported),
            // A library for GPUs may lack its driver's: then it cannot be loaded.
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

/// A self-test that was run.
pub(super) struct Run {
    pub(super) ended: Result<Vec<Event>, ChildFailure>,
    pub(super) milliseconds: u64,
}

impl Run {
    pub(super) fn results(&self) -> Result<Vec<Results>, String> {
        match &self.ended {
            Ok(events) => Results::of(events),
            Err(failure) => Err(failure.clone().reason()),
        }
    }

    /// Whether each device's numbers are right.
    pub(super) fn check(&self, reference: Option<&Results>) -> Result<(), String> {
        let devices = self.results()?;
        reference.map_or(Ok(()), |reference| devices.iter().try_for_each(|device| device.check(reference)))
    }
}

/// Since then.
pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
