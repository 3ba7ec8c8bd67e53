//! Types and rules of the gateway: ids, messages, sampling, models, runs, permissions.
//!
//! Nothing here does I/O, awaits, or knows of AWS, HTTP or llama.cpp. A rule that can be stated
//! without a network is stated here, and tested by tables.

#![warn(missing_docs)]

pub mod generation;
pub mod id;
pub mod message;
pub mod model;
pub mod run;
pub mod sampling;
pub mod scope;
pub mod secret;
pub mod timestamp;

pub use generation::{Generation, OnDisconnect};
pub use id::{ModelId, NodeId, RunId, TokenId, UserId};
pub use message::{Message, Role};
pub use model::{Capability, Modality, Model, ModelSource, RuntimeState};
pub use run::{FinishReason, Run, RunState, Usage};
pub use sampling::Sampling;
pub use scope::Scope;
pub use secret::Secret;
pub use timestamp::Timestamp;
