//! Which models a running gateway's nodes have in memory.

use std::{collections::BTreeMap, time::Duration};

use hearth_wire::native::models::LoadedModels;

use crate::client::{connection::Connection, http::Gateway};

/// A gateway that says nothing for so long can't be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// The models in memory, each with whether it is a default one; or why that isn't known.
#[derive(Debug)]
pub(super) struct InUse(Result<BTreeMap<String, bool>, String>);

impl InUse {
    /// Asks the gateway.
    pub(super) async fn ask(connection: &Connection) -> Self {
        let asked = async {
            let loaded: LoadedModels =
                Gateway::new(connection)?.get(&["v1", "models", "loaded"], &[]).await?;
            anyhow::Ok(loaded)
        };
        let loaded = match tokio::time::timeout(PATIENCE, asked).await {
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

    /// Why it isn't known, if it isn't.
    pub(super) fn unknown(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}
