//! `hearth jobs submit`: a job with the JSON of a file.

use std::{io::Read as _, path::PathBuf, time::Duration};

use anyhow::Context as _;
use hearth_domain::{JobState, Timestamp};
use hearth_wire::native::jobs::JobBody;
use serde_json::{Value, json};

use super::follow_job;
use crate::client::{
    error::Interrupted, gateway_client::GatewayClient, interrupt::or_interrupted, poll, terminal,
};

/// Interval at which a followed job is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
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
        if self.follow {
            return follow_job(gateway, job, json).await;
        }
        if json {
            return terminal::print_json(&job);
        }
        terminal::print_line(&job.id.to_string())?;
        terminal::next_steps(json, &[&format!("hearth jobs show --follow {}", job.id)]);
        Ok(())
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
    let read = async || gateway.get::<JobBody>(&["v1", "jobs", &id], &[]).await;
    let followed = poll::until_ended(job, POLL_INTERVAL, |job| job.state.is_terminal(), read);
    let followed = or_interrupted(followed).await.inspect_err(|error| {
        let (show, cancel) = (format!("hearth jobs show --follow {id}"), format!("hearth jobs cancel {id}"));
        poll::note_unfinished(error, "the job", &show, &cancel);
    });
    let job = match followed {
        Err(error) if error.is::<Interrupted>() => return Ok(None),
        job => job?,
    };
    match (job.state, &job.error) {
        (JobState::Failed | JobState::Expired, Some(error)) => {
            anyhow::bail!("the job {id} has ended as {}: {}", job.state.as_str(), error.message)
        }
        _ => Ok(Some(job)),
    }
}
