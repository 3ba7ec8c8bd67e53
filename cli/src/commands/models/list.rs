//! `hearth models list`.

use bytesize::ByteSize;
use hearth_domain::{Modality, RuntimeState};
use hearth_providers::config::LOCAL;
use hearth_wire::native::models::{ALIAS, ModelBody, ModelList};
use serde_json::json;

use crate::client::{gateway_client::GatewayClient, table::Table, terminal};

/// Models of one page, the maximum of the API.
const PAGE_SIZE: &str = "200";

/// The models to show.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct List {
    /// Only models of this modality
    #[arg(long, value_parser = ["text", "image", "3d", "embedding"])]
    pub(crate) modality: Option<String>,
    /// Only models of this provider; `local` for those of this machine
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Only models whose id, name or description contains this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// Only models with this capability
    #[arg(long, value_parser = ["chat", "tools", "vision", "json_schema", "reasoning"])]
    pub(crate) capability: Option<String>,
    /// Only models of this origin
    #[arg(long, value_parser = ["discovered", "registered", "provider", "alias"])]
    pub(crate) source: Option<String>,
    /// The order; with - before it the largest first
    #[arg(long, allow_hyphen_values = true, value_parser = ["id", "name", "created", "-created", "size", "-size",
        "context_length", "-context_length"])]
    pub(crate) sort: Option<String>,
}

impl List {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let models = self.every_page(gateway).await?;
        if json {
            return terminal::print_json(&json!({ "models": models }));
        }
        if models.is_empty() {
            terminal::note(match self.provider.as_deref() {
                Some(_) => {
                    "there are no such models; `hearth key list` shows the providers, and whether each has a key"
                }
                None => "there are no models; download one with `hearth models pull OWNER/REPO`",
            });
            return Ok(());
        }
        Ok(terminal::print(&table(&models).fitted(terminal::columns()))?)
    }

    async fn every_page(&self, gateway: &GatewayClient) -> anyhow::Result<Vec<ModelBody>> {
        let mut models = Vec::new();
        let mut cursor = None;
        loop {
            let mut query = vec![("limit", PAGE_SIZE)];
            query.extend(self.modality.as_deref().map(|modality| ("modality", modality)));
            query.extend(self.provider.as_deref().map(|provider| ("provider", provider)));
            query.extend(self.search.as_deref().map(|search| ("search", search)));
            query.extend(self.capability.as_deref().map(|capability| ("capability", capability)));
            query.extend(self.source.as_deref().map(|source| ("source", source)));
            query.extend(self.sort.as_deref().map(|sort| ("sort", sort)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: ModelList = gateway.get(&["v1", "models"], &query).await?;
            models.extend(page.models);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(models);
            }
        }
    }
}

fn table(models: &[ModelBody]) -> Table<6> {
    let mut table = Table::new(["ID", "STATE", "MODALITY", "CONTEXT", "SIZE", "QUANTISATION"]);
    for model in models {
        table.push([
            model.id.clone(),
            state(model),
            modality(model.modality),
            or_dash(model.context_length),
            or_dash(model.size_bytes.map(ByteSize)),
            or_dash(model.version.as_ref()),
        ]);
    }
    table
}

fn modality(modality: Modality) -> String {
    modality.as_str().to_owned()
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// The state of a model; `offline` if its node doesn't answer.
pub(super) fn state(model: &ModelBody) -> String {
    let Some(status) = &model.runtime_status else {
        if model.provider == ALIAS {
            return "alias".to_owned();
        }
        // A provider's model has no state of its own.
        let here = model.provider == LOCAL;
        return if here { "offline".to_owned() } else { model.availability.as_str().to_owned() };
    };
    let state = match status.state {
        RuntimeState::Downloading => "downloading",
        RuntimeState::Unloaded => "unloaded",
        RuntimeState::Loading => "loading",
        RuntimeState::Loaded => "loaded",
        RuntimeState::Busy => "busy",
        RuntimeState::Failed => "failed",
    };
    let mark = if status.default { " (default)" } else { "" };
    format!("{state}{mark}")
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, extract::RawQuery, routing::get};
    use serde_json::Value;

    use super::*;
    use crate::client::testing::{gateway, serve};

    fn model(id: &str, state: Option<&str>) -> Value {
        let status = state.map(|state| {
            json!({"state": state, "progress": null, "default": state == "loaded", "active": 0, "queue_depth": 0,
                   "slots": 4, "memory_bytes": null, "pid": null, "loaded_at": null, "last_used_at": null,
                   "error": null})
        });
        json!({"id": id, "object": "model", "created": 1, "owned_by": "local", "name": id, "version": "Q8_0",
               "modality": "text", "capabilities": [], "provider": "local", "architecture": "llama",
               "context_length": 2048, "size_bytes": 1_048_576, "node": null, "runtime_status": status})
    }

    #[tokio::test]
    async fn all_pages_are_read_and_shown() {
        let pages = async |RawQuery(query): RawQuery| {
            let (models, next) = match query.as_deref() {
                Some("limit=200&modality=text") => (json!([model("a", Some("loaded"))]), json!("c 1")),
                Some("limit=200&modality=text&cursor=c+1") => (json!([model("b", None)]), Value::Null),
                other => panic!("{other:?}"),
            };
            Json(json!({"object": "list", "data": models, "models": models, "next_cursor": next}))
        };
        let url = serve(Router::new().route("/v1/models", get(pages))).await;
        let list = List { modality: Some("text".to_owned()), ..List::default() };
        let models = list.every_page(&gateway(&url)).await.unwrap();
        assert_eq!(
            table(&models).to_string(),
            "ID  STATE             MODALITY  CONTEXT  SIZE     QUANTISATION\n\
             a   loaded (default)  text      2048     1.0 MiB  Q8_0\n\
             b   offline           text      2048     1.0 MiB  Q8_0\n"
        );
    }
}
