//! What a client asks to be generated, whatever dialect it spoke.

use serde::{Deserialize, Serialize};

use crate::{Message, ModelId, Sampling};

/// What happens to a run when its client goes away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisconnect {
    /// It is stopped.
    #[default]
    Cancel,
    /// It goes on, and its result can be read later.
    Continue,
}

/// A request for text.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The model asked for; `None` and `auto` leave the choice to the gateway.
    pub model: Option<ModelId>,
    /// The conversation, never empty.
    pub messages: Vec<Message>,
    /// How to sample.
    pub sampling: Sampling,
    /// What happens when the client goes away.
    pub on_disconnect: OnDisconnect,
}
