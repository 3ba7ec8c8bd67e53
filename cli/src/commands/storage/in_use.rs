//! The models that a running gateway's nodes have in memory.

use std::{collections::BTreeMap, time::Duration};

use hearth_wire::native::models::LoadedModels;

use crate::client::{connection::Connection, gateway_client::GatewayClient};

/// Timeout for the gateway's response.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(5);

/// The models in memory, each with whether it is a default model; or the reason why they are unknown.
#[derive(Debug)]
pub(super) struct InUse(Result<BTreeMap<String, bool>, String>);

impl InUse {
    /// Requests the models from the gateway.
    pub(super) async fn request(connection: &Connection) -> Self {
        let request = async {
            let loaded: LoadedModels =
                GatewayClient::new(connection)?.get(&["v1", "models", "loaded"], &[]).await?;
            anyhow::Ok(loaded)
        };
        let loaded = match tokio::time::timeout(GATEWAY_TIMEOUT, request).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(error)) => return Self(Err(format!("{error:#}"))),
            Err(_) => return Self(Err(format!("{} doesn't answer", connection.url()))),
        };
        let models = loaded.models.into_iter().map(|model| {
            let default = model.runtime_status.is_some_and(|status| status.default);
            (model.id, default)
        });
        Self(Ok(models.collect()))
    }

    pub(super) fn is_loaded(&self, model: &str) -> bool {
        self.0.as_ref().is_ok_and(|models| models.contains_key(model))
    }

    pub(super) fn is_default(&self, model: &str) -> bool {
        self.0.as_ref().is_ok_and(|models| models.get(model).is_some_and(|default| *default))
    }

    /// The reason why the models are unknown, if they are.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}
