//! The settings of Hearth: names, defaults and bounds, each in one place.
//!
//! There is a file for each concern: a struct with its defaults, and a check of its bounds. Programs at home read
//! `hearth.toml` and the environment ([`Layers`]), the Lambda functions the environment alone ([`CloudSettings`]), by
//! the same names. `docs/configuration.md` lists every setting; `cargo xtask tidy` compares the page with [`list`].

mod bounds;
mod cache;
mod cloud;
mod document;
#[cfg(feature = "file")]
mod document_file;
mod durability;
mod errors;
#[cfg(feature = "file")]
mod file;
mod hub;
mod json_variables;
mod layers;
mod list;
mod model;
mod node;
mod provider;
mod routing;
mod server;
mod settings;
mod shown;
mod storage;
mod traces;
mod variable;

pub use bounds::InvalidSetting;
pub use cache::CacheSettings;
pub use cloud::CloudSettings;
pub use document::{RoutingDocument, SelectionChanges, setting_name};
#[cfg(feature = "file")]
pub use document_file::DocumentFile;
pub use durability::Durability;
pub use errors::SettingsError;
pub use hub::HubSettings;
pub use json_variables::json_variables;
pub use layers::Layers;
pub use list::{ListedSetting, list};
pub use model::ModelOverride;
pub use node::NodeSettings;
pub use provider::{Api, CredentialSource, ProviderSettings};
pub use routing::{Alias, Rule, SelectionSettings, Target};
pub use server::ServerSettings;
pub use settings::{GatewaySettings, Settings};
pub use storage::StorageSettings;
pub use traces::{Propagation, Sampler, TraceSettings};
