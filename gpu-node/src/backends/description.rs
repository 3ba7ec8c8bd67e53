//! Descriptions of self-test results for people.

use hearth_wire::node::{BackendState, NodeBackend};

/// Describes a backend's result in one line, for logs and `hearth doctor`.
#[must_use]
pub fn describe(backend: &NodeBackend) -> String {
    let NodeBackend { library, state, score, reason, milliseconds } = backend;
    let score = score.map(|score| format!(", score {score}")).unwrap_or_default();
    let reason = reason.as_deref().unwrap_or("no reason was reported");
    match state {
        BackendState::InUse => match milliseconds {
            Some(took) => format!("{library} passed its self-test in {took} ms{score}"),
            None => format!("{library} is in use{score}"),
        },
        BackendState::Passed => format!("{library} passed its self-test{score}"),
        BackendState::Failed => format!("{library} failed its self-test: {reason}"),
        BackendState::Unsupported => format!("{library} does not support this processor"),
        BackendState::NoDevice => match &backend.reason {
            Some(reason) => format!("{library} finds no device: {reason}"),
            None => format!("{library} finds no device"),
        },
        BackendState::NotTested => format!("{library} was not needed{score}"),
    }
}
