//! `hearth batch`: files of requests, carried out by a running gateway when there is time.

mod input;
mod progress;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use hearth_domain::{BatchEndpoint, BatchId, BatchState, FileId, Timestamp};
use hearth_wire::openai::batches::{BatchBody, BatchList};
use serde_json::json;

use super::files;
use crate::{
    client::{
        connection::Connection, gateway_client::GatewayClient, interrupt::or_interrupted, table::Table,
        terminal,
    },
    context::Context,
};
use progress::BatchProgress;

/// Interval between two looks at a batch.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Batches of a page, the maximum of the API.
const PAGE_MAX_COUNT: usize = 100;

/// Submit, list, watch and cancel batches of requests, and read their results
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth batch submit questions.jsonl --watch
  hearth batch submit texts.jsonl --endpoint /v1/embeddings --when night
  hearth batch status batch_01JDB4T6ZW3Q8N5XKM2C7V9RHF --watch
  hearth batch results batch_01JDB4T6ZW3Q8N5XKM2C7V9RHF --output answers.jsonl
  hearth batch results batch_01JDB4T6ZW3Q8N5XKM2C7V9RHF --errors

A line of the file is one request:
  {\"custom_id\": \"1\", \"method\": \"POST\", \"url\": \"/v1/chat/completions\", \"body\": {\"model\": \"auto\", \"messages\": [...]}}")]
pub(crate) struct Batch {
    #[command(subcommand)]
    command: BatchCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for batches.
#[derive(Debug, clap::Subcommand)]
enum BatchCommand {
    /// Upload a file of requests, and create a batch over it
    Submit(Submit),
    /// List your batches, the newest first
    List {
        /// The number of batches
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Show a batch
    Status {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: BatchId,
        /// Watch it until it ends; Ctrl-C leaves it running
        #[arg(long)]
        watch: bool,
    },
    /// Cancel a batch; the results so far are in its files
    Cancel {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: BatchId,
    },
    /// Write the results of a batch that has ended to standard output, or to a file
    Results {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: BatchId,
        /// The results of requests that weren't answered
        #[arg(long)]
        errors: bool,
        /// The file to write, which must not exist
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// A batch to submit.
#[derive(Debug, clap::Args)]
struct Submit {
    /// The file with the requests, one on each line
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// The route of the requests; without it, that of the first line
    #[arg(long, value_name = "PATH")]
    endpoint: Option<BatchEndpoint>,
    /// The time at which requests may be started
    #[arg(long, value_parser = ["now", "idle", "night"], default_value = "now")]
    when: String,
    /// The highest price of a provider, in dollars for a million output tokens; 0 for your nodes alone
    #[arg(long, value_name = "DOLLARS")]
    max_price: Option<f64>,
    /// Watch it until it ends; Ctrl-C leaves it running
    #[arg(long)]
    watch: bool,
}

impl Batch {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, or a file that can't be read or written.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        match self.command {
            BatchCommand::Submit(submit) => submit.run(&gateway, json).await,
            BatchCommand::List { limit } => list(&gateway, limit, json).await,
            BatchCommand::Status { id, watch: is_watched } => {
                let batch = get(&gateway, id).await?;
                if is_watched { watch(&gateway, batch, json).await } else { show(&batch, json) }
            }
            BatchCommand::Cancel { id } => {
                let path = ["v1", "batches", &id.to_string(), "cancel"];
                let batch: BatchBody = gateway.post(&path, &json!({})).await?;
                show(&batch, json)
            }
            BatchCommand::Results { id, errors, output } => {
                results(&gateway, id, errors, output.as_deref()).await
            }
        }
    }
}

impl Submit {
    async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint,
            None => input::endpoint_of(&self.path)?,
        };
        let file = files::upload(gateway, &self.path, "batch".to_owned(), None).await?;
        let mut request = json!({
            "input_file_id": file.id, "endpoint": endpoint, "completion_window": "24h", "when": self.when,
        });
        if let Some(max_price) = self.max_price {
            request["max_price"] = json!(max_price);
        }
        let batch: BatchBody = gateway.post(&["v1", "batches"], &request).await?;
        if self.watch {
            terminal::note(&format!("{} is submitted; Ctrl-C leaves it running", batch.id));
            return watch(gateway, batch, json).await;
        }
        if json {
            return terminal::print_json(&batch);
        }
        Ok(terminal::print_line(&batch.id)?)
    }
}

async fn get(gateway: &GatewayClient, id: BatchId) -> anyhow::Result<BatchBody> {
    gateway.get(&["v1", "batches", &id.to_string()], &[]).await
}

/// Watches a batch until it ends, and shows it then.
async fn watch(gateway: &GatewayClient, batch: BatchBody, json: bool) -> anyhow::Result<()> {
    let id: BatchId = batch.id.parse()?;
    let progress = BatchProgress::new();
    let watched = or_interrupted(async {
        let mut batch = batch;
        loop {
            progress.show(&batch);
            if batch.status.is_terminal() {
                return Ok(batch);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
            batch = get(gateway, id).await?;
        }
    });
    let watched = watched.await;
    progress.clear();
    let batch = watched?;
    show(&batch, json)?;
    if batch.status != BatchState::Completed {
        bail!("the batch is {}", batch.status.as_str());
    }
    terminal::next_steps(json, &[&format!("hearth batch results {id}")]);
    Ok(())
}

fn show(batch: &BatchBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(batch);
    }
    let counts = batch.request_counts;
    let mut lines = vec![
        ("id", batch.id.clone()),
        ("status", batch.status.as_str().to_owned()),
        ("endpoint", batch.endpoint.to_string()),
        ("requests", format!("{} of {} answered, {} failed", counts.completed, counts.total, counts.failed)),
        ("created", Timestamp::from_unix(batch.created_at).to_string()),
    ];
    lines.extend(batch.waits_for.clone().map(|reason| ("waits for", reason)));
    let file = |file: Option<FileId>| file.map(|id| id.to_string());
    lines.extend(file(batch.output_file_id).map(|id| ("output file", id)));
    lines.extend(file(batch.error_file_id).map(|id| ("error file", id)));
    for fault in batch.errors.iter().flat_map(|errors| &errors.data) {
        let line = fault.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let message = terminal::printable(&fault.message, terminal::stdout_is_terminal());
        lines.push(("error", format!("{line}{message}")));
    }
    let text: String = lines.iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect();
    Ok(terminal::print(&text)?)
}

async fn list(gateway: &GatewayClient, limit: usize, json: bool) -> anyhow::Result<()> {
    let mut batches: Vec<BatchBody> = Vec::new();
    let mut after: Option<String> = None;
    while batches.len() < limit {
        let count = (limit - batches.len()).min(PAGE_MAX_COUNT).to_string();
        let mut query = vec![("limit", count.as_str())];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page: BatchList = gateway.get(&["v1", "batches"], &query).await?;
        after = page.last_id;
        batches.extend(page.data);
        if !page.has_more || after.is_none() {
            break;
        }
    }
    if json {
        return terminal::print_json(&batches);
    }
    if batches.is_empty() {
        terminal::note("there are no batches; submit one with `hearth batch submit FILE.jsonl`");
        return Ok(());
    }
    let mut table = Table::new(["ID", "STATUS", "ENDPOINT", "DONE", "FAILED", "TOTAL", "CREATED"]);
    for batch in batches {
        let counts = batch.request_counts;
        table.push([
            batch.id,
            batch.status.as_str().to_owned(),
            batch.endpoint.to_string(),
            counts.completed.to_string(),
            counts.failed.to_string(),
            counts.total.to_string(),
            Timestamp::from_unix(batch.created_at).to_string(),
        ]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

async fn results(
    gateway: &GatewayClient,
    id: BatchId,
    errors: bool,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let batch = get(gateway, id).await?;
    if !batch.status.is_terminal() {
        bail!("the batch is {}; its results are there when it has ended", batch.status.as_str());
    }
    let (file, kind, other) = match errors {
        true => (batch.error_file_id, "error", "hearth batch results"),
        false => (batch.output_file_id, "output", "hearth batch results --errors"),
    };
    let file = file.with_context(|| format!("the batch has no {kind} file; see `{other} {id}`"))?;
    files::get(gateway, &file.to_string(), output).await
}
