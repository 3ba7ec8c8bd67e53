//! A download in this process, into this machine's model folder.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bytesize::ByteSize;
use hearth_domain::JobErrorCode;
use hearth_node::downloads::{DownloadError, DownloadOptions, Meter, OnceRequest, Wishes, download_once};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Pull, follow::note_retry, progress::Progress};
use crate::{
    client::{error::certificate_hint, terminal},
    settings::Settings,
};

/// Attempts in a row without a byte after which the command fails: a person waits.
const ATTEMPTS_MAX_COUNT: u32 = 5;
/// Interval of the updates of the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Downloads the model, unless it is there already.
pub(super) async fn download(pull: Pull, settings: &Settings, json: bool) -> anyhow::Result<()> {
    let mut options = DownloadOptions::new(settings.models_folder(), &settings.hub, &settings.downloads);
    options.settings.attempts = options.settings.attempts.min(ATTEMPTS_MAX_COUNT);
    options.advice = "run the command again to continue from there";
    if cfg!(test) {
        options.retry_delay = Duration::from_millis(1);
    }
    // The person who starts the command may read the file, and connect to the address, without it too.
    options.settings.private_addresses = true;
    options.settings.local_folders.push("/".into());
    let wishes = Wishes { file: pull.file, sha256: pull.sha256, token: None };
    let request = OnceRequest { source: pull.source, wishes };
    let meter = Arc::new(Meter::default());
    let (planned, plan) = oneshot::channel();
    let progress = tokio::spawn(show(Arc::clone(&meter), plan));
    let result = download_once(&request, &options, &meter, |plan| {
        let name = plan.files.first().map(|file| file.name.clone()).unwrap_or_default();
        let _ = planned.send((name, plan.size()));
    })
    .await;
    progress.abort();
    let _ = progress.await;
    let downloaded = result.map_err(|error| with_hint(&error))?;
    let file = downloaded.plan.files.first().context("the source has no files")?;
    let size =
        downloaded.plan.size().or_else(|| Some(file.target.metadata().ok()?.len())).unwrap_or_default();
    if json {
        terminal::print_json(&json!({
            "source": downloaded.source, "file": file.name, "path": file.target, "size_bytes": size,
            "sha256": file.sha256, "downloaded": downloaded.has_transferred,
        }))?;
    } else {
        let prefix = if downloaded.has_transferred { "saved as" } else { "already there:" };
        let line = format!("{prefix} {} ({})", file.target.display(), ByteSize(size));
        terminal::print_line(&line).context("the path can't be printed")?;
    }
    terminal::next_steps(
        json,
        &[&format!("hearth chat --model {}", downloaded.plan.model(&settings.models_folder()))],
    );
    Ok(())
}

/// Shows further attempts, and the progress when the file is known, until the task is aborted.
async fn show(meter: Arc<Meter>, mut plan: oneshot::Receiver<(String, Option<u64>)>) {
    let (mut progress, mut retry_reason) = (None, None);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        note_retry(&mut retry_reason, meter.retry_reason());
        if progress.is_none()
            && let Ok((name, size)) = plan.try_recv()
        {
            progress = Some(Progress::new(&name, size, meter.done()));
        }
        if let Some(progress) = &mut progress {
            progress.update(meter.done());
        }
    }
}

fn with_hint(error: &DownloadError) -> anyhow::Error {
    let hint = match error.code {
        JobErrorCode::SourceUnreachable => certificate_hint(&error.message),
        _ => "",
    };
    anyhow::anyhow!("{error}{hint}")
}
