//! `hearth analyze`: data out of texts.

mod batch;
mod interactive;
mod output;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ValueEnum;
use hearth_wire::native::analyze::{AnalyzeOptions, AnalyzeRequest, AnalyzeResponse, DataFormat};
use serde_json::{Map, Value};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, interrupt, terminal},
    context::Context,
};

/// Extract data from texts, by a JSON Schema
///
/// The text is the argument, a file or standard input. At a terminal, without any of them, each line is a text; /help lists the
/// commands.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth analyze 'Order 4711 arrived broken. Please send me a new kettle to Lyon.'
  hearth analyze --schema invoice --file invoice.txt -f yaml
  hearth analyze --schema ./person.json --language de < letter.txt
  hearth analyze --template support --var 'message=The kettle arrived broken.'
  hearth analyze --batch texts.jsonl > results.jsonl")]
pub(crate) struct Analyze {
    /// The text; its words are joined by spaces. `-` reads standard input
    #[arg(value_name = "TEXT", conflicts_with_all = ["file", "batch"])]
    text: Vec<String>,
    /// Read the text from a file
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    file: Option<PathBuf>,
    /// Read many texts from a file of JSON Lines, each a text or an object with `prompt`; `-` for standard input
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,
    /// Leave out so many texts of the file: those that an earlier run has analyzed
    #[arg(long, value_name = "N", requires = "batch", default_value_t = 0)]
    skip: usize,
    #[command(flatten)]
    flags: AnalysisFlags,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Schema, template and options of an analysis.
#[derive(Debug, Clone, clap::Args)]
struct AnalysisFlags {
    /// A file with a JSON Schema, or a stored schema: its name or id, also with a version, such as `invoice@1.2.0`
    #[arg(long, value_name = "FILE|ID")]
    schema: Option<String>,
    /// A stored template
    #[arg(long, value_name = "ID")]
    template: Option<String>,
    /// A variable of the template; its value is JSON where it can be, else a text. May be given several times
    #[arg(long, value_name = "NAME=VALUE", requires = "template", value_parser = variable)]
    var: Vec<(String, Value)>,
    /// Format of the data
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    format: OutputFormat,
    /// The model's id, or `auto` for the gateway's choice
    #[arg(short, long, value_name = "ID")]
    model: Option<String>,
    /// The provider that must serve the request
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Language of the data, as a code or a name; `original` for that of the text
    #[arg(short, long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// Confidence below which the data is marked, 0 to 1
    #[arg(long, value_name = "NUMBER")]
    threshold: Option<f64>,
    /// Answers to compare, 1 to 5; their agreement is a part of the confidence
    #[arg(long, value_name = "COUNT")]
    samples: Option<u32>,
    /// Answers to generate at most until one fits the schema, 1 to 5
    #[arg(long, value_name = "COUNT")]
    attempts: Option<u32>,
    /// Accept an answer that fits the schema without its bounds, patterns and required fields
    #[arg(long)]
    relaxed: bool,
    /// Accept any answer
    #[arg(long)]
    no_validation: bool,
    /// Ask the model even if the answer is cached
    #[arg(long)]
    no_cache: bool,
    /// Randomness of the choice of tokens, 0 to 2; 0 without it
    #[arg(short, long, value_name = "NUMBER")]
    temperature: Option<f32>,
    /// Tokens to generate at most
    #[arg(short = 'n', long, value_name = "COUNT")]
    max_tokens: Option<u32>,
}

/// Format of the printed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// XML.
    Xml,
    /// A table of fields.
    Table,
}

impl Analyze {
    /// Analyzes the text, the texts of a file, or those that are typed.
    ///
    /// # Errors
    /// No text, no gateway, a failed analysis, or `Interrupted`.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let json = context.connection.json;
        if let Some(path) = &self.batch {
            return batch::run(&gateway, path, self.skip, &self.flags, json).await;
        }
        let text = match (&self.file, self.text.as_slice()) {
            (Some(path), _) => Some(read_file(path)?),
            (None, [dash]) if dash == "-" => Some(read_stdin()?),
            (None, []) if !terminal::stdin_is_terminal() => Some(read_stdin()?),
            (None, []) => None,
            (None, words) => Some(words.join(" ")),
        };
        match text {
            Some(text) => analyze(&gateway, self.flags.request(text)?, self.flags.format, json).await,
            // A template may need no text.
            None if self.flags.template.is_some() => {
                analyze(&gateway, self.flags.request(String::new())?, self.flags.format, json).await
            }
            None => interactive::run(&gateway, self.flags, json).await,
        }
    }
}

/// Sends a request and prints the response.
async fn analyze(
    gateway: &GatewayClient,
    request: AnalyzeRequest,
    format: OutputFormat,
    json: bool,
) -> anyhow::Result<()> {
    let spinner = terminal::spinner("analyzing");
    let sent = gateway.post::<AnalyzeResponse>(&["v1", "analyze"], &request);
    let response = interrupt::or_interrupted(sent).await;
    spinner.finish_and_clear();
    let response = response?;
    if json {
        return terminal::print_json(&response);
    }
    terminal::print(&terminal::printable(&output::data(&response, format)?, terminal::stdout_is_terminal()))?;
    output::notes(&response).iter().for_each(|note| terminal::note(note));
    Ok(())
}

impl AnalysisFlags {
    /// The request for a text.
    fn request(&self, text: String) -> anyhow::Result<AnalyzeRequest> {
        anyhow::ensure!(!text.trim().is_empty() || self.template.is_some(), "the text is empty");
        let (schema, schema_id) = match &self.schema {
            Some(name) => schema(name)?,
            None => (None, None),
        };
        Ok(AnalyzeRequest {
            prompt: (!text.trim().is_empty()).then_some(text),
            schema,
            schema_id,
            template_id: self.template.clone(),
            variables: (!self.var.is_empty()).then(|| self.var.iter().cloned().collect::<Map<_, _>>()),
            options: self.options(),
        })
    }

    fn options(&self) -> AnalyzeOptions {
        AnalyzeOptions {
            model: self.model.clone(),
            provider: self.provider.clone(),
            format: match self.format {
                OutputFormat::Json | OutputFormat::Table => None,
                OutputFormat::Yaml => Some(DataFormat::Yaml),
                OutputFormat::Xml => Some(DataFormat::Xml),
            },
            confidence_threshold: self.threshold,
            bypass_cache: self.no_cache.then_some(true),
            bypass_validation: self.no_validation.then_some(true),
            language: self.language.clone(),
            max_attempts: self.attempts,
            allow_relaxed: self.relaxed.then_some(true),
            samples: self.samples,
            temperature: self.temperature,
            max_tokens: self.max_tokens,
        }
    }
}

/// The schema in a file, or the reference to a stored one. A name with a slash or the ending `.json` is a file.
fn schema(name: &str) -> anyhow::Result<(Option<Value>, Option<String>)> {
    let path = Path::new(name);
    let is_file =
        path.is_file() || name.contains('/') || path.extension().is_some_and(|extension| extension == "json");
    if !is_file {
        return Ok((None, Some(name.to_owned())));
    }
    let text = read_file(path)?;
    let schema =
        serde_json::from_str(&text).with_context(|| format!("{name} is no JSON Schema: it isn't JSON"))?;
    Ok((Some(schema), None))
}

fn variable(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} can't be read as text", path.display()))
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input can't be read as text")?;
    Ok(text)
}

#[cfg(test)]
mod tests;
