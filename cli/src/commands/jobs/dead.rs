//! `hearth jobs dead`: failed jobs that were neither retried nor dropped.

use hearth_domain::{JobId, JobKind};
use hearth_wire::native::jobs::JobBody;
use serde_json::json;

use super::{output, read};
use crate::client::{gateway_client::GatewayClient, terminal};

/// Jobs that one command changes, at most.
const CHANGE_MAX_COUNT: usize = 10_000;

/// Commands for dead letters.
#[derive(Debug, clap::Subcommand)]
pub(super) enum DeadCommand {
    /// List your failed jobs that were neither retried nor dropped, newest first
    List {
        /// The number of jobs
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Submit failed jobs once more, as new jobs
    Retry(Chosen),
    /// Drop failed jobs from the list
    Drop(Chosen),
}

/// Jobs of a command.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Chosen {
    /// The jobs' ids
    #[arg(value_name = "ID")]
    ids: Vec<JobId>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl DeadCommand {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        match self {
            Self::List { limit } => {
                let jobs = read(gateway, &[("dead", "true")], limit).await?;
                if json {
                    return terminal::print_json(&json!({ "jobs": jobs }));
                }
                if jobs.is_empty() {
                    terminal::note("no job has failed that wasn't retried or dropped");
                    return Ok(());
                }
                Ok(terminal::print(&output::table(&jobs).fitted(terminal::columns()))?)
            }
            Self::Retry(chosen) => chosen.change(gateway, "retry", json).await,
            Self::Drop(chosen) => chosen.change(gateway, "drop", json).await,
        }
    }
}

impl Chosen {
    /// Changes each of the jobs, and prints them: the new jobs of a retry.
    async fn change(self, gateway: &GatewayClient, change: &str, json: bool) -> anyhow::Result<()> {
        let ids = match self.all {
            true => {
                let mut jobs = read(gateway, &[("dead", "true")], CHANGE_MAX_COUNT).await?;
                if change == "retry" {
                    leave_out_batches(&mut jobs);
                }
                jobs.into_iter().map(|job| job.id).collect()
            }
            false => self.ids,
        };
        let mut changed = Vec::new();
        for id in ids {
            let job: JobBody = gateway.post(&["v1", "jobs", &id.to_string(), change], &json!({})).await?;
            if !json {
                let text = match change {
                    "retry" => format!("{id} is repeated by {}", job.id),
                    _ => format!("{id} is dropped"),
                };
                terminal::note(&text);
            }
            changed.push(job);
        }
        if json { terminal::print_json(&json!({ "jobs": changed })) } else { Ok(()) }
    }
}

/// Leaves out the jobs of batches, which the gateway doesn't retry.
fn leave_out_batches(jobs: &mut Vec<JobBody>) {
    jobs.retain(|job| {
        if job.kind == JobKind::Batch {
            terminal::note(&format!(
                "{} is the job of a batch: create the batch again (hearth batch submit)",
                job.id
            ));
        }
        job.kind != JobKind::Batch
    });
}
