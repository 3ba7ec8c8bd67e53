//! `hearth template render`.

use std::path::PathBuf;

use anyhow::Context as _;
use hearth_wire::native::definitions::RenderedBody;
use serde_json::{Map, Value, json};

use super::{Format, Target, input::read_json, output};
use crate::client::terminal;

/// Render a template with variables, without calling a model
#[derive(Debug, clap::Args)]
pub(super) struct Render {
    /// The name or the id, alone or with a version or a label
    #[arg(value_name = "NAME")]
    name: String,
    /// A variable; its value is JSON where it can be, else a text. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    var: Vec<(String, Value)>,
    /// A file with variables, a JSON object; `-` for standard input. Those of --var come before them
    #[arg(long, value_name = "FILE")]
    vars: Option<PathBuf>,
    /// Form of the output
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<Format>,
}

impl Render {
    pub(super) async fn run(self, target: &Target<'_>) -> anyhow::Result<()> {
        let mut variables = match &self.vars {
            None => Map::new(),
            Some(path) => match read_json(path)? {
                Value::Object(variables) => variables,
                _ => return Err(anyhow::anyhow!("variables must be a JSON object")),
            },
        };
        variables.extend(self.var);
        let route = target.route(&[&self.name, "render"]);
        let rendered: RenderedBody = target.gateway.post(&route, &json!({"variables": variables})).await?;
        if output::print_as(target.format(self.format), &rendered)? {
            return Ok(());
        }
        let RenderedBody { name, version, schema_id, model, .. } = &rendered;
        let mut head = format!("{name}@{version}");
        head.extend(schema_id.as_ref().map(|schema| format!(", schema {schema}")));
        head.extend(model.as_ref().map(|model| format!(", model {model}")));
        terminal::note(&head);
        for message in &rendered.messages {
            terminal::note(&format!("{}:", message.role.as_str()));
            terminal::print_line(&terminal::printable(&message.content, terminal::stdout_is_terminal()))
                .context("standard output can't be written")?;
        }
        Ok(())
    }
}

fn variable(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}
