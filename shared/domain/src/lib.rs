//! Types and rules of the gateway: ids, messages, sampling, models, runs, permissions.
//!
//! Nothing here does I/O, awaits, or knows of AWS, HTTP or llama.cpp. A rule that can be stated
//! without a network is stated here, and tested by tables.

#![warn(missing_docs)]

pub mod artifact;
pub mod attachment;
pub mod cache;
pub mod check;
pub mod credits;
pub mod delivery;
pub mod generation;
pub mod hex;
pub mod id;
pub mod image;
pub mod image_task;
pub mod intent;
pub mod logprob;
pub mod mesh;
pub mod mesh_task;
pub mod message;
pub mod model;
pub mod model_family;
pub mod model_info;
pub mod money;
pub mod pattern;
pub mod reasoning;
pub mod response_format;
pub mod route;
pub mod run;
pub mod sampling;
pub mod scope;
pub mod secret;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timestamp;
pub mod tool;

pub use artifact::Artifact;
pub use attachment::{Attachment, AttachmentContent, Document, DocumentSource, Opaque, PartExtra, PartPlace};
pub use cache::CacheControl;
pub use check::{Field, InvalidTask};
pub use credits::{CreditStatus, Credits};
pub use delivery::Delivery;
pub use generation::{ClientDialect, Extra, Generation, HostedTools, OnDisconnect, Priority, WhileLoading};
pub use hex::hex;
pub use id::{ArtifactId, ModelId, NodeId, RunId, TokenId, UserId};
pub use image::{Image, ImageSource, PlacedImage};
pub use image_task::{ImageFormat, ImageTask, Size};
pub use intent::Intent;
pub use logprob::{Logprob, TokenLogprob};
pub use mesh::Mesh;
pub use mesh_task::MeshTask;
pub use message::{Message, Part, Role};
pub use model::{Capability, Modality, Model, ModelDescription, ModelSource, RuntimeState};
pub use model_family::modality_of;
pub use model_info::{Input, ModelInfo, Price, Tier};
pub use money::{Cost, Rate};
pub use pattern::Pattern;
pub use reasoning::{Reasoning, ReasoningEffort};
pub use response_format::{Enforcement, ResponseFormat, SchemaLabel, Structured};
pub use route::{Route, SelectionMode, Strategy};
pub use run::{FinishReason, Run, RunState, Selection, Usage};
pub use sampling::Sampling;
pub use scope::Scope;
pub use secret::Secret;
pub use task::{EmbeddingInput, EmbeddingTask, RawPrompt, Task, TextTask};
pub use timestamp::Timestamp;
pub use tool::{Tool, ToolCall, ToolChoice};
