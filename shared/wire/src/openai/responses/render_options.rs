//! The parts of a request that its renderer needs besides the repeated parameters.

use serde::{Deserialize, Serialize};

use super::{IncludeQuery, RequestEcho, tool_names::ClientNames};

/// Rendering options of a response. They are stored with its conversation, so that its events can be rendered again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RenderOptions {
    /// True if the request asked for encrypted reasoning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) include_encrypted: bool,
    /// The client's names of tools.
    #[serde(skip_serializing_if = "ClientNames::is_empty")]
    pub(super) client_names: ClientNames,
}

impl RenderOptions {
    /// True if these are the defaults, which aren't stored.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The options of a read that includes these fields, rather than those that the request included.
    #[must_use]
    pub fn including(self, include: &IncludeQuery) -> Self {
        Self { include_encrypted: include.has_encrypted_reasoning(), ..self }
    }

    /// Completes the options of a conversation that was stored without them.
    pub(super) fn or_of(self, request: &RequestEcho) -> Self {
        if !self.client_names.is_empty() {
            return self;
        }
        Self { client_names: ClientNames::of(&request.tools), ..self }
    }
}
