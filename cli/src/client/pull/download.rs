//! Downloading one file, over as many connections as it takes.

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

/// How many connections in a row may bring nothing.
const MOST_FAILURES: u32 = 5;

/// The pause after a connection that brought nothing; each further one is twice as long. Tests needn't
/// wait for a line to recover.
const FIRST_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 250 });

/// How a connection ended.
enum Ended {
    /// At the file's end.
    Whole,
    /// Before it; what came is kept.
    BrokeOff(String),
}

/// Downloads `file` to `path`; goes on where an earlier download stopped.
pub(super) async fn download(hub: &Hub, repo: &RepoName, file: &HubFile, path: &Path) -> anyhow::Result<()> {
    let mut part = Part::open(path).await?;
    if part.len() > file.size {
        part.clear().await?;
    }
    if let Err(error) = fill_if_it_fits(hub, repo, file, path, &mut part).await {
        part.discard_empty().await;
        return Err(error);
    }
    part.finish(file.sha256.as_deref(), path).await
}

async fn fill_if_it_fits(
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

/// Refuses before the download rather than hours into it.
fn check_space(path: &Path, needed: u64) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let free = fs4::available_space(folder)
        .with_context(|| format!("the free space of {} can't be told", folder.display()))?;
    anyhow::ensure!(
        free >= needed,
        "{} more is needed, but {} has {} free; make room (`hearth storage` shows what the models take)",
        ByteSize(needed),
        folder.display(),
        ByteSize(free)
    );
    Ok(())
}

/// Connects until the part has every byte. Only connections that bring nothing count as failures: a poor
/// line may break as often as it likes while it gets on.
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
            failures < MOST_FAILURES,
            "the download broke off at {} of {}: {cause}; run the command again to go on from there",
            ByteSize(part.len()),
            ByteSize(file.size)
        );
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(failures)).await;
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
    let answer = match hub.open(repo, &file.name, part.len()).await? {
        Ok(answer) => answer,
        Err(error) => return Ok(Ended::BrokeOff(root_cause(&error))),
    };
    match answer.status() {
        StatusCode::PARTIAL_CONTENT if begins_at(&answer) == Some(part.len()) => {}
        // The whole file, though a part of it was asked for.
        StatusCode::OK => part.clear().await?,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            part.clear().await?;
            return Ok(Ended::BrokeOff("the hub can't go on where it stopped".to_owned()));
        }
        status if status.is_server_error() => {
            return Ok(Ended::BrokeOff(format!("the hub answered {status}")));
        }
        status => return Err(hub.refusal(repo, status)),
    }
    receive(answer, file.size, part, progress).await
}

/// Where a partial answer begins, by its `content-range: bytes 5-9/10`.
fn begins_at(answer: &Response) -> Option<u64> {
    let range = answer.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

async fn receive(
    answer: Response,
    size: u64,
    part: &mut Part,
    progress: &mut Progress,
) -> anyhow::Result<Ended> {
    let mut body = answer.bytes_stream();
    while let Some(bytes) = body.next().await {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Ended::BrokeOff(root_cause(&error))),
        };
        if part.len() + bytes.len() as u64 > size {
            part.clear().await?;
            anyhow::bail!(
                "the hub sent more than the {size} bytes that it said the file has; try again later"
            );
        }
        part.append(&bytes).await?;
        progress.at(part.len());
    }
    Ok(if part.len() == size {
        Ended::Whole
    } else {
        Ended::BrokeOff("the hub closed the connection".to_owned())
    })
}
