//! `hearth batch`: files of requests, carried out by a running gateway when there is time.

mod any_batch;
mod input;
mod progress;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use hearth_domain::BatchEndpoint;
use hearth_wire::openai::batches::BatchBody;
use serde_json::json;

use super::files;
use crate::{
    client::{
        connection::Connection, gateway_client::GatewayClient, interrupt::or_interrupted, poll, table::Table,
        terminal,
    },
    context::Context,
};
use any_batch::{AnyBatch, AnyBatchId, latest};
use progress::BatchProgress;

/// Interval between two looks at a batch.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

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
    /// List your batches, also those of Anthropic's clients, the newest first
    List {
        /// The number of batches
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Show a batch
    Status {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: AnyBatchId,
        /// Watch it until it ends; Ctrl-C leaves it running
        #[arg(long)]
        watch: bool,
    },
    /// Cancel a batch; the results so far are in its files
    Cancel {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: AnyBatchId,
    },
    /// Write the results of a batch that has ended to standard output, or to a file
    Results {
        /// The batch's id
        #[arg(value_name = "ID")]
        id: AnyBatchId,
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
                let batch = id.get(&gateway).await?;
                if is_watched { watch(&gateway, id, batch, json).await } else { show(&batch, json) }
            }
            BatchCommand::Cancel { id } => show(&id.cancel(&gateway).await?, json),
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
        let id = AnyBatchId::File(batch.id.parse()?);
        if self.watch {
            terminal::note(&format!("{id} is submitted; Ctrl-C leaves it running"));
            return watch(gateway, id, AnyBatch::File(Box::new(batch)), json).await;
        }
        if json {
            return terminal::print_json(&batch);
        }
        terminal::print_line(&batch.id)?;
        terminal::next_steps(json, &[&format!("hearth batch status {id} --watch")]);
        Ok(())
    }
}

/// Watches a batch until it ends, and shows it then.
async fn watch(gateway: &GatewayClient, id: AnyBatchId, batch: AnyBatch, json: bool) -> anyhow::Result<()> {
    let progress = BatchProgress::new();
    let has_ended = |batch: &AnyBatch| {
        progress.show(batch);
        batch.has_ended()
    };
    let watched = poll::until_ended(batch, POLL_INTERVAL, has_ended, async || id.get(gateway).await);
    let watched = or_interrupted(watched).await;
    progress.clear();
    let batch = watched.inspect_err(|error| {
        let (watch, cancel) =
            (format!("hearth batch status {id} --watch"), format!("hearth batch cancel {id}"));
        poll::note_unfinished(error, "the batch", &watch, &cancel);
    })?;
    show(&batch, json)?;
    batch.ensure_completed()?;
    terminal::next_steps(json, &[&format!("hearth batch results {id}")]);
    Ok(())
}

fn show(batch: &AnyBatch, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(batch);
    }
    Ok(terminal::print(&batch.lines())?)
}

async fn list(gateway: &GatewayClient, limit: usize, json: bool) -> anyhow::Result<()> {
    let list = latest(gateway, limit).await?;
    if json {
        return terminal::print_json(&list);
    }
    let batches = list.data;
    if batches.is_empty() {
        terminal::note("there are no batches; submit one with `hearth batch submit FILE.jsonl`");
        return Ok(());
    }
    let mut table = Table::new(["ID", "STATUS", "ENDPOINT", "DONE", "FAILED", "TOTAL", "CREATED"]);
    for batch in batches {
        let counts = batch.counts();
        table.push([
            batch.id(),
            batch.state().to_owned(),
            batch.endpoint().to_string(),
            counts.answered.to_string(),
            counts.failed.to_string(),
            counts.total.to_string(),
            batch.created().to_string(),
        ]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

async fn results(
    gateway: &GatewayClient,
    id: AnyBatchId,
    errors: bool,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let batch = id.get(gateway).await?;
    if !batch.has_ended() {
        bail!("the batch is {}; its results are there when it has ended", batch.state());
    }
    let batch = match batch {
        AnyBatch::File(batch) => batch,
        AnyBatch::Messages(_) if errors => {
            bail!("a batch of messages has its errors among the results; leave --errors out")
        }
        AnyBatch::Messages(_) => {
            return files::download(
                gateway,
                &["v1", "messages", "batches", &id.to_string(), "results"],
                output,
            )
            .await
            .with_context(|| format!("the results of {id} can't be read"));
        }
    };
    let (file, kind, other) = match errors {
        true => (batch.error_file_id, "error", batch.output_file_id.map(|_| "hearth batch results")),
        false => {
            (batch.output_file_id, "output", batch.error_file_id.map(|_| "hearth batch results --errors"))
        }
    };
    match (file, other) {
        (Some(file), _) => files::get(gateway, &file.to_string(), output).await,
        (None, Some(other)) => bail!("the batch has no {kind} file; see `{other} {id}`"),
        // It has failed before its first request, or was cancelled.
        (None, None) => bail!(
            "no request of the batch has a result, since it is {}; `hearth batch status {id}` has the reason",
            batch.status.as_str()
        ),
    }
}
