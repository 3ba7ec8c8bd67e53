//! Watches the model files for changes.
//!
//! By the system's notifications, or by polling if it has none or no more (`fs.inotify.max_user_watches`). If a folder
//! doesn't exist yet, its nearest existing ancestor is watched.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant, SystemTime},
};

use notify::{
    Config, ErrorKind, Event, EventKind, PollWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::watch;

/// A change is reported when no other one has followed for this time.
const QUIET_PERIOD: Duration = Duration::from_millis(300);
/// A change is reported after this time even if others follow: copying a large file may take minutes.
const REPORT_DELAY_MAX: Duration = Duration::from_secs(5);
/// Time between two checks whether the watched folders are still the same ones.
const RECHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Time between two polls, if the system has no notifications.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Watches the model files until it is dropped.
#[derive(Debug)]
pub struct FolderWatcher {
    signals: Sender<Signal>,
}

impl FolderWatcher {
    /// Watches everything below `folder`, and the files in `extra`. After each change, when there was no other for 300 ms,
    /// the number in the receiver is increased; scan to find out what has changed. All changes after the return of this
    /// function are reported.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub fn start(folder: &Path, extra: &[PathBuf]) -> io::Result<(Self, watch::Receiver<u64>)> {
        Self::start_with(folder, extra, system_watcher)
    }

    fn start_with(
        folder: &Path,
        extra: &[PathBuf],
        watcher: impl FnOnce(Sender<Signal>) -> notify::Result<AnyWatcher>,
    ) -> io::Result<(Self, watch::Receiver<u64>)> {
        let (signals, inbox) = mpsc::channel();
        let (changes, receiver) = watch::channel(0);
        let targets = Targets { folder: folder.to_owned(), extra: extra.to_vec() };
        let mut watch_set = WatchSet::new(targets, watcher(signals.clone()), signals.clone());
        watch_set.update();
        thread::Builder::new()
            .name("model-watch".to_owned())
            .spawn(move || report_changes(&mut watch_set, &inbox, &changes))?;
        Ok((Self { signals }, receiver))
    }
}

impl Drop for FolderWatcher {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

type AnyWatcher = Box<dyn Watcher + Send>;

/// A message to the thread.
#[derive(Debug)]
enum Signal {
    Changed(Event),
    Failed(notify::Error),
    Stop,
}

/// The folder and the files to watch.
#[derive(Debug, Clone)]
struct Targets {
    folder: PathBuf,
    extra: Vec<PathBuf>,
}

impl Targets {
    /// The targets without symbolic links, as in events. Of a file that is a link itself, both paths are targets.
    fn resolved(&self) -> Self {
        let extra = self.extra.iter().flat_map(|file| {
            let link = match (file.parent(), file.file_name()) {
                (Some(parent), Some(name)) => resolved(parent).join(name),
                _ => file.clone(),
            };
            [link, resolved(file)]
        });
        Self { folder: resolved(&self.folder), extra: extra.collect() }
    }

    /// The folders to watch, with or without their subfolders: those of the targets, or their nearest existing ancestors.
    fn folders(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let parents = self.extra.iter().filter_map(|file| file.parent());
        let mut folders: BTreeMap<_, _> =
            parents.map(|parent| (nearest_folder(parent).to_owned(), RecursiveMode::NonRecursive)).collect();
        let nearest = nearest_folder(&self.folder);
        let exists = nearest == self.folder;
        let mode = if exists { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        folders.insert(nearest.to_owned(), mode);
        folders
    }

    /// Returns whether an event can have changed the list of models.
    fn concerns(&self, event: &Event) -> bool {
        // A scan opens and reads the files: that must not cause another scan.
        let written = AccessKind::Close(AccessMode::Write);
        if matches!(event.kind, EventKind::Access(kind) if kind != written) {
            return false;
        }
        // If an ancestor appears or disappears, so does the target.
        let above = |path: &Path| {
            self.folder.starts_with(path) || self.extra.iter().any(|file| file.starts_with(path))
        };
        let within = |path: &Path| path.starts_with(&self.folder) && !is_ignored(path);
        event.need_rescan() || event.paths.iter().any(|path| above(path) || within(path))
    }
}

/// Returns whether a file is an unfinished download or a file of the node itself, which are written often.
fn is_ignored(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["part", "json"].iter().any(|other| extension == *other))
}

/// Resolves symbolic links in the part of the path that exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), absolute.strip_prefix(above)) {
            // Joining an empty path would add a slash.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

/// Returns `path` if it is a folder, else its nearest ancestor that is.
fn nearest_folder(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(path)
}

/// Distinguishes a folder from a later one of the same name: device, inode and time of creation. The time, since a deleted
/// folder's inode is reused soon.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// A watcher and the folders that it watches.
struct WatchSet {
    targets: Targets,
    /// The targets at the last update, without symbolic links.
    resolved: Targets,
    watcher: AnyWatcher,
    polls: bool,
    watched: BTreeMap<PathBuf, (RecursiveMode, Option<Identity>)>,
    signals: Sender<Signal>,
    warned: bool,
}

impl WatchSet {
    fn new(targets: Targets, watcher: notify::Result<AnyWatcher>, signals: Sender<Signal>) -> Self {
        let resolved = targets.resolved();
        let (watched, polls, warned) = (BTreeMap::new(), false, false);
        match watcher {
            Ok(watcher) => Self { targets, resolved, watcher, polls, watched, signals, warned },
            Err(error) => {
                let watcher = poll_instead(&error, signals.clone());
                Self { targets, resolved, watcher, polls: true, watched, signals, warned }
            }
        }
    }

    /// Updates the watched folders. Returns whether they have changed.
    fn update(&mut self) -> bool {
        let mut changed = false;
        // Repeated, since a folder may change between its resolution and the start of the watch. The recheck handles a
        // folder that is replaced all the time.
        for _ in 0..8 {
            self.resolved = self.targets.resolved();
            if !self.update_once(self.resolved.folders()) {
                break;
            }
            changed = true;
        }
        changed
    }

    fn update_once(&mut self, folders: BTreeMap<PathBuf, RecursiveMode>) -> bool {
        let with_identity = folders.into_iter().map(|(path, mode)| {
            let identity = identity(&path);
            (path, (mode, identity))
        });
        let wanted: BTreeMap<_, _> = with_identity.collect();
        if wanted == self.watched {
            return false;
        }
        self.unwatch(|path, folder| wanted.get(path) != Some(folder));
        for (path, folder) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, folder.0) {
                // It was deleted meanwhile; the next round finds the nearest existing ancestor.
                Err(error) if is_missing(&error) => continue,
                Err(error) if self.handle_failure(&error) => return true,
                _ => {}
            }
            self.watched.insert(path, folder);
        }
        true
    }

    fn unwatch(&mut self, is_stale: impl Fn(&PathBuf, &(RecursiveMode, Option<Identity>)) -> bool) {
        let watcher = &mut self.watcher;
        self.watched.retain(|path, folder| {
            let keep = !is_stale(path, folder);
            if !keep {
                // It fails for a deleted folder, which the system no longer watches.
                let _ = watcher.unwatch(path);
            }
            keep
        });
    }

    /// Handles an event. Returns whether it concerns the models.
    fn handle_event(&mut self, event: &Event) -> bool {
        if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            // A new folder of the same name needs a watch of its own.
            self.unwatch(|path, _| event.paths.contains(path));
        }
        self.resolved.concerns(event)
    }

    /// Switches to polling after a failure. Returns false if it polls already; then the first failure is logged.
    fn handle_failure(&mut self, error: &notify::Error) -> bool {
        if !self.polls {
            self.watcher = poll_instead(error, self.signals.clone());
            self.polls = true;
            self.watched.clear();
            return true;
        }
        if !self.warned {
            self.warned = true;
            tracing::warn!(%error, "a model folder can't be read");
        }
        false
    }
}

/// Creates a polling watcher, since the system has no notifications.
fn poll_instead(error: &notify::Error, signals: Sender<Signal>) -> AnyWatcher {
    tracing::warn!(%error, seconds = POLL_INTERVAL.as_secs(), "no file notifications; the model folder is polled");
    polling_watcher(signals, POLL_INTERVAL).unwrap_or_else(|error| {
        tracing::error!(%error, "the model folder can't be watched");
        Box::new(notify::NullWatcher)
    })
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn system_watcher(signals: Sender<Signal>) -> notify::Result<AnyWatcher> {
    Ok(Box::new(notify::recommended_watcher(send_to(signals))?))
}

fn polling_watcher(signals: Sender<Signal>, interval: Duration) -> notify::Result<AnyWatcher> {
    let config = Config::default().with_poll_interval(interval);
    Ok(Box::new(PollWatcher::new(send_to(signals), config)?))
}

fn send_to(signals: Sender<Signal>) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    move |event| {
        let _ = signals.send(event.map_or_else(Signal::Failed, Signal::Changed));
    }
}

/// Runs the thread: waits for changes, updates the watched folders, and reports.
fn report_changes(watch_set: &mut WatchSet, inbox: &Receiver<Signal>, changes: &watch::Sender<u64>) {
    while let Some(changed) = next_change(watch_set, inbox) {
        // Updated before the report, so that a change after the following scan is noticed.
        if watch_set.update() || changed {
            changes.send_modify(|count| *count += 1);
        }
    }
}

/// Waits for a change and the quiet period after it, or for the recheck. Returns whether there was a change; `None` when
/// the thread is to end.
fn next_change(watch_set: &mut WatchSet, inbox: &Receiver<Signal>) -> Option<bool> {
    let mut first: Option<Instant> = None;
    let mut until = Instant::now() + RECHECK_INTERVAL;
    loop {
        let signal = match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(signal) => signal,
            Err(RecvTimeoutError::Timeout) => return Some(first.is_some()),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let concerns = match signal {
            Signal::Stop => return None,
            Signal::Failed(error) => watch_set.handle_failure(&error),
            Signal::Changed(event) => watch_set.handle_event(&event),
        };
        if concerns {
            let now = Instant::now();
            until = (now + QUIET_PERIOD).min(*first.get_or_insert(now) + REPORT_DELAY_MAX);
        }
    }
}

#[cfg(test)]
mod tests;
