//! `hearth models export` and `import`: the registry as JSON Lines, and as SQL for PostgreSQL.

mod sql;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use hearth_wire::native::{
    model_schemas::{SchemaBody, SchemaHistory},
    models::{ModelBody, ModelList},
    registry::ModelRegistration,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{error::GatewayError, gateway_client::GatewayClient, terminal};

/// Models of one page, the maximum of the API.
const PAGE_SIZE: &str = "200";

/// The form of the export, and its file.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// JSON Lines, which `hearth models import` reads; or SQL, which `psql` loads into PostgreSQL
    #[arg(long, value_parser = ["jsonl", "sql"], default_value = "jsonl")]
    pub(crate) format: String,
    /// The file to write. Without it the export is printed
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only registered models, without those of nodes and providers
    #[arg(long)]
    pub(crate) registered: bool,
}

/// The file to import.
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A file of `hearth models export`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A line of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    /// The first line.
    Registry {
        /// Version of the format.
        version: u32,
    },
    /// A model, as it is listed.
    Model(Box<ModelBody>),
    /// A version of the schema of a model's parameters.
    Schema(Box<SchemaBody>),
}

/// Version of the format.
const FORMAT_VERSION: u32 = 1;

impl Export {
    pub(super) async fn run(self, gateway: &GatewayClient) -> anyhow::Result<()> {
        let lines = read(gateway, self.registered).await?;
        let text = match self.format.as_str() {
            "sql" => sql::script(&lines),
            _ => json_lines(&lines)?,
        };
        match &self.output {
            None => Ok(terminal::print(&text)?),
            Some(path) => {
                let write = || File::create(path)?.write_all(text.as_bytes());
                write().with_context(|| format!("{} can't be written", path.display()))?;
                let models = lines.iter().filter(|line| matches!(line, Line::Model(_))).count();
                terminal::note(&format!("{models} models are in {}", path.display()));
                Ok(())
            }
        }
    }
}

fn json_lines(lines: &[Line]) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads the registry: each model, followed by the versions of its schema, the oldest first.
async fn read(gateway: &GatewayClient, only_registered: bool) -> anyhow::Result<Vec<Line>> {
    let mut lines = vec![Line::Registry { version: FORMAT_VERSION }];
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", PAGE_SIZE)];
        query.extend(only_registered.then_some(("source", "registered")));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: ModelList = gateway.get(&["v1", "models"], &query).await?;
        for model in page.models {
            let schemas = schemas_of(gateway, &model.id).await?;
            // What changes by itself isn't the registry's.
            lines.push(Line::Model(Box::new(ModelBody { runtime_status: None, ..model })));
            lines.extend(schemas.into_iter().map(|schema| Line::Schema(Box::new(schema))));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(lines);
        }
    }
}

/// The schema that is built for a model, and each edited version.
async fn schemas_of(gateway: &GatewayClient, id: &str) -> anyhow::Result<Vec<SchemaBody>> {
    let history: SchemaHistory = gateway.get(&["v1", "models", id, "schema", "versions"], &[]).await?;
    let mut schemas = Vec::new();
    for number in std::iter::once(0).chain(history.versions.iter().rev().map(|version| version.version)) {
        let number = number.to_string();
        schemas.push(gateway.get(&["v1", "schema"], &[("model", id), ("version", &number)]).await?);
    }
    Ok(schemas)
}

impl Import {
    /// Registers each entry of the file, or changes the one that has its id, and stores the schemas that differ. It can be
    /// repeated.
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let lines = parse(&self.file)?;
        let (mut entries, mut schemas) = (0, 0);
        for line in &lines {
            if let Line::Model(model) = line
                && let Some(registration) = &model.registration
            {
                entries += usize::from(put_entry(gateway, registration, self.dry_run).await?);
            }
        }
        for schema in current_schemas(&lines) {
            schemas += usize::from(put_schema(gateway, schema, self.dry_run).await?);
        }
        if json {
            return terminal::print_json(
                &json!({"entries": entries, "schemas": schemas, "dry_run": self.dry_run}),
            );
        }
        let verb = if self.dry_run { "would be" } else { "were" };
        Ok(terminal::print_line(&format!("{entries} entries and {schemas} schemas {verb} changed"))?)
    }
}

fn parse(path: &Path) -> anyhow::Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut lines = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("{} can't be read", path.display()))?;
        let place = || format!("line {} of {} isn't one of an export", index + 1, path.display());
        lines.push(serde_json::from_str(&line).with_context(place)?);
    }
    match lines.first() {
        Some(Line::Registry { version: FORMAT_VERSION }) => Ok(lines),
        Some(Line::Registry { version }) => {
            bail!("the export has format {version}, and this version reads {FORMAT_VERSION}")
        }
        _ => bail!("{} isn't a file of `hearth models export`", path.display()),
    }
}

/// Stores an entry. Returns whether it differs from the gateway's.
async fn put_entry(
    gateway: &GatewayClient,
    entry: &ModelRegistration,
    dry_run: bool,
) -> anyhow::Result<bool> {
    let present: anyhow::Result<ModelBody> = gateway.get(&["v1", "models", &entry.id], &[]).await;
    let present = match present {
        Ok(model) => model.registration,
        Err(error) if is_not_found(&error) => None,
        Err(error) => return Err(error),
    };
    if present.as_deref() == Some(entry) {
        return Ok(false);
    }
    if dry_run {
        return Ok(true);
    }
    let context = || format!("{} can't be imported", entry.id);
    if let Some(present) = present {
        let patch = replacing_patch(&present, entry)?;
        let _: ModelBody = gateway.patch(&["v1", "models", &entry.id], &patch).await.with_context(context)?;
    } else {
        let _: ModelBody = gateway.post(&["v1", "models"], entry).await.with_context(context)?;
    }
    Ok(true)
}

/// A patch that makes `after` of `before`.
fn replacing_patch(
    before: &ModelRegistration,
    after: &ModelRegistration,
) -> anyhow::Result<serde_json::Value> {
    let (before, mut after) = (serde_json::to_value(before)?, serde_json::to_value(after)?);
    remove_others(&before, &mut after);
    Ok(after)
}

/// Adds a null to `after` for each field that only `before` has.
fn remove_others(before: &serde_json::Value, after: &mut serde_json::Value) {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object_mut()) else { return };
    for (name, value) in before {
        match after.get_mut(name) {
            Some(inner) => remove_others(value, inner),
            None => drop(after.insert(name.clone(), serde_json::Value::Null)),
        }
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<GatewayError>().is_some_and(|error| error.body.code == "model_not_found")
}

/// The latest edited version of each model's schema.
fn current_schemas(lines: &[Line]) -> Vec<&SchemaBody> {
    let (mut schemas, mut models) = (Vec::new(), BTreeSet::new());
    for line in lines.iter().rev() {
        if let Line::Schema(schema) = line
            && schema.version > 0
            && models.insert(schema.model.clone())
        {
            schemas.push(&**schema);
        }
    }
    schemas
}

/// Stores a schema. Returns whether it differs from the gateway's.
async fn put_schema(gateway: &GatewayClient, schema: &SchemaBody, dry_run: bool) -> anyhow::Result<bool> {
    let Some(model) = &schema.model else { return Ok(false) };
    let present: anyhow::Result<SchemaBody> = gateway.get(&["v1", "schema"], &[("model", model)]).await;
    match present {
        Ok(present) if present.schema == schema.schema && present.guidance == schema.guidance => {
            return Ok(false);
        }
        Ok(_) => {}
        Err(error) if dry_run && is_not_found(&error) => {}
        Err(error) => return Err(error.context(format!("the schema of {model} can't be imported"))),
    }
    if !dry_run {
        let body = json!({"schema": schema.schema, "guidance": schema.guidance, "message": schema.message});
        let _: SchemaBody = gateway.put_json(&["v1", "models", model, "schema"], &body).await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn patch_removes_the_fields_that_only_the_older_entry_has() {
        let entry = |json| serde_json::from_value::<ModelRegistration>(json).unwrap();
        let before = entry(json!({"id": "a", "name": "A", "lifecycle": {"pin": true, "slots": 2}}));
        let after = entry(json!({"id": "a", "version": "1", "lifecycle": {"pin": true}}));
        let patch = replacing_patch(&before, &after).unwrap();
        let expected =
            json!({"id": "a", "version": "1", "name": null, "lifecycle": {"pin": true, "slots": null}});
        assert_eq!(patch, expected);
        assert_eq!(before.patched(&patch).unwrap(), after);
    }

    #[test]
    fn file_of_another_format_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, part) in [
            ("", "isn't a file of"),
            ("{}\n", "line 1"),
            ("{\"kind\":\"registry\",\"version\":9}\n", "format 9"),
        ] {
            fs::write(file.path(), text).unwrap();
            let error = format!("{:#}", parse(file.path()).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
