//! `create`, `update`, `set`, `label` and `delete`.

use std::path::PathBuf;

use anyhow::ensure;
use hearth_domain::DefinitionKind;
use hearth_wire::native::definitions::{DefinitionDeleted, DefinitionEntry};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Target,
    input::{name_of, read_content},
    output,
};
use crate::client::terminal;

/// The fields of an answer that a change prints.
#[derive(Debug, Deserialize)]
struct Stored {
    name: String,
    version: String,
}

/// Store a new one from a file
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The JSON Schema, or the template: JSON; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its name; without it that of the file
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its purpose
    #[arg(long, short, value_name = "TEXT")]
    description: Option<String>,
    /// Word to find it by; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// private, team, organisation or public
    #[arg(long, value_name = "VISIBILITY", default_value = "private")]
    visibility: String,
    /// With --visibility team: the team's id
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// Number of the first version
    #[arg(long, value_name = "VERSION")]
    first_version: Option<String>,
    /// A note on the version
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

impl Create {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let content = read_content(&self.file, target.kind)?;
        let mut body = json!({
            "name": name_of(self.name, &self.file)?, "description": self.description, "tags": self.tag,
            "visibility": self.visibility, "team": self.team, "version": self.first_version, "message": self.message,
        });
        body[target.kind.as_str()] = content;
        let stored: Value = target.gateway.post(&target.route(&[]), &without_null(body)).await?;
        let name = stored["name"].as_str().unwrap_or_default().to_owned();
        print_stored(target, stored)?;
        let step = match target.kind {
            DefinitionKind::Schema => format!("hearth analyze --schema {name} TEXT"),
            DefinitionKind::Template => format!("hearth template render {name} --var NAME=VALUE"),
        };
        terminal::next_steps(target.json, &[&step]);
        Ok(())
    }
}

/// Store a new version from a file
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// The name or the id
    #[arg(value_name = "NAME")]
    name: String,
    /// The JSON Schema, or the template: JSON; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Size of the change: patch, minor or major; without it, it follows from the comparison
    #[arg(long, value_name = "SIZE", conflicts_with = "as_version")]
    change: Option<String>,
    /// Number of the version
    #[arg(long, value_name = "VERSION")]
    as_version: Option<String>,
    /// The latest version that the change follows on; another one is refused
    #[arg(long, value_name = "VERSION")]
    expected: Option<String>,
    /// Take a number that is too small for the change
    #[arg(long)]
    force: bool,
    /// A note on the version
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

impl Update {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let content = read_content(&self.file, target.kind)?;
        let mut body = json!({
            "change": self.change, "version": self.as_version, "expected_version": self.expected, "force": self.force,
            "message": self.message,
        });
        body[target.kind.as_str()] = content;
        let stored: Value =
            target.gateway.put_json(&target.route(&[&self.name]), &without_null(body)).await?;
        print_stored(target, stored)
    }
}

/// Change the description, the tags or the visibility
#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// The name or the id
    #[arg(value_name = "NAME")]
    name: String,
    /// Its purpose; an empty text removes it
    #[arg(long, short, value_name = "TEXT")]
    description: Option<String>,
    /// Words to find it by, in place of the earlier ones; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// private, team, organisation or public
    #[arg(long, value_name = "VISIBILITY")]
    visibility: Option<String>,
    /// With --visibility team: the team's id
    #[arg(long, value_name = "ID")]
    team: Option<String>,
}

impl Set {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let body = without_null(json!({
            "description": self.description, "visibility": self.visibility, "team": self.team,
            "tags": Some(self.tag).filter(|tags| !tags.is_empty()),
        }));
        ensure!(
            body.as_object().is_some_and(|fields| !fields.is_empty()),
            "nothing is to be changed; add --description, --tag, --visibility or --team"
        );
        let entry: DefinitionEntry = target.gateway.patch(&target.route(&[&self.name]), &body).await?;
        print_entry(target, &entry)
    }
}

/// Have a label point to a version, or remove it
#[derive(Debug, clap::Args)]
pub(super) struct Label {
    /// The name or the id
    #[arg(value_name = "NAME")]
    name: String,
    /// The label, such as `production`
    #[arg(value_name = "LABEL")]
    label: String,
    /// The version
    #[arg(value_name = "VERSION", required_unless_present = "remove", conflicts_with = "remove")]
    points_to: Option<String>,
    /// Remove the label
    #[arg(long)]
    remove: bool,
    /// The version that the label points to now, or `none`; another one is refused
    #[arg(long, value_name = "VERSION")]
    expected: Option<String>,
}

impl Label {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let route = target.route(&[&self.name, "labels", &self.label]);
        let entry: DefinitionEntry = match &self.points_to {
            None => {
                let query: Vec<_> =
                    self.expected.as_deref().map(|expected| ("expected", expected)).into_iter().collect();
                target.gateway.delete_query(&route, &query).await?
            }
            Some(version) => {
                let mut body = Map::from_iter([("version".to_owned(), json!(version))]);
                if let Some(expected) = self.expected {
                    let expected = Some(expected).filter(|expected| expected != "none");
                    body.insert("expected".to_owned(), json!(expected));
                }
                target.gateway.put_json(&route, &body).await?
            }
        };
        print_entry(target, &entry)
    }
}

/// Delete them with their versions
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The names or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
}

impl Delete {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let question = format!("Delete {} with all versions?", self.names.join(", "));
        terminal::ensure_confirmed(&question, self.yes, "nothing was deleted")?;
        for name in &self.names {
            let deleted: DefinitionDeleted = target.gateway.delete_json(&target.route(&[name])).await?;
            if target.json {
                terminal::print_json(&deleted)?;
            } else {
                terminal::note(&format!("deleted {name}"));
            }
        }
        Ok(())
    }
}

/// The body without the fields that are null.
fn without_null(mut body: Value) -> Value {
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

fn print_stored(target: &Target<'_>, stored: Value) -> anyhow::Result<()> {
    if target.json {
        return terminal::print_json(&stored);
    }
    let Stored { name, version } = serde_json::from_value(stored)?;
    Ok(terminal::print_line(&format!("{name}@{version}"))?)
}

fn print_entry(target: &Target<'_>, entry: &DefinitionEntry) -> anyhow::Result<()> {
    if target.json {
        return terminal::print_json(entry);
    }
    Ok(terminal::print_line(&output::entry(entry))?)
}
