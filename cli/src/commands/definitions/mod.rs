//! `hearth schema` and `hearth template`: schemas of answers and templates of prompts, in versions.

mod change;
mod input;
mod output;
mod read;
mod render;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};
use hearth_domain::DefinitionKind;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient},
    context::Context,
};

/// List, show, create, update, label and delete schemas of answers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth schema list invoice
  hearth schema show invoice --content > invoice.json
  hearth schema create receipt.json --description 'Total and shop of a receipt'
  hearth schema update receipt receipt.json --message 'The currency too'
  hearth schema diff receipt
  hearth schema label receipt production 1.1.0 --expected 1.0.0
  hearth analyze --schema receipt@production --file receipt.txt

Schemas of models' parameters are another thing: `hearth models schema`.")]
pub(crate) struct Schema {
    #[command(subcommand)]
    command: DefinitionCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// List, show, create, update, label, render and delete templates of prompts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth template list
  hearth template render invoice --var text='Coffee 3.50' --var currency=EUR
  hearth template show invoice --content > mine.json
  hearth template create mine.json --name my-invoice --visibility organisation
  hearth template check my-invoice mine.json
  hearth template update my-invoice mine.json --change minor")]
pub(crate) struct Template {
    #[command(subcommand)]
    command: TemplateCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for templates.
#[derive(Debug, Subcommand)]
enum TemplateCommand {
    #[command(flatten)]
    Definition(DefinitionCommand),
    /// Render a template with variables, without calling a model
    Render(render::Render),
}

/// Commands for schemas and templates.
#[derive(Debug, Subcommand)]
enum DefinitionCommand {
    /// List those that one may use
    List(read::List),
    /// Show one, in its latest version or another
    Show(read::Show),
    /// Store a new one from a file
    Create(change::Create),
    /// Store a new version from a file
    Update(change::Update),
    /// Change the description, the tags or the visibility
    Set(change::Set),
    /// List the versions
    Versions(read::Versions),
    /// Show the differences of two versions, and whether they are compatible
    Diff(read::Diff),
    /// Check whether a changed file is compatible with a stored version; fails if it isn't
    Check(read::Check),
    /// Have a label point to a version, or remove it
    Label(change::Label),
    /// Delete them with their versions
    Delete(change::Delete),
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// The gateway, the kind of definition, and the form of the output.
struct Target<'a> {
    gateway: &'a GatewayClient,
    kind: DefinitionKind,
    json: bool,
}

impl Target<'_> {
    /// The first segments of the routes.
    fn route<'b>(&self, rest: &[&'b str]) -> Vec<&'b str> {
        let plural = match self.kind {
            DefinitionKind::Schema => "schemas",
            DefinitionKind::Template => "templates",
        };
        ["v1", plural].into_iter().chain(rest.iter().copied()).collect()
    }

    /// The form of the output: `--json` comes before the command's own flag.
    fn format(&self, format: Option<Format>) -> Format {
        if self.json { Format::Json } else { format.unwrap_or(Format::Table) }
    }
}

impl Schema {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, a file that can't be read, or an incompatible change that was checked.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let target =
            Target { gateway: &gateway, kind: DefinitionKind::Schema, json: context.connection.json };
        self.command.run(&target).await
    }
}

impl Template {
    /// Runs the command.
    ///
    /// # Errors
    /// As [`Schema::run`].
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let target =
            Target { gateway: &gateway, kind: DefinitionKind::Template, json: context.connection.json };
        match self.command {
            TemplateCommand::Definition(command) => command.run(&target).await,
            TemplateCommand::Render(render) => render.run(&target).await,
        }
    }
}

impl DefinitionCommand {
    async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run(target).await,
            Self::Show(show) => show.run(target).await,
            Self::Create(create) => create.run(target).await,
            Self::Update(update) => update.run(target).await,
            Self::Set(set) => set.run(target).await,
            Self::Versions(versions) => versions.run(target).await,
            Self::Diff(diff) => diff.run(target).await,
            Self::Check(check) => check.run(target).await,
            Self::Label(label) => label.run(target).await,
            Self::Delete(delete) => delete.run(target).await,
        }
    }
}
