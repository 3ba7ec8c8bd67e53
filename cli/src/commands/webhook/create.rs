//! The bodies of new and changed webhooks. Secrets come from files and standard input: an argument would be visible in the list of
//! processes and in the shell's history.

use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use hearth_domain::WebhookId;
use serde_json::{Map, Value, json};

/// Limit of the bytes of a secret, or of a file of headers.
const INPUT_MAX_BYTES: u64 = 64 << 10;

/// A webhook to create.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// The address of the endpoint, or of email; for slack it may be on standard input, as it is a secret
    #[arg(value_name = "URL")]
    address: Option<String>,
    /// A kind of event, with * for any text, several times
    #[arg(long = "event", value_name = "KIND", required = true)]
    events: Vec<String>,
    /// The kind of the target
    #[arg(long, value_name = "TARGET", default_value = "https")]
    target: Target,
    /// Read the secret from standard input: one of your own, or pagerduty's integration key
    #[arg(long)]
    secret_stdin: bool,
    /// Get the events of all members of the organisation; for owners and admins
    #[arg(long)]
    organisation: bool,
    #[command(flatten)]
    options: WebhookOptions,
}

/// Changes of a webhook.
#[derive(Debug, clap::Args)]
pub(crate) struct Update {
    /// The webhook's id
    #[arg(value_name = "ID")]
    id: WebhookId,
    /// The address of the endpoint
    #[arg(long, value_name = "URL")]
    address: Option<String>,
    /// A kind of event, several times; they replace the stored ones
    #[arg(long = "event", value_name = "KIND")]
    events: Vec<String>,
    #[command(flatten)]
    options: WebhookOptions,
}

/// Options of a webhook.
#[derive(Debug, clap::Args)]
struct WebhookOptions {
    /// A name in lists
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A file with a JSON object of further headers
    #[arg(long, value_name = "FILE")]
    headers_file: Option<PathBuf>,
    /// Only events with this subject, with * for any text
    #[arg(long, value_name = "PATTERN")]
    subject: Option<String>,
    /// Only events whose data has this value, as model=gpt-*, several times
    #[arg(long = "where", value_name = "FIELD=PATTERN")]
    attributes: Vec<String>,
    /// Most events of one request
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=25))]
    batch: Option<u32>,
    /// Seconds for which the first event of a request waits for others
    #[arg(long, value_name = "SECONDS", requires = "batch", value_parser = clap::value_parser!(u32).range(0..=300))]
    window: Option<u32>,
}

/// The kind of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// An endpoint, which receives signed events
    Https,
    /// An address of email
    Email,
    /// An incoming webhook of Slack
    Slack,
    /// A service of PagerDuty
    Pagerduty,
}

impl Create {
    /// The body of the request.
    pub(super) fn body(self) -> anyhow::Result<Value> {
        let mut body = self.options.fields()?;
        body.insert("events".to_owned(), self.events.into());
        let target = self.target.to_possible_value().map(|value| value.get_name().to_owned());
        body.insert("target".to_owned(), target.into());
        let reads_url = self.target == Target::Slack && self.address.is_none();
        if reads_url && self.secret_stdin {
            bail!("the address of slack is read from standard input; leave --secret-stdin out");
        }
        let url = if reads_url { Some(read_line()?) } else { self.address };
        body.extend(url.map(|url| ("url".to_owned(), url.into())));
        if self.secret_stdin || self.target == Target::Pagerduty {
            body.insert("secret".to_owned(), read_line()?.into());
        }
        if self.organisation {
            body.insert("visibility".to_owned(), "organisation".into());
        }
        Ok(body.into())
    }
}

impl Update {
    /// The webhook's id, and the body of the request.
    pub(super) fn body(self) -> anyhow::Result<(WebhookId, Value)> {
        let mut body = self.options.fields()?;
        if !self.events.is_empty() {
            body.insert("events".to_owned(), self.events.into());
        }
        body.extend(self.address.map(|url| ("url".to_owned(), url.into())));
        if body.is_empty() {
            bail!("name what to change; `hearth webhook update --help` lists it");
        }
        Ok((self.id, body.into()))
    }
}

impl WebhookOptions {
    fn fields(self) -> anyhow::Result<Map<String, Value>> {
        let mut body = Map::new();
        body.extend(self.name.map(|name| ("name".to_owned(), name.into())));
        if let Some(path) = &self.headers_file {
            body.insert("headers".to_owned(), read_headers(path)?);
        }
        let mut attributes = Map::new();
        for attribute in &self.attributes {
            let (field, pattern) = attribute
                .split_once('=')
                .with_context(|| format!("{attribute:?} must be FIELD=PATTERN, such as model=gpt-*"))?;
            attributes.insert(field.to_owned(), pattern.into());
        }
        if self.subject.is_some() || !attributes.is_empty() {
            let mut filter = Map::new();
            filter.extend(self.subject.map(|subject| ("subject".to_owned(), subject.into())));
            filter.insert("attributes".to_owned(), attributes.into());
            body.insert("filter".to_owned(), filter.into());
        }
        if let Some(max_events) = self.batch {
            let window_seconds = self.window.unwrap_or_default();
            let batch = json!({ "max_events": max_events, "window_seconds": window_seconds });
            body.insert("batch".to_owned(), batch);
        }
        Ok(body)
    }
}

/// Reads a file with a JSON object of texts.
fn read_headers(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    let headers: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not valid JSON", path.display()))?;
    match headers.as_object().is_some_and(|headers| headers.values().all(Value::is_string)) {
        true => Ok(headers),
        false => bail!("{} must have a JSON object of names and texts", path.display()),
    }
}

/// Reads a secret from standard input.
pub(super) fn read_line() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        crate::client::terminal::note("paste it, then press Enter and Ctrl-D");
    }
    let mut text = String::new();
    stdin.take(INPUT_MAX_BYTES).read_to_string(&mut text).context("can't read standard input")?;
    let text = text.trim();
    if text.is_empty() {
        bail!("standard input is empty; pipe the secret into the command");
    }
    Ok(text.to_owned())
}
