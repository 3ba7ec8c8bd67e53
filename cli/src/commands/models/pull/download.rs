//! Downloads one file, over as many connections as needed.

use std::{path::Path, time::Duration};

use anyhow::Context;
use bytesize::ByteSize;
use futures::StreamExt;
use reqwest::{Response, StatusCode, header::CONTENT_RANGE};

use super::{
    hub::{Hub, HubFile},
    name::RepoName,
    part::Part,
    progress::Progress,
};
use crate::client::error::root_cause;

/// Connections in a row without a byte after which a download fails.
const FAILURES_MAX_COUNT: u32 = 5;

/// Delay after the first connection without a byte; it doubles with each further one. Tests need not wait.
const RETRY_DELAY: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 250 });

/// The end of a connection.
enum Ended {
    /// The file is complete.
    Complete,
    /// The connection broke off; the bytes received so far are saved.
    BrokeOff(String),
}

/// Downloads `file` to `path`, and continues where an earlier download stopped.
pub(super) async fn download(hub: &Hub, repo: &RepoName, file: &HubFile, path: &Path) -> anyhow::Result<()> {
    let mut part = Part::open(path).await?;
    if part.len() > file.size {
        part.clear().await?;
    }
    if let Err(error) = check_space_and_fill(hub, repo, file, path, &mut part).await {
        part.discard_empty().await;
        return Err(error);
    }
    part.finish(file.sha256.as_deref(), path).await
}

async fn check_space_and_fill(
    hub: &Hub,
    repo: &RepoName,
    file: &HubFile,
    path: &Path,
    part: &mut Part,
) -> anyhow::Result<()> {
    check_space(path, file.size - part.len())?;
    let mut progress = Progress::new(file.name.last(), file.size, part.len());
    let filled = fill(hub, repo, file, part, &mut progress).await;
    progress.finish();
    filled
}

/// Checks the free space before the download, rather than failing hours into it.
fn check_space(path: &Path, needed: u64) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let free = fs4::available_space(folder)
        .with_context(|| format!("the free space of {} can't be read", folder.display()))?;
    anyhow::ensure!(
        free >= needed,
        "{} more is needed, but {} has {} free; make room (`hearth storage` shows what the models take)",
        ByteSize(needed),
        folder.display(),
        ByteSize(free)
    );
    Ok(())
}

/// Connects until the part is complete. Only connections without a byte count as failures, so a poor line may break off
/// often.
async fn fill(
    hub: &Hub,
    repo: &RepoName,
    file: &HubFile,
    part: &mut Part,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut failures = 0;
    while part.len() < file.size {
        let before = part.len();
        let ended = connect(hub, repo, file, part, progress).await;
        part.flush().await?;
        let Ended::BrokeOff(cause) = ended? else { break };
        failures = if part.len() > before { 0 } else { failures + 1 };
        anyhow::ensure!(
            failures < FAILURES_MAX_COUNT,
            "the download broke off at {} of {}: {cause}; run the command again to continue from there",
            ByteSize(part.len()),
            ByteSize(file.size)
        );
        tokio::time::sleep(RETRY_DELAY * 2_u32.pow(failures)).await;
    }
    Ok(())
}

async fn connect(
    hub: &Hub,
    repo: &RepoName,
    file: &HubFile,
    part: &mut Part,
    progress: &mut Progress,
) -> anyhow::Result<Ended> {
    let response = match hub.open(repo, &file.name, part.len()).await? {
        Ok(response) => response,
        Err(error) => return Ok(Ended::BrokeOff(root_cause(&error))),
    };
    match response.status() {
        StatusCode::PARTIAL_CONTENT if begins_at(&response) == Some(part.len()) => {}
        // The whole file, although a part of it was requested.
        StatusCode::OK => part.clear().await?,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            part.clear().await?;
            return Ok(Ended::BrokeOff("the hub can't continue where it stopped".to_owned()));
        }
        status if status.is_server_error() => {
            return Ok(Ended::BrokeOff(format!("the hub answered {status}")));
        }
        status => return Err(hub.status_error(repo, status)),
    }
    receive(response, file.size, part, progress).await
}

/// The first byte of a partial response, by its `content-range: bytes 5-9/10`.
fn begins_at(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

async fn receive(
    response: Response,
    size: u64,
    part: &mut Part,
    progress: &mut Progress,
) -> anyhow::Result<Ended> {
    let mut body = response.bytes_stream();
    while let Some(bytes) = body.next().await {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Ended::BrokeOff(root_cause(&error))),
        };
        if part.len() + bytes.len() as u64 > size {
            part.clear().await?;
            anyhow::bail!(
                "the hub sent more than the {size} bytes that it listed for the file; try again later"
            );
        }
        part.append(&bytes).await?;
        progress.update(part.len());
    }
    Ok(if part.len() == size {
        Ended::Complete
    } else {
        Ended::BrokeOff("the hub closed the connection".to_owned())
    })
}
