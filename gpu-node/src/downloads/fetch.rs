//! Fills an unfinished file from its origin, over as many connections as needed.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytesize::ByteSize;
use futures::{StreamExt as _, future::try_join_all};
use hearth_domain::JobErrorCode;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    error::{Abort, DownloadError, root_cause},
    hub::status_error,
    meter::Meter,
    options::DownloadOptions,
    part::{Part, Range},
    plan::{Origin, PlannedFile, Remote},
    range_writer::{FLUSH_INTERVAL, RangeWriter},
};

/// Time between two writes of the map of the ranges.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// Free bytes that a file of an unknown size leaves.
const FREE_MIN_BYTES: u64 = 1 << 30;
/// Bytes that are copied at a time.
const COPY_BUFFER_BYTES: usize = 1 << 20;

/// The end of the attempts at a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetched {
    /// All bytes are in the file.
    Complete,
    /// The download was stopped; the bytes so far are saved.
    Stopped,
}

/// The end of a connection.
enum Ended {
    /// The range is complete.
    Complete,
    /// The connection broke off; the bytes received so far are in the file.
    BrokeOff(String),
}

/// Fills the part until it is complete. `before`: bytes of the download's earlier files.
pub(super) async fn fetch(
    file: &PlannedFile,
    part: &mut Part,
    options: &DownloadOptions,
    (meter, before): (&Meter, u64),
    stop: &CancellationToken,
) -> Result<Fetched, DownloadError> {
    match &file.origin {
        Origin::Remote(remote) => download(file, remote, part, options, (meter, before), stop).await,
        Origin::Path(path) => copy(path, file, part, (meter, before), stop).await,
    }
}

async fn download(
    file: &PlannedFile,
    remote: &Remote,
    part: &mut Part,
    options: &DownloadOptions,
    (meter, before): (&Meter, u64),
    stop: &CancellationToken,
) -> Result<Fetched, DownloadError> {
    let settings = &options.settings;
    let by_size = file.size.unwrap_or_default() / settings.range_bytes.as_u64().max(1);
    let mut connections = by_size.clamp(1, settings.connections as u64);
    let mut restarts = 0;
    loop {
        if part.ranges.is_empty() {
            part.divide(file.size, connections);
            // Without its map, a file with gaps would count as the beginning of a whole one.
            save(part).await?;
        }
        meter.set(before + part.done());
        let (etag, path, ranges) = (Mutex::new(part.etag.take()), part.path.clone(), part.ranges.clone());
        let attempt = Attempt {
            remote,
            path: &path,
            size: file.size,
            is_single: part.ranges.len() == 1,
            etag: &etag,
            meter,
            options,
        };
        let result = {
            let fills = ranges.iter().filter(|range| !range.is_complete()).map(|range| attempt.fill(range));
            let mut fills = std::pin::pin!(try_join_all(fills));
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break None,
                    result = &mut fills => break Some(result.map(drop)),
                    () = tokio::time::sleep(SAVE_INTERVAL) => {}
                }
                check_unbounded(file)?;
                part.etag = etag.lock().unwrap_or_else(PoisonError::into_inner).clone();
                save(part).await?;
            }
        };
        part.etag = etag.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (cause, is_whole) = match result {
            None => {
                save(part).await?;
                return Ok(Fetched::Stopped);
            }
            Some(Ok(())) => return Ok(Fetched::Complete),
            Some(Err(Abort::Failed(error))) => {
                // The first error says more than that of a full disk here.
                let _ = save(part).await;
                return Err(error);
            }
            Some(Err(Abort::TooMuch)) => {
                part.clear()?;
                let size = file.size.unwrap_or_default();
                let message = format!(
                    "{} sent more than the {size} bytes that it listed for the file; try again later",
                    remote.server
                );
                return Err(DownloadError::new(JobErrorCode::ChecksumMismatch, message));
            }
            Some(Err(Abort::Restart { cause, is_whole })) => (cause, is_whole),
        };
        part.clear()?;
        restarts += 1;
        if restarts >= settings.attempts {
            return Err(DownloadError::unreachable(format!("the download can't continue: {cause}")));
        }
        if is_whole || restarts > 1 {
            connections = 1;
        }
        let delay = options.delay(restarts);
        meter.set_retry(&cause, (restarts + 1, settings.attempts), delay);
        tokio::time::sleep(delay).await;
    }
}

/// Ends the download of a file of an unknown size before it fills the disk.
fn check_unbounded(file: &PlannedFile) -> Result<(), DownloadError> {
    let free = file.target.parent().and_then(crate::storage::free_bytes);
    if file.size.is_none() && free.is_some_and(|free| free < FREE_MIN_BYTES) {
        let message = "the source doesn't say how large the file is, and the disk is almost full";
        return Err(DownloadError::new(JobErrorCode::DiskFull, message));
    }
    Ok(())
}

/// Writes the map of the ranges, on another thread.
async fn save(part: &Part) -> Result<(), DownloadError> {
    let saving = part.saving();
    tokio::task::spawn_blocking(saving).await.unwrap_or(Ok(()))
}

/// The connections of one attempt.
struct Attempt<'a> {
    remote: &'a Remote,
    path: &'a Path,
    size: Option<u64>,
    is_single: bool,
    etag: &'a Mutex<Option<String>>,
    meter: &'a Meter,
    options: &'a DownloadOptions,
}

impl Attempt<'_> {
    /// Connects until the range is complete. Only connections without a byte count as failures, so a poor line may break off often.
    async fn fill(&self, range: &Range) -> Result<(), Abort> {
        let mut failures = 0;
        loop {
            let before = range.done();
            let Ended::BrokeOff(cause) = self.connect(range).await? else { return Ok(()) };
            if range.is_complete() {
                return Ok(());
            }
            failures = if range.done() > before { 0 } else { failures + 1 };
            if failures >= self.options.settings.attempts {
                let size =
                    self.size.map_or_else(|| "an unknown size".to_owned(), |size| ByteSize(size).to_string());
                let (done, advice) = (ByteSize(self.meter.done()), self.options.advice);
                let message = format!("the download broke off at {done} of {size}: {cause}; {advice}");
                return Err(DownloadError::unreachable(message).into());
            }
            let delay = self.options.delay(failures);
            self.meter.set_retry(&cause, (failures + 1, self.options.settings.attempts), delay);
            tokio::time::sleep(delay).await;
        }
    }

    async fn connect(&self, range: &Range) -> Result<Ended, Abort> {
        let position = range.position();
        let request = self.remote.http.get(self.remote.url.clone());
        let mut request = match self.remote.auth.authorize(request).await {
            Err(error) if error.code == JobErrorCode::SourceUnreachable => {
                return Ok(Ended::BrokeOff(error.message));
            }
            request => request?,
        };
        let is_partial = position > 0 || !self.is_single;
        let etag = self.etag.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if is_partial {
            let end =
                range.to.filter(|_| !self.is_single).map_or_else(String::new, |to| (to - 1).to_string());
            request = request.header(RANGE, format!("bytes={position}-{end}"));
            // Only a strong validator says that the bytes are the same.
            if let Some(etag) = etag.as_deref().filter(|etag| !etag.starts_with("W/")) {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Ended::BrokeOff(root_cause(&error))),
        };
        let server = &self.remote.server;
        let restart = |cause: String, is_whole| Err(Abort::Restart { cause, is_whole });
        match response.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(&response) == Some(position) => {}
            StatusCode::OK if !is_partial => {}
            StatusCode::OK => {
                let is_changed = etag.is_some();
                return restart(format!("{server} sends the whole file only"), !is_changed);
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                return restart(format!("{server} can't continue where it stopped"), false);
            }
            status
                if status.is_server_error()
                    || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status) =>
            {
                return Ok(Ended::BrokeOff(format!("{server} answered {status}")));
            }
            status => {
                let host = self.remote.url.host_str().unwrap_or(server);
                return Err(status_error(host, &self.remote.thing, status).into());
            }
        }
        self.meter.clear_retry();
        if !self.accept_etag(&response) {
            return restart(format!("the file at {server} has changed"), false);
        }
        self.receive(response, range).await
    }

    /// Stores the validator of the first response; returns false if a later one has another.
    fn accept_etag(&self, response: &Response) -> bool {
        let Some(etag) = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()) else {
            return true;
        };
        let mut stored = self.etag.lock().unwrap_or_else(PoisonError::into_inner);
        match stored.as_deref() {
            Some(before) => before == etag,
            None => {
                *stored = Some(etag.to_owned());
                true
            }
        }
    }

    async fn receive(&self, response: Response, range: &Range) -> Result<Ended, Abort> {
        let mut writer = RangeWriter::open(self.path, range, self.meter, self.remote.is_checked).await?;
        let mut body = response.bytes_stream();
        loop {
            // Bytes that were received are written, also if the server pauses after them.
            let next = match timeout(FLUSH_INTERVAL, body.next()).await {
                Ok(next) => next,
                Err(_) => {
                    writer.flush_whole().await?;
                    continue;
                }
            };
            let Some(bytes) = next else { break };
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    writer.flush().await?;
                    return Ok(Ended::BrokeOff(root_cause(&error)));
                }
            };
            let room = range.to.map_or(u64::MAX, |to| to.saturating_sub(writer.position()));
            if bytes.len() as u64 > room {
                if self.is_single {
                    return Err(Abort::TooMuch);
                }
                // The server sends the file to its end: this range is complete.
                let room = usize::try_from(room).unwrap_or(bytes.len());
                writer.write(&bytes[..room]).await?;
                writer.flush().await?;
                return Ok(Ended::Complete);
            }
            writer.write(&bytes).await?;
        }
        writer.flush().await?;
        let is_complete = range.to.is_none() || range.is_complete();
        Ok(if is_complete {
            Ended::Complete
        } else {
            Ended::BrokeOff(format!("{} closed the connection", self.remote.server))
        })
    }
}

/// The first byte of a partial response, by its `content-range: bytes 5-9/10`.
fn begins_at(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Copies a file of the node.
async fn copy(
    path: &Path,
    file: &PlannedFile,
    part: &mut Part,
    (meter, before): (&Meter, u64),
    stop: &CancellationToken,
) -> Result<Fetched, DownloadError> {
    // A copy begins anew: the file may have changed, and there is nothing to compare.
    part.clear()?;
    part.divide(file.size, 1);
    meter.set(before);
    let unreadable = |error: std::io::Error| {
        DownloadError::unreachable(format!("{} can't be read: {error}", path.display()))
    };
    let range = part.ranges[0].clone();
    let mut input = tokio::fs::File::open(path).await.map_err(unreadable)?;
    input.seek(std::io::SeekFrom::Start(0)).await.map_err(unreadable)?;
    let failed = |abort: Abort| match abort {
        Abort::Failed(error) => error,
        _ => DownloadError::unreachable("the copy can't continue"),
    };
    let mut writer = RangeWriter::open(&part.path, &range, meter, true).await.map_err(failed)?;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    while !stop.is_cancelled() {
        let read = input.read(&mut buffer).await.map_err(unreadable)?;
        if read == 0 {
            writer.flush().await.map_err(failed)?;
            if file.size.is_some_and(|size| size != range.done()) {
                return Err(DownloadError::unreachable(format!(
                    "{} changes while it is copied",
                    path.display()
                )));
            }
            return Ok(Fetched::Complete);
        }
        writer.write(&buffer[..read]).await.map_err(failed)?;
    }
    Ok(Fetched::Stopped)
}
