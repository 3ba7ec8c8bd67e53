//! Follows a job of a gateway until it ends.

use std::time::Duration;

use hearth_domain::JobState;
use hearth_wire::native::jobs::JobBody;

use super::progress::Progress;
use crate::client::{error::GatewayError, gateway_client::GatewayClient, terminal};

/// Interval of requests for the job's state.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Failed requests in a row after which the command gives up: the gateway may be restarting.
const FAILURES_MAX_COUNT: u32 = 20;

/// Shows a job until it ends, and returns it then; none if the user has left it running.
///
/// # Errors
/// The job fails, is cancelled, or the gateway doesn't answer any more.
pub(crate) async fn follow(gateway: &GatewayClient, job: JobBody) -> anyhow::Result<Option<JobBody>> {
    let id = job.id.to_string();
    let followed = tokio::select! {
        job = until_ended(gateway, job) => Some(job?),
        _ = tokio::signal::ctrl_c() => None,
    };
    let Some(job) = followed else {
        terminal::note(&format!(
            "the download goes on at the node: `hearth jobs show {id}` shows it, `hearth jobs show --follow {id}` follows it \
             again, and `hearth jobs cancel {id}` ends it"
        ));
        return Ok(None);
    };
    match job.state {
        JobState::Completed => Ok(Some(job)),
        JobState::Cancelled | JobState::Expired => anyhow::bail!("the download {id} was cancelled"),
        _ => {
            let message = job.error.map(|error| error.message).unwrap_or_default();
            anyhow::bail!("the download {id} has failed: {message}")
        }
    }
}

async fn until_ended(gateway: &GatewayClient, mut job: JobBody) -> anyhow::Result<JobBody> {
    let id = job.id.to_string();
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    let (mut progress, mut state, mut failures, mut retry_reason) = (None, None, 0, None);
    loop {
        if job.state.is_terminal() {
            return Ok(job);
        }
        if state != Some(job.state) {
            state = Some(job.state);
            match job.state {
                JobState::Queued => terminal::note(&format!("{id} waits for other downloads")),
                JobState::Paused => {
                    terminal::note(&format!("{id} is paused; `hearth jobs resume {id}` continues it"))
                }
                _ => {}
            }
        }
        if job.state == JobState::Running && (job.size_bytes.is_some() || job.done_bytes > 0) {
            let name = job.model.as_deref().or(job.source.as_deref()).unwrap_or_default();
            let shown = progress.get_or_insert_with(|| Progress::new(name, job.size_bytes, job.done_bytes));
            shown.update(job.done_bytes);
        }
        note_retry(&mut retry_reason, job.retry_reason.clone());
        polls.tick().await;
        match gateway.get::<JobBody>(&["v1", "jobs", &id], &[]).await {
            Ok(next) => (job, failures) = (next, 0),
            Err(error) if error.is::<GatewayError>() || failures >= FAILURES_MAX_COUNT => return Err(error),
            Err(_) => failures += 1,
        }
    }
}

/// Prints the next attempt of a download, unless it is the one that was printed last.
pub(super) fn note_retry(printed: &mut Option<String>, next: Option<String>) {
    if *printed == next {
        return;
    }
    if let Some(reason) = &next {
        terminal::note(&format!("the download is tried again: {reason}"));
    }
    *printed = next;
}

/// Prints a job: as JSON, or as a sentence.
pub(crate) fn print(job: &JobBody, json: bool, sentence: &str) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(job);
    }
    Ok(terminal::print_line(sentence)?)
}
