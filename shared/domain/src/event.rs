//! Events: changes that webhooks are called for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Pattern;

/// Declares the kinds: for each its name, and a sentence for the documentation.
macro_rules! event_kinds {
    ($($(#[doc = $purpose:literal])+ $kind:ident: $name:literal;)+) => {
        /// Kind of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum EventKind {
            $($(#[doc = $purpose])+ #[serde(rename = $name)] $kind,)+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// The name, as in events and in the patterns of subscriptions.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }
        }
    };
}

event_kinds! {
    /// A run has ended with an answer.
    RunCompleted: "run.completed";
    /// A run has ended by an error.
    RunFailed: "run.failed";
    /// A run was cancelled.
    RunCancelled: "run.cancelled";
    /// A job has ended with success.
    JobCompleted: "job.completed";
    /// A job has ended by an error.
    JobFailed: "job.failed";
    /// A job was cancelled.
    JobCancelled: "job.cancelled";
    /// A job wasn't begun in its time.
    JobExpired: "job.expired";
    /// A batch has ended, with results for its requests.
    BatchCompleted: "batch.completed";
    /// A batch has ended by an error.
    BatchFailed: "batch.failed";
    /// A batch was cancelled.
    BatchCancelled: "batch.cancelled";
    /// The time of a batch was over before all its requests were carried out.
    BatchExpired: "batch.expired";
    /// A model was downloaded.
    DownloadCompleted: "download.completed";
    /// The download of a model has failed.
    DownloadFailed: "download.failed";
    /// A model was registered.
    ModelRegistered: "model.registered";
    /// A model was removed.
    ModelRemoved: "model.removed";
    /// A node has connected.
    NodeOnline: "node.online";
    /// A node no longer answers.
    NodeOffline: "node.offline";
    /// A budget has reached a part of its limit.
    BudgetThreshold: "budget.threshold";
    /// A webhook was paused, since its endpoint has failed too often.
    WebhookPaused: "webhook.paused";
    /// A test of a webhook. It is sent to that webhook alone.
    WebhookTest: "webhook.test";
}

impl EventKind {
    /// Returns whether a subscription may name it: tests need no subscription.
    #[must_use]
    pub fn is_subscribable(self) -> bool {
        self != Self::WebhookTest
    }

    /// Returns whether `pattern` matches its name: `run.failed`, `run.*`, `*.failed`, `*`.
    #[must_use]
    pub fn matches(self, pattern: &str) -> bool {
        self.is_subscribable() && Pattern::new(pattern).matches(self.as_str())
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of event with this name")]
pub struct UnknownEventKind;

impl FromStr for EventKind {
    type Err = UnknownEventKind;

    fn from_str(text: &str) -> Result<Self, UnknownEventKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownEventKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_kinds_and_never_tests() {
        assert!(EventKind::RunFailed.matches("run.*") && EventKind::RunFailed.matches("*.failed"));
        assert!(EventKind::RunFailed.matches("*") && !EventKind::JobFailed.matches("run.*"));
        assert!(!EventKind::WebhookTest.matches("*") && !EventKind::WebhookTest.matches("webhook.test"));
    }

    #[test]
    fn names_in_json_are_those_of_patterns() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
