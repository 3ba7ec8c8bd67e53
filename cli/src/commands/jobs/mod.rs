//! `hearth jobs`: downloads of models by the gateway's nodes, and the work that the gateway carries out.

mod dead;
mod output;
mod pauses;
mod submit;

use hearth_domain::{JobId, JobKind};
use hearth_wire::native::jobs::{JobBody, JobList};
use serde_json::json;

use super::models::follow;
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::{Context, ContextFlags},
};

/// Jobs of one page, the maximum of the API.
const PAGE_SIZE: &str = "200";

/// Submit, list, show, cancel, pause and resume jobs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth jobs list
  hearth jobs show --follow job_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth jobs pause job_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth jobs pause generate                  # no job of the kind begins until `hearth jobs resume generate`
  echo '{\"input\": {\"prompt\": \"Hi\"}}' | hearth jobs submit generate --follow
  hearth jobs dead list
  hearth jobs dead retry --all")]
pub(crate) struct Jobs {
    #[command(subcommand)]
    command: JobsCommand,
    #[command(flatten)]
    connection: Connection,
}

/// Commands for jobs.
#[derive(Debug, clap::Subcommand)]
enum JobsCommand {
    /// List your jobs, newest first
    List {
        /// Only jobs in this state
        #[arg(long, value_parser = ["queued", "running", "paused", "completed", "failed", "cancelled", "expired"])]
        state: Option<String>,
        /// Only jobs of this kind
        #[arg(long, value_parser = ["download", "generate", "analyze", "batch"])]
        kind: Option<String>,
        /// The number of jobs
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Show a job
    Show {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
        /// Follow it until it ends; Ctrl-C leaves it running
        #[arg(long)]
        follow: bool,
    },
    /// Submit a job with the JSON of a file, or of the standard input
    Submit(submit::Submit),
    /// Print the result of a completed job as JSON
    Result {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
    },
    /// End a job, and delete the unfinished file of a download
    Cancel {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
    },
    /// Stop a job, or all of a kind, for a while
    Pause(pauses::Pause),
    /// Continue a paused job, or a paused kind
    Resume(pauses::Pause),
    /// List the paused kinds of jobs
    Pauses,
    /// Submit the input of a job that has ended once more, as a new job
    Retry {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
    },
    /// List, retry and drop failed jobs
    Dead {
        #[command(subcommand)]
        command: dead::DeadCommand,
    },
}

impl Jobs {
    pub(crate) fn flags(&self) -> ContextFlags {
        ContextFlags::from(&self.connection)
    }

    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, or an error of the gateway.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let json = context.connection.json;
        let gateway = GatewayClient::new(&context.connection)?;
        match self.command {
            JobsCommand::List { state, kind, limit } => {
                let filter = [("state", state), ("kind", kind)];
                let filter: Vec<_> =
                    filter.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
                list(&gateway, &filter, limit, json).await
            }
            JobsCommand::Show { id, follow: is_followed } => {
                let job: JobBody = gateway.get(&["v1", "jobs", &id.to_string()], &[]).await?;
                match is_followed {
                    true => follow_job(&gateway, job, json).await,
                    false => show(&job, json),
                }
            }
            JobsCommand::Submit(submit) => submit.run(&gateway, json).await,
            JobsCommand::Result { id } => {
                let result: serde_json::Value =
                    gateway.get(&["v1", "jobs", &id.to_string(), "result"], &[]).await?;
                terminal::print_json(&result)
            }
            JobsCommand::Cancel { id } => {
                let job: JobBody = gateway.delete_json(&["v1", "jobs", &id.to_string()]).await?;
                changed(&job, json)
            }
            JobsCommand::Pause(pause) => pause.run(&gateway, true, json).await,
            JobsCommand::Resume(pause) => pause.run(&gateway, false, json).await,
            JobsCommand::Pauses => pauses::list(&gateway, json).await,
            JobsCommand::Retry { id } => {
                let job: JobBody =
                    gateway.post(&["v1", "jobs", &id.to_string(), "retry"], &json!({})).await?;
                follow::print(&job, json, &format!("{} repeats {id}", job.id))
            }
            JobsCommand::Dead { command } => command.run(&gateway, json).await,
        }
    }
}

/// Up to `limit` jobs that a filter selects.
async fn read(
    gateway: &GatewayClient,
    filter: &[(&str, &str)],
    limit: usize,
) -> anyhow::Result<Vec<JobBody>> {
    let (mut jobs, mut cursor) = (Vec::new(), None);
    while jobs.len() < limit {
        let mut query = vec![("limit", PAGE_SIZE)];
        query.extend(filter);
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: JobList = gateway.get(&["v1", "jobs"], &query).await?;
        jobs.extend(page.jobs);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    jobs.truncate(limit);
    Ok(jobs)
}

/// Follows a job until it ends, and shows it.
async fn follow_job(gateway: &GatewayClient, job: JobBody, json: bool) -> anyhow::Result<()> {
    let job = match job.kind {
        JobKind::Download => follow::follow(gateway, job).await?,
        _ => submit::follow(gateway, job).await?,
    };
    job.map_or(Ok(()), |job| show(&job, json))
}

async fn list(
    gateway: &GatewayClient,
    filter: &[(&str, &str)],
    limit: usize,
    json: bool,
) -> anyhow::Result<()> {
    let jobs = read(gateway, filter, limit).await?;
    if json {
        return terminal::print_json(&json!({ "jobs": jobs }));
    }
    if jobs.is_empty() {
        terminal::note(
            "there are no jobs; `hearth jobs submit generate` and `hearth models pull OWNER/REPO` begin one",
        );
        return Ok(());
    }
    Ok(terminal::print(&output::table(&jobs).fitted(terminal::columns()))?)
}

fn show(job: &JobBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(job);
    }
    Ok(terminal::print(&output::lines(job))?)
}

fn changed(job: &JobBody, json: bool) -> anyhow::Result<()> {
    follow::print(job, json, &format!("{} is {}", job.id, job.state.as_str()))
}
