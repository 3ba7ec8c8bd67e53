//! `hearth models register`, `update` and `unregister`: explicit entries of the registry.

use std::path::PathBuf;

use anyhow::Context as _;
use hearth_wire::native::models::{ModelBody, ModelRemoved};
use serde_json::{Map, Value, json};

use crate::client::{gateway_client::GatewayClient, terminal};

/// The entry's id, and its fields.
#[derive(Debug, clap::Args)]
pub(crate) struct Register {
    /// The entry's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) fields: EntryFields,
}

/// The entry's id, and the fields to change.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// The entry's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) fields: EntryFields,
    /// Remove this field; may be repeated
    #[arg(long, value_name = "FIELD")]
    pub(crate) clear: Vec<String>,
}

/// Fields of an entry.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct EntryFields {
    /// The model that serves requests: a node's, or PROVIDER:MODEL
    #[arg(long, value_name = "MODEL")]
    pub(crate) target: Option<String>,
    /// A GGUF file on the gateway's machine, in place of a target
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub(crate) path: Option<PathBuf>,
    /// Display name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Description
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// Place from which the model was obtained
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source_url: Option<String>,
    /// Version; for a local file its quantisation
    #[arg(long, value_name = "VERSION")]
    pub(crate) model_version: Option<String>,
    /// A capability; may be repeated
    #[arg(long = "capability", value_name = "NAME")]
    pub(crate) capabilities: Vec<String>,
    /// A model to try if this one can't serve a request; may be repeated
    #[arg(long = "fallback", value_name = "MODEL")]
    pub(crate) fallbacks: Vec<String>,
    /// The model that serves while this one is being loaded
    #[arg(long, value_parser = ["wait", "default", "fallback"])]
    pub(crate) while_loading: Option<String>,
    /// Make it the default model of its modality
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) default: Option<bool>,
    /// Temperature of requests that have none
    #[arg(long)]
    pub(crate) temperature: Option<f64>,
    /// Token limit of requests that have none
    #[arg(long)]
    pub(crate) max_tokens: Option<u32>,
    /// Instructions of conversations that have none
    #[arg(long, value_name = "TEXT")]
    pub(crate) system_prompt: Option<String>,
    /// Keep a local model in memory
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) pin: Option<bool>,
    /// Seconds after its last run that a local model leaves memory
    #[arg(long, value_name = "SECONDS")]
    pub(crate) idle_seconds: Option<u64>,
    /// Tokens of one run of a local model
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context: Option<u32>,
    /// Layers of a local model on a GPU
    #[arg(long, value_name = "COUNT")]
    pub(crate) gpu_layers: Option<u32>,
    /// Runs at once of a local model
    #[arg(long, value_name = "COUNT")]
    pub(crate) slots: Option<u32>,
}

impl EntryFields {
    /// The fields that are given, as in the API.
    fn into_body(self) -> anyhow::Result<Map<String, Value>> {
        let mut body = Map::new();
        let path =
            self.path.map(std::path::absolute).transpose().context("the path can't be made absolute")?;
        let list = |list: Vec<String>| Some(list).filter(|list| !list.is_empty()).map(|list| json!(list));
        for (name, value) in [
            ("target", self.target.map(Value::from)),
            ("path", path.map(|path| path.display().to_string().into())),
            ("name", self.name.map(Value::from)),
            ("description", self.description.map(Value::from)),
            ("source_url", self.source_url.map(Value::from)),
            ("version", self.model_version.map(Value::from)),
            ("capabilities", list(self.capabilities)),
            ("fallbacks", list(self.fallbacks)),
            ("while_loading", self.while_loading.map(Value::from)),
            ("default", self.default.map(Value::from)),
        ] {
            body.extend(value.map(|value| (name.to_owned(), value)));
        }
        let parameters = [
            ("temperature", self.temperature.map(Value::from)),
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("system_prompt", self.system_prompt.map(Value::from)),
        ];
        let lifecycle = [
            ("pin", self.pin.map(Value::from)),
            ("idle_seconds", self.idle_seconds.map(Value::from)),
            ("context_length", self.context.map(Value::from)),
            ("gpu_layers", self.gpu_layers.map(Value::from)),
            ("slots", self.slots.map(Value::from)),
        ];
        for (name, fields) in [("parameters", &parameters[..]), ("lifecycle", &lifecycle[..])] {
            let fields = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
            let fields: Map<String, Value> = fields.collect();
            if !fields.is_empty() {
                body.insert(name.to_owned(), Value::Object(fields));
            }
        }
        Ok(body)
    }
}

impl Register {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let mut body = self.fields.into_body()?;
        body.insert("id".to_owned(), self.id.into());
        let model: ModelBody = gateway.post(&["v1", "models"], &body).await?;
        show(&model, "is registered", json)
    }
}

impl Update {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let mut body = self.fields.into_body()?;
        for field in self.clear {
            match field.split_once('.') {
                None => drop(body.insert(field, Value::Null)),
                Some((outer, inner)) => {
                    let outer = body.entry(outer.to_owned()).or_insert_with(|| json!({}));
                    outer[inner] = Value::Null;
                }
            }
        }
        anyhow::ensure!(!body.is_empty(), "name a field to change; `hearth models update --help` lists them");
        let model: ModelBody = gateway.patch(&["v1", "models", &self.id], &body).await?;
        show(&model, "is changed", json)
    }
}

/// Removes an explicit entry.
pub(super) async fn unregister(gateway: &GatewayClient, id: &str, json: bool) -> anyhow::Result<()> {
    let listed: ModelBody = gateway.get(&["v1", "models", id], &[]).await?;
    anyhow::ensure!(
        listed.registration.is_some(),
        "{id} is no registered model; `hearth models remove` removes the file of a local model"
    );
    let removed: ModelRemoved = gateway.delete_json(&["v1", "models", id]).await?;
    if json {
        return terminal::print_json(&removed);
    }
    Ok(terminal::print_line(&format!("{id} is no longer registered"))?)
}

fn show(model: &ModelBody, what: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(model);
    }
    let registration = model.registration.as_ref();
    let target = registration.and_then(|entry| entry.target.as_deref().or(entry.path.as_deref()));
    let target = target.map(|target| format!(": it stands for {target}")).unwrap_or_default();
    Ok(terminal::print_line(&format!("{} {what}{target}", model.id))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_the_fields_of_the_api() {
        let fields = EntryFields {
            target: Some("openai:x".to_owned()),
            fallbacks: vec!["a".to_owned(), "b".to_owned()],
            temperature: Some(0.5),
            pin: Some(false),
            slots: Some(2),
            ..EntryFields::default()
        };
        let expected = json!({
            "target": "openai:x",
            "fallbacks": ["a", "b"],
            "parameters": {"temperature": 0.5},
            "lifecycle": {"pin": false, "slots": 2},
        });
        assert_eq!(Value::Object(fields.into_body().unwrap()), expected);
        assert!(EntryFields::default().into_body().unwrap().is_empty());
    }
}
