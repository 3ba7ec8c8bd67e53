//! `hearth jobs submit`: a job with the JSON of a file.

use std::{io::Read as _, path::PathBuf, time::Duration};

use anyhow::Context as _;
use hearth_domain::{JobState, Timestamp};
use hearth_wire::native::jobs::JobBody;
use serde_json::{Value, json};

use super::{follow_job, show};
use crate::client::{error::GatewayError, gateway_client::GatewayClient, terminal};

/// Interval at which a followed job is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Failures to reach the gateway in a row, after which a command gives up.
const FAILURES_MAX_COUNT: u32 = 30;
/// Bytes of an input, at most.
const INPUT_MAX_BYTES: u64 = 4 << 20;

/// Job to submit.
#[derive(Debug, clap::Args)]
pub(super) struct Submit {
    /// The kind
    #[arg(value_parser = ["generate", "analyze"])]
    kind: String,
    /// A file with the input: the JSON body of POST /v1/generate or POST /v1/analyze; absent or `-`: the standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The place among the jobs that wait
    #[arg(long, value_parser = ["low", "normal", "high"])]
    priority: Option<String>,
    /// Begin at this time, such as 2026-01-31T22:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
    /// Attempts after which it fails
    #[arg(long, value_name = "COUNT")]
    attempts: Option<u32>,
    /// Seconds after which it ends, complete or not
    #[arg(long, value_name = "SECONDS")]
    expires_after: Option<u64>,
    /// Follow it until it ends; Ctrl-C leaves it running
    #[arg(long)]
    follow: bool,
}

impl Submit {
    pub(super) async fn run(self, gateway: &GatewayClient, json: bool) -> anyhow::Result<()> {
        let mut body = json!({"kind": self.kind, "input": self.input()?});
        let options = [
            ("priority", self.priority.map(Value::from)),
            ("not_before", self.not_before.map(|at| at.to_string().into())),
            ("max_attempts", self.attempts.map(Value::from)),
            ("expires_after_seconds", self.expires_after.map(Value::from)),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        let job: JobBody = gateway.post(&["v1", "jobs"], &body).await?;
        match self.follow {
            true => follow_job(gateway, job, json).await,
            false => show(&job, json),
        }
    }

    fn input(&self) -> anyhow::Result<Value> {
        let mut text = String::new();
        match self.file.as_ref().filter(|file| file.as_os_str() != "-") {
            Some(path) => {
                let file = std::fs::File::open(path);
                let file = file.with_context(|| format!("{} can't be read", path.display()))?;
                file.take(INPUT_MAX_BYTES + 1).read_to_string(&mut text)
            }
            None => std::io::stdin().take(INPUT_MAX_BYTES + 1).read_to_string(&mut text),
        }
        .context("the input can't be read")?;
        anyhow::ensure!(
            text.len() as u64 <= INPUT_MAX_BYTES,
            "the input has more than {INPUT_MAX_BYTES} bytes"
        );
        serde_json::from_str(&text).context("the input isn't JSON")
    }
}

/// Reads a job until it ends; none after Ctrl-C.
pub(super) async fn follow(gateway: &GatewayClient, job: JobBody) -> anyhow::Result<Option<JobBody>> {
    let id = job.id.to_string();
    let followed = tokio::select! {
        job = until_ended(gateway, job) => Some(job?),
        _ = tokio::signal::ctrl_c() => None,
    };
    let Some(job) = followed else {
        terminal::note(&format!(
            "the job goes on: `hearth jobs show --follow {id}` follows it again, and `hearth jobs cancel {id}` ends it"
        ));
        return Ok(None);
    };
    match (job.state, &job.error) {
        (JobState::Failed | JobState::Expired, Some(error)) => {
            anyhow::bail!("the job {id} has ended as {}: {}", job.state.as_str(), error.message)
        }
        _ => Ok(Some(job)),
    }
}

async fn until_ended(gateway: &GatewayClient, mut job: JobBody) -> anyhow::Result<JobBody> {
    let (mut polls, mut failures) = (tokio::time::interval(POLL_INTERVAL), 0);
    while !job.state.is_terminal() {
        polls.tick().await;
        match gateway.get::<JobBody>(&["v1", "jobs", &job.id.to_string()], &[]).await {
            Ok(next) => (job, failures) = (next, 0),
            Err(error) if error.is::<GatewayError>() || failures >= FAILURES_MAX_COUNT => return Err(error),
            Err(_) => failures += 1,
        }
    }
    Ok(job)
}
