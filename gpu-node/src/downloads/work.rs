//! The task of a download.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use hearth_domain::{JobErrorCode, JobId, JobState};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::{
    Downloads,
    clients::Clients,
    error::DownloadError,
    fetch::{Fetched, fetch},
    meter::Meter,
    part::Part,
    plan::{Plan, Wishes, resolve},
    source::Source,
};

/// Time between two updates of the speed.
const SPEED_INTERVAL: Duration = Duration::from_secs(1);
/// Updates of the speed between two writes of the journal.
const UPDATES_PER_WRITE: u32 = 5;

/// The end of the work.
enum Outcome {
    /// The verified files have their final names.
    Completed,
    /// It was stopped: paused, cancelled, or by the node's end.
    Stopped,
}

/// Downloads the files of `id`, and begins the next download.
pub(super) async fn run(downloads: Downloads, id: JobId, stop: CancellationToken) {
    let result = {
        let work = work(&downloads, id, &stop);
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(SPEED_INTERVAL);
        let mut count = 0;
        loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick() => {
                    count += 1;
                    downloads.update_speed(id, count % UPDATES_PER_WRITE == 0);
                }
            }
        }
    };
    {
        let mut state = downloads.lock();
        let is_stopping = state.is_stopping;
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.has_task = false;
            entry.journal.done_bytes = entry.meter.done();
            match result {
                Ok(Outcome::Completed | Outcome::Stopped) => {}
                Err(error) if entry.journal.state == JobState::Running && !is_stopping => {
                    tracing::warn!(%id, error = error.message, "a download has failed");
                    entry.end(JobState::Failed, Some(error.into()));
                }
                Err(_) => {}
            }
            downloads.0.journals.write(&entry.journal);
            if entry.journal.state == JobState::Cancelled {
                state.discard(id);
            }
        }
    }
    downloads.start_queued();
}

async fn work(downloads: &Downloads, id: JobId, stop: &CancellationToken) -> Result<Outcome, DownloadError> {
    let inner = &downloads.0;
    let clients = inner.clients.as_ref().map_err(Clone::clone)?;
    let (source, wishes, meter) = {
        let state = downloads.lock();
        let Some(entry) = state.entries.get(&id) else { return Ok(Outcome::Stopped) };
        let journal = &entry.journal;
        let wishes = Wishes {
            file: journal.file.clone(),
            sha256: journal.wanted_sha256.clone(),
            token: journal.token.clone(),
        };
        (journal.source.clone(), wishes, Arc::clone(&entry.meter))
    };
    let hub = super::parse_base(&inner.options.hub_url)?;
    let source = Source::parse(&source, hub.host_str().unwrap_or_default())?;
    let plan = tokio::select! {
        () = stop.cancelled() => return Ok(Outcome::Stopped),
        plan = resolve_patiently(downloads, &source, &wishes, clients, &meter) => plan?,
    };
    downloads.set_plan(id, &plan).await;
    let _locks = tokio::select! {
        () = stop.cancelled() => return Ok(Outcome::Stopped),
        locks = downloads.lock_targets(&plan) => locks,
    };
    let parts = match fill(downloads, id, &plan, &meter, stop).await? {
        Some(parts) => parts,
        None => return Ok(Outcome::Stopped),
    };
    downloads.complete(id, &plan, &parts)
}

/// Resolves a source, again if it can't be reached.
async fn resolve_patiently(
    downloads: &Downloads,
    source: &Source,
    wishes: &Wishes,
    clients: &Clients,
    meter: &Meter,
) -> Result<Plan, DownloadError> {
    let options = &downloads.0.options;
    let mut failures = 0;
    loop {
        match resolve(source, wishes, options, clients).await {
            Err(error) if error.code == JobErrorCode::SourceUnreachable => {
                failures += 1;
                if failures >= options.settings.attempts {
                    return Err(error);
                }
                let delay = options.delay(failures);
                meter.set_retry(&error.message, (failures + 1, options.settings.attempts), delay);
                tokio::time::sleep(delay).await;
            }
            result => {
                meter.clear_retry();
                return result;
            }
        }
    }
}

/// Fills and verifies the files; returns those that weren't there. None if it was stopped.
async fn fill(
    downloads: &Downloads,
    id: JobId,
    plan: &Plan,
    meter: &Meter,
    stop: &CancellationToken,
) -> Result<Option<Vec<(usize, Part)>>, DownloadError> {
    let options = &downloads.0.options;
    let mut parts = Vec::new();
    let mut before = 0;
    for (index, file) in plan.files.iter().enumerate() {
        if !file.is_complete().await {
            let (target, size, is_verified) = (file.target.clone(), file.size, file.sha256.is_some());
            let opened = tokio::task::spawn_blocking(move || Part::open(&target, size, is_verified)).await;
            let mut part = opened.map_err(|error| DownloadError::unreachable(error.to_string()))??;
            meter.set(before + part.done());
            let result = match downloads.check_space(id, plan) {
                Ok(()) => fetch(file, &mut part, options, (meter, before), stop).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(Fetched::Complete) => {}
                Ok(Fetched::Stopped) => return Ok(None),
                Err(error) => {
                    part.discard_after(&error);
                    return Err(error);
                }
            }
            let sha256 = file.sha256.clone();
            let verified = tokio::task::spawn_blocking(move || part.verify(sha256.as_deref()).map(|()| part));
            let part = verified.await.map_err(|error| DownloadError::unreachable(error.to_string()))??;
            before += part.done();
            parts.push((index, part));
        } else {
            before += file.size.unwrap_or_default();
        }
        meter.set(before);
    }
    Ok(Some(parts))
}

impl Downloads {
    fn update_speed(&self, id: JobId, is_written: bool) {
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(&id) else { return };
        if entry.journal.state != JobState::Running {
            return;
        }
        let done = entry.meter.done();
        entry.speed.update(Instant::now(), done);
        entry.journal.done_bytes = done;
        entry.touch();
        if is_written {
            self.0.journals.write(&entry.journal);
        }
    }

    async fn set_plan(&self, id: JobId, plan: &Plan) {
        let (models, files) = (self.0.options.models.clone(), plan.clone());
        let model = tokio::task::spawn_blocking(move || files.model(&models)).await.unwrap_or_default();
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(&id) {
            entry.set_plan(plan, model, &self.0.options.models);
            self.0.journals.write(&entry.journal);
        }
    }

    /// Checks the free space before the download, rather than failing hours into it. Other running downloads have theirs reserved.
    fn check_space(&self, id: JobId, plan: &Plan) -> Result<(), DownloadError> {
        let Some(folder) = plan.files.first().and_then(|file| file.target.parent()) else { return Ok(()) };
        let Some(free) = crate::storage::free_bytes(folder) else { return Ok(()) };
        let state = self.lock();
        let of_others = state
            .entries
            .values()
            .filter(|entry| entry.journal.id != id && entry.journal.state == JobState::Running);
        let reserved: u64 = of_others.map(super::Entry::remaining_bytes).sum();
        let needed = state.entries.get(&id).map(super::Entry::remaining_bytes).unwrap_or_default();
        check_space(folder, needed, free.saturating_sub(reserved))
    }

    /// Gives the files their final names, unless the download was stopped at the last moment.
    fn complete(&self, id: JobId, plan: &Plan, parts: &[(usize, Part)]) -> Result<Outcome, DownloadError> {
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(&id) else { return Ok(Outcome::Stopped) };
        if entry.journal.state != JobState::Running {
            return Ok(Outcome::Stopped);
        }
        for (index, part) in parts {
            part.finish(&plan.files[*index].target)?;
        }
        let size =
            plan.files.iter().filter_map(|file| file.target.metadata().ok()).map(|data| data.len()).sum();
        entry.meter.set(size);
        entry.journal.size_bytes = Some(size);
        for (file, planned) in entry.journal.targets.iter_mut().zip(&plan.files) {
            file.size = planned.target.metadata().ok().map(|data| data.len());
        }
        entry.end(JobState::Completed, None);
        self.0.journals.write(&entry.journal);
        tracing::info!(%id, model = entry.journal.model, bytes = size, "a download is complete");
        Ok(Outcome::Completed)
    }

    /// Locks the places of the files, in order: another source may have the same.
    async fn lock_targets(&self, plan: &Plan) -> Vec<OwnedMutexGuard<()>> {
        let mut paths: Vec<&PathBuf> = plan.files.iter().map(|file| &file.target).collect();
        paths.sort();
        paths.dedup();
        let mut guards = Vec::new();
        for path in paths {
            let lock = {
                let mut targets = self.0.targets.lock().unwrap_or_else(PoisonError::into_inner);
                targets.retain(|_, lock| lock.strong_count() > 0);
                let existing = targets.get(path).and_then(std::sync::Weak::upgrade);
                existing.unwrap_or_else(|| {
                    let lock = Arc::new(tokio::sync::Mutex::new(()));
                    targets.insert(path.clone(), Arc::downgrade(&lock));
                    lock
                })
            };
            guards.push(lock.lock_owned().await);
        }
        guards
    }
}

/// Compares the bytes that a download needs with those that are free.
pub(super) fn check_space(folder: &std::path::Path, needed: u64, free: u64) -> Result<(), DownloadError> {
    if free >= needed {
        return Ok(());
    }
    let message = format!(
        "{} more is needed, but {} has {} free; make room (`hearth storage` shows what the models take)",
        ByteSize(needed),
        folder.display(),
        ByteSize(free)
    );
    Err(DownloadError::new(JobErrorCode::DiskFull, message))
}
