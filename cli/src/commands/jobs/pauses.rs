//! `hearth jobs pause` and `hearth jobs resume`: of a job, or of a kind.

use hearth_domain::{JobId, JobKind};
use hearth_wire::native::jobs::{JobBody, JobPauseList, JobPauseScope};
use serde_json::json;

use super::changed;
use crate::client::{gateway_client::GatewayClient, table::Table, terminal};

/// Job or kind that is paused or resumed.
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    /// A job's id, or a kind: generate, analyze, batch or delivery
    #[arg(value_name = "ID or KIND", value_parser = parse)]
    subject: Subject,
    /// The kind for all organisations, as the gateway's operator
    #[arg(long)]
    everywhere: bool,
}

/// Subject of a pause.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Job(JobId),
    Kind(JobKind),
}

fn parse(text: &str) -> Result<Subject, String> {
    let kind = JobKind::CARRIED_OUT.into_iter().find(|kind| kind.as_str() == text).map(Subject::Kind);
    let subject = kind.or_else(|| text.parse().ok().map(Subject::Job));
    subject.ok_or_else(|| "expected a job's id, or generate, analyze, batch or delivery".to_owned())
}

impl Pause {
    /// Pauses or resumes the subject.
    pub(super) async fn run(
        self,
        gateway: &GatewayClient,
        is_paused: bool,
        json: bool,
    ) -> anyhow::Result<()> {
        let kind = match self.subject {
            Subject::Kind(kind) => kind,
            Subject::Job(id) => {
                let change = if is_paused { "pause" } else { "resume" };
                let job: JobBody = gateway.post(&["v1", "jobs", &id.to_string(), change], &json!({})).await?;
                return changed(&job, json);
            }
        };
        let path = ["v1", "job-pauses", kind.as_str()];
        let query: &[_] = if self.everywhere { &[("scope", "gateway")] } else { &[] };
        let pauses: JobPauseList = match is_paused {
            true => gateway.put_query(&path, query).await?,
            false => gateway.delete_query(&path, query).await?,
        };
        print(&pauses, json)
    }
}

/// Lists the paused kinds.
pub(super) async fn list(gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
    print(&gateway.get(&["v1", "job-pauses"], &[]).await?, json)
}

fn print(pauses: &JobPauseList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(pauses);
    }
    if pauses.pauses.is_empty() {
        terminal::note("no kind of jobs is paused");
        return Ok(());
    }
    let mut table = Table::new(["KIND", "JOBS OF", "SINCE"]);
    for pause in &pauses.pauses {
        let scope = match pause.scope {
            JobPauseScope::Organisation => "your organisation",
            JobPauseScope::Gateway => "all organisations",
        };
        table.push([pause.kind.as_str().to_owned(), scope.to_owned(), pause.paused_at.to_string()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}
