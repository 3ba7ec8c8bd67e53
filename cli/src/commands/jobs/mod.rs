//! `hearth jobs`: downloads of models by the gateway's nodes.

mod output;

use hearth_domain::JobId;
use hearth_wire::native::jobs::{JobBody, JobList};
use serde_json::json;

use super::models::follow;
use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, terminal},
    context::{Context, ContextFlags},
};

/// Jobs of one page, the maximum of the API.
const PAGE_SIZE: &str = "200";

/// List, show, cancel, pause and resume downloads
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth jobs list
  hearth jobs show --follow job_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth jobs pause job_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
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
        #[arg(long, value_parser = ["queued", "running", "paused", "completed", "failed", "cancelled"])]
        state: Option<String>,
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
    /// End a job, and delete its unfinished file
    Cancel {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
    },
    /// Stop a job for a while
    Pause {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
    },
    /// Continue a paused job
    Resume {
        /// The job's id
        #[arg(value_name = "ID")]
        id: JobId,
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
            JobsCommand::List { state, limit } => list(&gateway, state.as_deref(), limit, json).await,
            JobsCommand::Show { id, follow: is_followed } => {
                let mut job: JobBody = gateway.get(&["v1", "jobs", &id.to_string()], &[]).await?;
                if is_followed {
                    let Some(ended) = follow::follow(&gateway, job).await? else { return Ok(()) };
                    job = ended;
                }
                show(&job, json)
            }
            JobsCommand::Cancel { id } => {
                let job: JobBody = gateway.delete_json(&["v1", "jobs", &id.to_string()]).await?;
                changed(&job, json)
            }
            JobsCommand::Pause { id } => change(&gateway, id, "pause", json).await,
            JobsCommand::Resume { id } => change(&gateway, id, "resume", json).await,
        }
    }
}

async fn list(gateway: &GatewayClient, state: Option<&str>, limit: usize, json: bool) -> anyhow::Result<()> {
    let (mut jobs, mut cursor) = (Vec::new(), None);
    while jobs.len() < limit {
        let mut query = vec![("limit", PAGE_SIZE)];
        query.extend(state.map(|state| ("state", state)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: JobList = gateway.get(&["v1", "jobs"], &query).await?;
        jobs.extend(page.jobs);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    jobs.truncate(limit);
    if json {
        return terminal::print_json(&json!({ "jobs": jobs }));
    }
    if jobs.is_empty() {
        terminal::note("there are no jobs; `hearth models pull OWNER/REPO` begins one");
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

async fn change(gateway: &GatewayClient, id: JobId, change: &str, json: bool) -> anyhow::Result<()> {
    let job: JobBody = gateway.post(&["v1", "jobs", &id.to_string(), change], &json!({})).await?;
    changed(&job, json)
}

fn changed(job: &JobBody, json: bool) -> anyhow::Result<()> {
    follow::print(job, json, &format!("{} is {}", job.id, job.state.as_str()))
}
