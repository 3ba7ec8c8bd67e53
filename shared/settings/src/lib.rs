//! The settings of Hearth: names, defaults and bounds, each in one place.
//!
//! There is a file for each concern: a struct with its defaults, and a check of its bounds. Programs at home read
//! `hearth.toml` and the environment ([`Layers`]), the Lambda functions the environment alone ([`CloudSettings`]), by
//! the same names. `docs/configuration.md` lists every setting; `cargo xtask tidy` compares the page with [`list`].

mod accounts;
mod analyze;
mod audit;
mod batches;
mod bounds;
mod cache;
mod cloud;
mod cors_origins;
mod document;
#[cfg(feature = "file")]
mod document_file;
mod downloads;
mod durability;
mod errors;
#[cfg(feature = "file")]
mod file;
mod files;
mod hub;
mod identity_provider;
mod jobs;
mod json_variables;
mod keys;
mod layers;
mod limits;
mod list;
mod model;
mod night_hours;
mod node;
mod notifications;
mod provider;
mod relay;
mod requests;
mod routing;
mod server;
mod sessions;
mod settings;
mod shown;
mod sockets;
mod storage;
mod tls;
mod traces;
mod trusted_proxies;
mod variable;
mod webhooks;

pub use accounts::AccountSettings;
pub use analyze::AnalyzeSettings;
pub use audit::AuditSettings;
pub use batches::BatchSettings;
pub use bounds::InvalidSetting;
pub use cache::CacheSettings;
pub use cloud::CloudSettings;
pub use cors_origins::CorsOrigins;
pub use document::{RoutingDocument, SelectionChanges, setting_name};
#[cfg(feature = "file")]
pub use document_file::DocumentFile;
pub use downloads::DownloadSettings;
pub use durability::Durability;
pub use errors::SettingsError;
pub use files::FileSettings;
pub use hub::HubSettings;
pub use identity_provider::{ClaimRule, IdentityProviderSettings};
pub use jobs::JobSettings;
pub use json_variables::json_variables;
pub use keys::KeySettings;
pub use layers::Layers;
pub use limits::LimitSettings;
pub use list::{ListedSetting, list};
pub use model::ModelOverride;
pub use night_hours::{InvalidHours, NightHours};
pub use node::NodeSettings;
pub use notifications::{NotificationSettings, SmtpEncryption, SmtpSettings};
pub use provider::{Api, CredentialSource, ProviderSettings};
pub use relay::RelaySettings;
pub use requests::RequestSettings;
pub use routing::{Alias, Rule, SelectionSettings, Target};
pub use server::ServerSettings;
pub use sessions::SessionSettings;
pub use settings::{GatewaySettings, Settings};
pub use sockets::SocketSettings;
pub use storage::StorageSettings;
pub use tls::TlsSettings;
pub use traces::{Propagation, Sampler, TraceSettings};
pub use trusted_proxies::TrustedProxies;
pub use webhooks::WebhookSettings;
