//! `hearth models schema`: the schema of a model's parameters, its versions, and its next version.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use hearth_wire::native::model_schemas::{SchemaBody, SchemaHistory};
use serde_json::{Value, json};

use crate::client::{gateway_client::GatewayClient, table::Table, terminal};

/// The model, and what to do with the schema of its parameters.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// The model's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Show this version in place of the current one; 0: the one that is built from the metadata
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["set", "reset", "history"])]
    pub(crate) at: Option<u32>,
    /// Store the schema in this file as the next version
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reset", "history"])]
    pub(crate) set: Option<PathBuf>,
    /// Have the schema apply again that is built from the metadata
    #[arg(long, conflicts_with = "history")]
    pub(crate) reset: bool,
    /// List the versions
    #[arg(long)]
    pub(crate) history: bool,
    /// With --set: guidance for users; may be repeated
    #[arg(long, value_name = "TEXT", requires = "set")]
    pub(crate) guidance: Vec<String>,
    /// With --set or --reset: a note on the change
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

impl Schema {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        if self.history {
            return self.list(gateway, json).await;
        }
        if self.set.is_none() && !self.reset {
            return self.show(gateway, json).await;
        }
        let schema = match &self.set {
            None => Value::Null,
            Some(path) => {
                let text =
                    fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
                serde_json::from_str(&text).with_context(|| format!("{} isn't JSON", path.display()))?
            }
        };
        let body = json!({"schema": schema, "guidance": self.guidance, "message": self.message});
        let stored: SchemaBody = gateway.put_json(&["v1", "models", &self.id, "schema"], &body).await?;
        if json {
            return terminal::print_json(&stored);
        }
        Ok(terminal::print_line(&format!(
            "version {} of the schema of {} is stored",
            stored.version, self.id
        ))?)
    }

    async fn show(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let version = self.at.map(|version| version.to_string());
        let mut query = vec![("model", self.id.as_str())];
        query.extend(version.as_deref().map(|version| ("version", version)));
        let schema: SchemaBody = gateway.get(&["v1", "schema"], &query).await?;
        if json {
            return terminal::print_json(&schema);
        }
        let origin = match schema.version {
            0 => "built from the model's metadata".to_owned(),
            version => format!("version {version}"),
        };
        terminal::note(&format!("{}: {origin}", self.id));
        for text in &schema.guidance {
            terminal::note(text);
        }
        terminal::print_json(&schema.schema)
    }

    async fn list(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let history: SchemaHistory =
            gateway.get(&["v1", "models", &self.id, "schema", "versions"], &[]).await?;
        if json {
            return terminal::print_json(&history);
        }
        if history.versions.is_empty() {
            terminal::note("the schema is built from the model's metadata, and was never edited");
            return Ok(());
        }
        let mut table = Table::new(["VERSION", "STORED AT", "AUTHOR", "NOTE"]);
        for version in &history.versions {
            let note = version.message.clone().unwrap_or_else(|| "-".to_owned());
            table.push([
                version.version.to_string(),
                version.created_at.clone(),
                version.author.clone(),
                note,
            ]);
        }
        Ok(terminal::print(&table.fitted(terminal::columns()))?)
    }
}
