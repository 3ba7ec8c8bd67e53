//! `list`, `show`, `versions`, `diff` and `check`.

use std::path::PathBuf;

use anyhow::bail;
use hearth_domain::DefinitionKind;
use hearth_wire::native::definitions::{
    CompatibilityBody, DefinitionList, DiffBody, StoredSchemaBody, StoredTemplateBody, VersionList,
};
use serde_json::{Map, Value, json};

use super::{Format, Target, input::read_content, output};
use crate::client::terminal;

/// Entries of a page.
const PAGE_COUNT: &str = "200";

/// List those that one may use
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Text in the name or the description
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Tag that it must have; may be repeated
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// private, team, organisation or public
    #[arg(long, value_name = "VISIBILITY")]
    visibility: Option<String>,
    /// Only the built-in ones
    #[arg(long)]
    built_in: bool,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,
}

impl List {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let tags = self.tag.join(",");
        let mut list = DefinitionList { data: Vec::new(), next_cursor: None };
        loop {
            let cursor = list.next_cursor.take();
            let mut query = vec![("limit", PAGE_COUNT)];
            query.extend(self.text.as_deref().map(|text| ("q", text)));
            query.extend(Some(tags.as_str()).filter(|tags| !tags.is_empty()).map(|tags| ("tag", tags)));
            query.extend(self.visibility.as_deref().map(|visibility| ("visibility", visibility)));
            query.extend(self.built_in.then_some(("built_in", "true")));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: DefinitionList = target.gateway.get(&target.route(&[]), &query).await?;
            list.data.extend(page.data);
            list.next_cursor = page.next_cursor;
            if list.next_cursor.is_none() {
                break;
            }
        }
        if output::print_as(target.format(self.format), &list)? {
            return Ok(());
        }
        if list.data.is_empty() {
            terminal::note(&format!("there is no such {}", target.kind.as_str()));
            return Ok(());
        }
        Ok(terminal::print(&output::entries(&list.data).fitted(terminal::columns()))?)
    }
}

/// Show one, in its latest version or another
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The name or the id, alone or with a version or a label: `invoice@1.0.0`
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the content alone, as a file for `create` and `update`
    #[arg(long)]
    content: bool,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,
}

impl Show {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let route = target.route(&[&self.name]);
        let (entry, version, content, body) = match target.kind {
            DefinitionKind::Schema => {
                let body: StoredSchemaBody = target.gateway.get(&route, &[]).await?;
                (body.definition.clone(), body.version.clone(), body.schema.clone(), json!(body))
            }
            DefinitionKind::Template => {
                let body: StoredTemplateBody = target.gateway.get(&route, &[]).await?;
                (body.definition.clone(), body.version.clone(), json!(body.template), json!(body))
            }
        };
        let format = target.format(self.format);
        if self.content {
            // A person edits it.
            return match format {
                Format::Json | Format::Table => terminal::print_pretty_json(&content),
                Format::Yaml => output::print_as(format, &content).map(drop),
            };
        }
        if output::print_as(format, &body)? {
            return Ok(());
        }
        terminal::note(&output::entry(&entry));
        terminal::note(&format!("version {}:", version.version));
        terminal::print_pretty_json(&content)
    }
}

/// List the versions
#[derive(Debug, clap::Args)]
pub(super) struct Versions {
    /// The name or the id
    #[arg(value_name = "NAME")]
    name: String,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,
}

impl Versions {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let mut list = VersionList { data: Vec::new(), next_cursor: None };
        loop {
            let cursor = list.next_cursor.take();
            let mut query = vec![("limit", PAGE_COUNT)];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let route = target.route(&[&self.name, "versions"]);
            let page: VersionList = target.gateway.get(&route, &query).await?;
            list.data.extend(page.data);
            list.next_cursor = page.next_cursor;
            if list.next_cursor.is_none() {
                break;
            }
        }
        if output::print_as(target.format(self.format), &list)? {
            return Ok(());
        }
        Ok(terminal::print(&output::versions(&list.data).fitted(terminal::columns()))?)
    }
}

/// Show the differences of two versions, and whether they are compatible
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// The name or the id
    #[arg(value_name = "NAME")]
    name: String,
    /// The earlier version, or a label; without it the one before the later version
    #[arg(value_name = "FROM")]
    from: Option<String>,
    /// The later version, or a label; without it the latest
    #[arg(value_name = "TO")]
    to: Option<String>,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,
}

impl Diff {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let mut query = Vec::new();
        query.extend(self.from.as_deref().map(|from| ("from", from)));
        query.extend(self.to.as_deref().map(|to| ("to", to)));
        let diff: DiffBody = target.gateway.get(&target.route(&[&self.name, "diff"]), &query).await?;
        if output::print_as(target.format(self.format), &diff)? {
            return Ok(());
        }
        Ok(terminal::print_line(&output::diff(&diff))?)
    }
}

/// Check whether a changed file is compatible with a stored version; fails if it isn't
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The name or the id, alone or with a version or a label
    #[arg(value_name = "NAME")]
    name: String,
    /// The changed file, JSON; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,
}

impl Check {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let content = read_content(&self.file, target.kind)?;
        let body: Map<String, Value> = Map::from_iter([(target.kind.as_str().to_owned(), content)]);
        let checked: CompatibilityBody =
            target.gateway.post(&target.route(&[&self.name, "check"]), &body).await?;
        if !output::print_as(target.format(self.format), &checked)? {
            terminal::print_line(&output::compatibility(&checked))?;
        }
        if !checked.compatible {
            bail!("the change is not compatible with {}", self.name);
        }
        Ok(())
    }
}
