//! Types and rules of the gateway: ids, messages, sampling, models, runs, permissions.
//!
//! Nothing here does I/O, awaits, or knows of AWS, HTTP or llama.cpp. A rule that can be stated
//! without a network is stated here, and tested by tables.

#![warn(missing_docs)]

pub mod action;
pub mod artifact;
pub mod attachment;
pub mod audit;
pub mod batch;
pub mod cache;
pub mod check;
pub mod credits;
pub mod definition;
pub mod delivery;
pub mod email;
pub mod event;
pub mod file;
pub mod generation;
pub mod hex;
pub mod id;
pub mod image;
pub mod image_task;
pub mod intent;
pub mod ip_address;
pub mod job;
pub mod limit;
pub mod logprob;
pub mod mac_address;
pub mod media_type;
pub mod member_role;
pub mod mesh;
pub mod mesh_task;
pub mod message;
pub mod model;
pub mod model_family;
pub mod model_info;
pub mod model_limits;
pub mod money;
pub mod node;
pub mod objects_only;
pub mod owner;
pub mod pattern;
pub mod preferences;
pub mod provider_credential;
pub mod reasoning;
pub mod region;
pub mod response_format;
pub mod route;
pub mod run;
pub mod sampling;
pub mod scope;
pub mod secret;
pub mod session;
pub mod shared;
pub mod structured;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timestamp;
pub mod tool;
pub mod webhook;

pub use action::{Action, Permission};
pub use artifact::Artifact;
pub use attachment::{Attachment, AttachmentContent, Document, DocumentSource, Opaque, PartExtra, PartPlace};
pub use audit::{AuditDay, AuditEntry, AuditEvent, AuditOwner, AuditResult};
pub use batch::{BatchCounts, BatchDialect, BatchEndpoint, BatchState, BatchWhen};
pub use cache::CacheControl;
pub use check::{Field, InvalidTask};
pub use credits::{CreditStatus, Credits};
pub use definition::{
    AppliedDefinition, AppliedDefinitions, DefinitionId, DefinitionKind, DefinitionOptions,
    DefinitionReference, DefinitionSubject, SemanticVersion, VersionChange, VersionSelector, Visibility,
    is_definition_name, is_label,
};
pub use delivery::Delivery;
pub use email::{EMAIL_MAX_BYTES, InvalidEmail, check_email, normalized_email};
pub use event::{EventKind, UnknownEventKind};
pub use file::{FilePurpose, FileState};
pub use generation::{ClientDialect, Extra, Generation, HostedTools, OnDisconnect, Priority, WhileLoading};
pub use hex::hex;
pub use id::{
    AccessKeyId, ArtifactId, AuditChainId, AuditId, BatchId, CredentialId, ErasureId, EventId, FileId,
    FilePartId, InvalidId, InviteId, JobId, LoginId, MessageBatchId, ModelId, NodeCallId, NodeId,
    OrganisationId, RevisionId, RunId, SchemaId, SessionId, SessionMessageId, TeamId, TemplateId, TokenId,
    UserId, WebhookId,
};
pub use image::{Image, ImageSource, PlacedImage};
pub use image_task::{ImageFormat, ImageTask, Size};
pub use intent::Intent;
pub use ip_address::is_public_ip;
pub use job::{JobError, JobErrorCode, JobKind, JobState};
pub use limit::{Budget, LimitSubject, Limits, Period, Spend};
pub use logprob::{Logprob, TokenLogprob};
pub use mac_address::MacAddress;
pub use member_role::MemberRole;
pub use mesh::Mesh;
pub use mesh_task::MeshTask;
pub use message::{Message, Part, Piece, Role};
pub use model::{Capability, Modality, Model, ModelDescription, ModelLifecycle, ModelSource, RuntimeState};
pub use model_family::modality_of;
pub use model_info::{Input, ModelInfo, Price, Tier};
pub use model_limits::ModelLimits;
pub use money::{Cost, Rate};
pub use node::{NodeEnergy, NodeSharing, NodeTransport};
pub use owner::Owner;
pub use pattern::Pattern;
pub use preferences::{Preferences, PreferredModels};
pub use provider_credential::{CredentialKind, CredentialOwner, Payer};
pub use reasoning::{Reasoning, ReasoningEffort};
pub use response_format::{ResponseFormat, SchemaLabel};
pub use route::{HomeWait, Prefer, Route, SelectionMode, Strategy, WaitReason};
pub use run::{FinishReason, Run, RunState, Selection, Usage};
pub use sampling::Sampling;
pub use scope::{Scope, ScopeSet};
pub use secret::Secret;
pub use session::{
    ContextOverflow, Session, SessionBranch, SessionMessage, SessionMessageState, SessionStatus,
    SessionSummary,
};
pub use shared::Shared;
pub use structured::{
    Concession, Enforcement, SchemaViolation, Structured, StructuredHow, StructuredOptions, StructuredStatus,
};
pub use task::{EmbeddingInput, EmbeddingTask, RawPrompt, Task, TextTask};
pub use timestamp::Timestamp;
pub use tool::{Tool, ToolCall, ToolChoice};
pub use webhook::{DeliveryState, WebhookState, WebhookTarget, WebhookVisibility};
