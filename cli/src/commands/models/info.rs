//! `hearth models info`.

use std::path::PathBuf;

use bytesize::ByteSize;
use hearth_domain::{Capability, Price};
use hearth_providers::config::LOCAL;
use hearth_wire::{
    native::{
        models::{ALIAS, ModelBody},
        registry::ModelRegistration,
    },
    runtime_status::RuntimeStatus,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{list::state, local::LocalModels};
use crate::client::{connection::Connection, error::GatewayError, gateway_client::GatewayClient, terminal};

/// The model to show.
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// The model's id: of a model of this machine, a provider's (openai:gpt-5-mini), or an alias
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Facts from a model's file.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FileFacts {
    pub(super) path: PathBuf,
    /// Target of the file, if it is a link.
    pub(super) link_to: Option<PathBuf>,
    /// Number of its files.
    pub(super) parts: usize,
    pub(super) size_bytes: u64,
    pub(super) makes: &'static str,
    pub(super) architecture: Option<String>,
    pub(super) parameters: Option<u64>,
    pub(super) quantisation: Option<String>,
    /// The context that the model was trained for, in tokens.
    pub(super) made_for_context: Option<u32>,
    /// The context by the settings, in tokens.
    pub(super) context_length: u32,
    pub(super) capabilities: Vec<Capability>,
    /// Expected memory, in bytes.
    pub(super) memory_bytes: Option<u64>,
    /// The maker's page.
    pub(super) source_url: Option<String>,
    /// The repository that it was pulled from, by the name of its folder.
    pub(super) repository: Option<String>,
    pub(super) license: Option<String>,
    /// The reason why it can't be used.
    pub(super) problem: Option<String>,
}

/// Lines of a name and a value.
#[derive(Debug, Default)]
struct Lines(Vec<(&'static str, String)>);

impl Info {
    /// Shows what the gateway lists of the model, and what its file contains if it is on this machine.
    pub(super) async fn run(self, connection: &Connection, local: &LocalModels) -> anyhow::Result<()> {
        let file = local.facts_of(&self.id);
        let folder_alone = local.is_named && connection.url.is_none();
        let listing = match folder_alone {
            true => Err(anyhow::anyhow!("a data folder is named, so no gateway is asked")),
            false => self.request(connection).await,
        };
        let (listed, file) = match (listing, file) {
            (Ok((listed, is_local)), file) => {
                // Another machine's model may have the same id.
                let same = |size| is_local && listed.provider == LOCAL && listed.size_bytes == Some(size);
                let file = file.ok().filter(|file| same(file.size_bytes));
                (Some(listed), file)
            }
            (Err(error), Err(_)) if error.is::<GatewayError>() || connection.url.is_some() => {
                return Err(error);
            }
            (Err(_), Err(not_there)) => return Err(not_there),
            (Err(_), Ok(file)) => (None, Some(file)),
        };
        if connection.json {
            return terminal::print_json(&json!({"id": self.id, "model": listed, "file": file}));
        }
        let mut lines = Lines::default();
        lines.add_listed(listed.as_ref());
        lines.add_facts(listed.as_ref(), file.as_ref());
        terminal::print(&format!("{}\n{}", self.id, lines.text()))?;
        Ok(())
    }

    /// Requests the model from the gateway; also returns whether the gateway is on this machine.
    async fn request(&self, connection: &Connection) -> anyhow::Result<(ModelBody, bool)> {
        let gateway = GatewayClient::new(connection)?;
        let model = gateway.get(&["v1", "models", &self.id], &[]).await?;
        Ok((model, gateway.is_local()))
    }
}

impl Lines {
    fn add(&mut self, name: &'static str, value: Option<String>) {
        // The file of a registered model repeats some of its entry.
        let is_new = self.0.iter().all(|(earlier, _)| *earlier != name);
        if let Some(value) = value.filter(|value| is_new && !value.is_empty()) {
            self.0.push((name, value));
        }
    }

    fn text(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        self.0.iter().map(|(name, value)| format!("  {name:width$}  {value}\n")).collect()
    }

    fn add_listed(&mut self, listed: Option<&ModelBody>) {
        let Some(model) = listed else { return };
        self.add("state", Some(state(model)));
        self.add("error", model.runtime_status.as_ref().and_then(|status| status.error.clone()));
        if model.provider != LOCAL && model.provider != ALIAS {
            self.add("provider", Some(model.provider.clone()));
            self.add("name", Some(model.name.clone()));
            self.add("inputs", Some(names(&model.inputs)));
            self.add("price", price(model.price.as_ref()));
        }
        self.add("modality", Some(model.modality.as_str().to_owned()));
        self.add("capabilities", Some(capability_names(&model.capabilities)));
        self.add("context", model.context_length.map(|tokens| format!("{tokens} tokens")));
        self.add("output", model.max_output_tokens.map(|tokens| format!("up to {tokens} tokens")));
        self.add("memory", model.runtime_status.as_ref().and_then(memory));
        if let Some(registration) = &model.registration {
            self.add_registration(model, registration);
        }
    }

    /// Adds what the entry of the registry sets.
    fn add_registration(&mut self, model: &ModelBody, registration: &ModelRegistration) {
        let target = registration.target.clone().or_else(|| registration.path.clone());
        self.add("target", target);
        self.add("name", Some(model.name.clone()).filter(|name| *name != model.id));
        self.add("description", model.description.clone());
        self.add("default", registration.default.then(|| format!("for {}", model.modality.as_str())));
        self.add("parameters of requests", fields(&registration.parameters));
        self.add("fallbacks", Some(registration.fallbacks.join(", ")));
        self.add("while loading", registration.while_loading.map(|choice| names(&[choice])));
        self.add("lifecycle", fields(&registration.lifecycle));
        self.add("source", model.source_url.clone());
        self.add("licence", model.card.as_ref().and_then(|card| card.license.clone()));
        self.add("schema", model.schema_version.map(|version| format!("version {version}")));
    }

    fn add_facts(&mut self, listed: Option<&ModelBody>, facts: Option<&FileFacts>) {
        let Some(file) = facts else {
            // A node elsewhere has the file.
            if let Some(model) = listed {
                self.add("architecture", model.architecture.clone());
                self.add("quantisation", model.version.clone());
                self.add("size", model.size_bytes.map(|bytes| ByteSize(bytes).to_string()));
            }
            return;
        };
        if listed.is_none() {
            self.add("modality", Some(file.makes.to_owned()));
            self.add("capabilities", Some(capability_names(&file.capabilities)));
            self.add("context", Some(format!("{} tokens", file.context_length)));
            self.add("memory", file.memory_bytes.map(|bytes| format!("about {}", ByteSize(bytes))));
        }
        self.add("trained for", file.made_for_context.map(|tokens| format!("{tokens} tokens")));
        self.add("architecture", file.architecture.clone());
        self.add("parameters", file.parameters.map(count));
        self.add("quantisation", file.quantisation.clone());
        let parts = if file.parts > 1 { format!(", {} files", file.parts) } else { String::new() };
        self.add("size", Some(format!("{}{parts}", ByteSize(file.size_bytes))));
        self.add("file", Some(file.path.display().to_string()));
        self.add("link to", file.link_to.as_ref().map(|path| path.display().to_string()));
        self.add("pulled from", file.repository.clone());
        self.add("source", file.source_url.clone());
        self.add("licence", file.license.clone());
        self.add("problem", file.problem.clone());
    }
}

/// Formats the fields of an object that are set: `temperature 0.2, max_tokens 100`.
fn fields(value: &impl Serialize) -> Option<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let value = serde_json::to_value(value).ok()?;
    let fields = value.as_object()?.iter().map(|(name, value)| format!("{name} {}", text(value)));
    Some(fields.collect::<Vec<_>>().join(", "))
}

fn names(values: &[impl Serialize]) -> String {
    let name = |value| serde_json::to_value(value).ok().and_then(|name| name.as_str().map(str::to_owned));
    values.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

fn capability_names(capabilities: &[Capability]) -> String {
    names(capabilities)
}

fn memory(status: &RuntimeStatus) -> Option<String> {
    match (status.memory_bytes, status.memory_predicted_bytes) {
        (Some(now), _) => Some(format!("{} now", ByteSize(now))),
        (None, Some(expected)) => Some(format!("about {} when it is loaded", ByteSize(expected))),
        (None, None) => None,
    }
}

/// Formats a price in US dollars, the unit of the catalog.
fn price(price: Option<&Price>) -> Option<String> {
    let price = price?;
    let rate = |rate: Option<_>, of: &str| rate.map(|rate| format!("${} {of}", f64::from(rate)));
    let rates = [rate(price.input, "in"), rate(price.cached_input, "cached in"), rate(price.output, "out")];
    let tokens = rates.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let tokens = (!tokens.is_empty()).then(|| format!("{tokens} for a million tokens"));
    let image = price.image.map(|cost| format!("${cost} for an image"));
    let long = price.long.map(|long| format!("more above {} tokens of prompt", long.above));
    let parts = [tokens, image, long].into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Formats a number of parameters: `596 M`, `8.2 B`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn count(parameters: u64) -> String {
    let value = parameters as f64;
    let (value, unit) = match parameters {
        0..1_000_000 => return parameters.to_string(),
        1_000_000..1_000_000_000 => (value / 1e6, "M"),
        _ => (value / 1e9, "B"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_two_or_three_digits() {
        for (parameters, text) in [
            (999, "999"),
            (1_100_000, "1.1 M"),
            (596_049_920, "596 M"),
            (8_190_735_360, "8.2 B"),
            (70_000_000_000, "70 B"),
        ] {
            assert_eq!(count(parameters), text);
        }
    }

    #[test]
    fn prices_are_dollars_for_a_million_tokens() {
        let with = |value| serde_json::from_value::<Price>(value).unwrap();
        let text = price(Some(&with(json!({"input": 0.25, "cached_input": 0.025, "output": 2}))));
        assert_eq!(text.as_deref(), Some("$0.25 in, $0.025 cached in, $2 out for a million tokens"));
        assert_eq!(price(Some(&with(json!({"image": "0.04"})))).as_deref(), Some("$0.04 for an image"));
        assert_eq!(price(Some(&Price::default())), None);
    }
}
