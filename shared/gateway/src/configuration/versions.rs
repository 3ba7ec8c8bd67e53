//! Versions of the stored configuration: read, stored, restored.

use std::sync::Arc;

use hearth_domain::Timestamp;
use hearth_settings::{RoutingDocument, setting_name};
use hearth_store::{StoreError, configuration::ConfigurationVersion};
use hearth_wire::{
    ApiError, ErrorCode,
    native::configuration::{
        ConfigurationBody, ConfigurationHistory, ConfigurationSummary, PutConfiguration,
        RestoreConfiguration, StoredConfiguration,
    },
};
use serde_json::{Value, json};

use super::{Configuration, identify};
use crate::{access::Caller, error, settings::Routing};

/// Size of a configuration. DynamoDB's limit for an item is 400 KB.
const SETTINGS_MAX_BYTES: usize = 200 << 10;
/// Length of an author's note.
const MESSAGE_MAX_CHARS: usize = 500;

impl Configuration {
    /// The current version as it is stored, and the state of this process.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub async fn get(self: &Arc<Self>) -> Result<ConfigurationBody, ApiError> {
        let current = self.store.configurations().current().await.map_err(error::store)?;
        let state = self.state().await;
        let (version, stored, unreadable) = match current {
            None => (0, None, None),
            Some(current) => match current.version {
                Ok(version) => (current.number, Some(version), None),
                Err(error) => (current.number, None, Some(error.to_string())),
            },
        };
        let configuration = match &stored {
            Some(stored) => Some(read_settings(stored)),
            None if unreadable.is_some() => None,
            None => Some(json!({})),
        };
        let warnings = configuration.as_ref().map(|settings| self.warnings(settings)).unwrap_or_default();
        Ok(ConfigurationBody {
            version,
            configuration,
            stored: stored.as_ref().map(summary),
            version_in_force: state.version_in_force,
            problem: state.problem.or(unreadable),
            warnings,
        })
    }

    /// Stores the next version and puts it in force: here at once, in other processes after the refresh interval.
    ///
    /// # Errors
    /// `invalid_request` for settings that aren't valid; `conflict` if another version follows the one that it is based
    /// on; `internal` if the store fails.
    pub async fn put(
        self: &Arc<Self>,
        caller: &Caller,
        request: PutConfiguration,
    ) -> Result<ConfigurationBody, ApiError> {
        let PutConfiguration { version, configuration, message } = request;
        let routing = self.check_request(&configuration)?;
        self.store_next(caller, version, &configuration, message, None, routing).await?;
        self.get().await
    }

    /// The stored versions, newest first.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn history(&self) -> Result<ConfigurationHistory, ApiError> {
        let versions = self.store.configurations().versions().await.map_err(error::store)?;
        Ok(ConfigurationHistory { versions: versions.iter().map(summary).collect() })
    }

    /// A version with its settings.
    ///
    /// # Errors
    /// `not_found` if it isn't stored; `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn version(&self, number: u64) -> Result<StoredConfiguration, ApiError> {
        let stored = self.stored(number).await?;
        Ok(StoredConfiguration { configuration: read_settings(&stored), version: summary(&stored) })
    }

    /// Stores a copy of an earlier version as the next one, and puts it in force.
    ///
    /// # Errors
    /// `not_found` if the version isn't stored; else as [`Configuration::put`].
    pub async fn restore(
        self: &Arc<Self>,
        caller: &Caller,
        number: u64,
        request: RestoreConfiguration,
    ) -> Result<ConfigurationBody, ApiError> {
        let configuration = read_settings(&self.stored(number).await?);
        let routing = self.check_request(&configuration)?;
        let RestoreConfiguration { version, message } = request;
        self.store_next(caller, version, &configuration, message, Some(number), routing).await?;
        self.get().await
    }

    /// The warnings of settings; none of those that aren't valid.
    fn warnings(&self, settings: &Value) -> Vec<String> {
        let Ok(document) = RoutingDocument::parse(settings) else { return Vec::new() };
        self.own().with_document(&document).map(|routing| routing.warnings(&document)).unwrap_or_default()
    }

    /// Checks settings that a client has sent.
    fn check_request(&self, configuration: &Value) -> Result<Routing, ApiError> {
        self.check(configuration).map_err(|message| {
            let param = match setting_name(&message) {
                Some(name) => format!("configuration.{name}"),
                None => "configuration".to_owned(),
            };
            ApiError::invalid(param, message)
        })
    }

    async fn store_next(
        &self,
        caller: &Caller,
        based_on: u64,
        configuration: &Value,
        message: Option<String>,
        restores: Option<u64>,
        routing: Routing,
    ) -> Result<(), ApiError> {
        let message = message.filter(|message| !message.is_empty());
        check_message(message.as_deref())?;
        let settings = configuration.to_string();
        if settings.len() > SETTINGS_MAX_BYTES {
            let message =
                format!("the configuration is over the limit of {} KiB as JSON", SETTINGS_MAX_BYTES >> 10);
            return Err(ApiError::invalid("configuration", message));
        }
        // No read of this process comes between the write and its effect here.
        let _storing = self.storing.lock().await;
        let current = self.store.configurations().current().await.map_err(error::store)?;
        let current = current.map_or(0, |current| current.number);
        if current != based_on {
            return Err(lost_race(based_on, current));
        }
        let version = ConfigurationVersion {
            number: based_on + 1,
            settings,
            author: caller.credential_id(),
            created_at: Timestamp::now(),
            message,
            restores,
        };
        match self.store.configurations().push(&version).await {
            Ok(()) => {
                tracing::info!(version = version.number, author = %version.author, restores, "a configuration was stored");
                self.put_in_force(routing, Some(identify(&version)));
                Ok(())
            }
            Err(StoreError::Conflict) => Err(lost_race(based_on, version.number)),
            Err(error) => Err(error::store(error)),
        }
    }

    async fn stored(&self, number: u64) -> Result<ConfigurationVersion, ApiError> {
        let stored = self.store.configurations().version(number).await.map_err(error::store)?;
        stored.ok_or_else(|| {
            let message = format!(
                "version {number} of the configuration isn't stored; `hearth config history`, or GET /v1/config/versions, \
                 lists those that are"
            );
            ApiError::new(ErrorCode::NotFound, message).at("version")
        })
    }
}

fn check_message(message: Option<&str>) -> Result<(), ApiError> {
    let is_valid =
        |text: &str| text.chars().count() <= MESSAGE_MAX_CHARS && !text.chars().any(char::is_control);
    if message.is_none_or(is_valid) {
        return Ok(());
    }
    let message = format!("message must have at most {MESSAGE_MAX_CHARS} characters, and no line breaks");
    Err(ApiError::invalid("message", message))
}

/// The error of a version that is based on another one than the current.
fn lost_race(based_on: u64, current: u64) -> ApiError {
    let message = format!(
        "the configuration has version {current} by now, and this one is based on version {based_on}; compare the two, \
         and send it again with version {current}"
    );
    ApiError::new(ErrorCode::Conflict, message).at("version").with("current_version", current)
}

/// The settings of a version; those of a version that isn't JSON are null.
fn read_settings(version: &ConfigurationVersion) -> Value {
    serde_json::from_str(&version.settings).unwrap_or_default()
}

fn summary(version: &ConfigurationVersion) -> ConfigurationSummary {
    ConfigurationSummary {
        version: version.number,
        author: version.author.clone(),
        created_at: version.created_at.to_string(),
        message: version.message.clone(),
        restores: version.restores,
    }
}
