//! Tells when model files come, change or go.
//!
//! The system's own notifications where it has them, and a look every few seconds where it doesn't or
//! has no more to give (`fs.inotify.max_user_watches`). A folder that isn't there yet is waited for at
//! the nearest folder above it that is.

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

/// A change is told when there was no other for so long.
const QUIET: Duration = Duration::from_millis(300);
/// A change is told after so long, though others follow: a large file may be copied for minutes.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether the watched folders are still the same ones.
const RECHECK: Duration = Duration::from_secs(30);
/// How often the files are looked at without the system's notifications.
const POLL: Duration = Duration::from_secs(5);

/// Watches model files until it is dropped.
#[derive(Debug)]
pub struct Watch {
    signals: Sender<Signal>,
}

impl Watch {
    /// Watches what lies below `folder`, and the files in `extra`. The number in the receiver goes up
    /// after each change, once it has been quiet for 300 ms; it says nothing of what has changed, so
    /// scan. Changes after the return of this function are seen.
    ///
    /// # Errors
    /// If the system has no thread for it.
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
        let mut arming = Arming::new(targets, watcher(signals.clone()), signals.clone());
        arming.arm();
        thread::Builder::new()
            .name("model-watch".to_owned())
            .spawn(move || follow(&mut arming, &inbox, &changes))?;
        Ok((Self { signals }, receiver))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
    }
}

type AnyWatcher = Box<dyn Watcher + Send>;

/// What the thread is told.
#[derive(Debug)]
enum Signal {
    Seen(Event),
    Failed(notify::Error),
    Stop,
}

/// Where model files may be.
#[derive(Debug, Clone)]
struct Targets {
    folder: PathBuf,
    extra: Vec<PathBuf>,
}

impl Targets {
    /// The same without symbolic links, as events name them. A file that is a link itself counts in
    /// both places.
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

    /// The folders to watch, and whether with everything below: those of the targets, or what is
    /// nearest above them.
    fn places(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let parents = self.extra.iter().filter_map(|file| file.parent());
        let mut places: BTreeMap<_, _> =
            parents.map(|parent| (nearest(parent).to_owned(), RecursiveMode::NonRecursive)).collect();
        let found = nearest(&self.folder);
        let whole = found == self.folder;
        let mode = if whole { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        places.insert(found.to_owned(), mode);
        places
    }

    /// Whether what happened can have changed the list of models.
    fn concerns(&self, event: &Event) -> bool {
        // Scanning opens and reads the files: it must not lead to another scan.
        let written = AccessKind::Close(AccessMode::Write);
        if matches!(event.kind, EventKind::Access(kind) if kind != written) {
            return false;
        }
        // A folder above that comes or goes brings the target or takes it along.
        let above = |path: &Path| {
            self.folder.starts_with(path) || self.extra.iter().any(|file| file.starts_with(path))
        };
        let within = |path: &Path| path.starts_with(&self.folder) && !is_ignored(path);
        event.need_rescan() || event.paths.iter().any(|path| above(path) || within(path))
    }
}

/// A download that isn't whole, or a list of the node's own: no models, and written often.
fn is_ignored(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["part", "json", "tmp"].iter().any(|other| extension == *other))
}

/// The path without symbolic links; what isn't there yet is kept as it is written.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in absolute.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), absolute.strip_prefix(above)) {
            // Joining nothing would add a slash.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

/// `path` if it is a folder, else the nearest above it that is.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(path)
}

/// Tells one folder from another of the same name. A deleted folder's inode is soon another's.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// A watcher, and what it watches.
struct Arming {
    targets: Targets,
    /// The targets as they were resolved last.
    real: Targets,
    watcher: AnyWatcher,
    polls: bool,
    armed: BTreeMap<PathBuf, (RecursiveMode, Option<Identity>)>,
    signals: Sender<Signal>,
    warned: bool,
}

impl Arming {
    fn new(targets: Targets, watcher: notify::Result<AnyWatcher>, signals: Sender<Signal>) -> Self {
        let real = targets.resolved();
        let (armed, polls, warned) = (BTreeMap::new(), false, false);
        match watcher {
            Ok(watcher) => Self { targets, real, watcher, polls, armed, signals, warned },
            Err(error) => {
                let watcher = poll_instead(&error, signals.clone());
                Self { targets, real, watcher, polls: true, armed, signals, warned }
            }
        }
    }

    /// Watches the folders that are to be watched now; whether others were until now.
    fn arm(&mut self) -> bool {
        let mut changed = false;
        // What comes between the look and the watch is seen by the next look. A folder that is
        // replaced all the time is left to the recheck.
        for _ in 0..8 {
            self.real = self.targets.resolved();
            if !self.arm_once(self.real.places()) {
                break;
            }
            changed = true;
        }
        changed
    }

    fn arm_once(&mut self, places: BTreeMap<PathBuf, RecursiveMode>) -> bool {
        let with_identity = places.into_iter().map(|(path, mode)| {
            let identity = identity(&path);
            (path, (mode, identity))
        });
        let wanted: BTreeMap<_, _> = with_identity.collect();
        if wanted == self.armed {
            return false;
        }
        self.disarm(|path, arming| wanted.get(path) != Some(arming));
        for (path, arming) in wanted {
            if self.armed.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, arming.0) {
                // It went between the look and the watch; the next look finds what is left.
                Err(error) if is_missing(&error) => continue,
                Err(error) if self.failed(&error) => return true,
                _ => {}
            }
            self.armed.insert(path, arming);
        }
        true
    }

    fn disarm(&mut self, stale: impl Fn(&PathBuf, &(RecursiveMode, Option<Identity>)) -> bool) {
        let watcher = &mut self.watcher;
        self.armed.retain(|path, arming| {
            let keep = !stale(path, arming);
            if !keep {
                // The system has forgotten a folder that is gone, and that is no news.
                let _ = watcher.unwatch(path);
            }
            keep
        });
    }

    /// Takes an event in; whether it concerns the models.
    fn take(&mut self, event: &Event) -> bool {
        if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            // Another folder of the same name has to be watched anew.
            self.disarm(|path, _| event.paths.contains(path));
        }
        self.real.concerns(event)
    }

    /// Polls from now on, if it doesn't yet: whether that is new. A poll that fails is logged once.
    fn failed(&mut self, error: &notify::Error) -> bool {
        if !self.polls {
            self.watcher = poll_instead(error, self.signals.clone());
            self.polls = true;
            self.armed.clear();
            return true;
        }
        if !self.warned {
            self.warned = true;
            tracing::warn!(%error, "a model folder can't be read");
        }
        false
    }
}

/// What is left when the system gives no notifications.
fn poll_instead(error: &notify::Error, signals: Sender<Signal>) -> AnyWatcher {
    tracing::warn!(%error, seconds = POLL.as_secs(), "no file notifications; the model folder is polled");
    polling_watcher(signals, POLL).unwrap_or_else(|error| {
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
    Ok(Box::new(notify::recommended_watcher(sending(signals))?))
}

fn polling_watcher(signals: Sender<Signal>, every: Duration) -> notify::Result<AnyWatcher> {
    let config = Config::default().with_poll_interval(every);
    Ok(Box::new(PollWatcher::new(sending(signals), config)?))
}

fn sending(signals: Sender<Signal>) -> impl FnMut(notify::Result<Event>) + Send + 'static {
    move |event| {
        let _ = signals.send(event.map_or_else(Signal::Failed, Signal::Seen));
    }
}

/// The thread: waits for a change, then for quiet, arms what the change has uncovered, and tells.
fn follow(arming: &mut Arming, inbox: &Receiver<Signal>, changes: &watch::Sender<u64>) {
    while let Some(changed) = next_change(arming, inbox) {
        // Armed before it is told: what changes after the scan that follows is a change of its own.
        if arming.arm() || changed {
            changes.send_modify(|count| *count += 1);
        }
    }
}

/// Waits for a change and the quiet after it, or for the recheck: whether there was a change. `None` at
/// the end.
fn next_change(arming: &mut Arming, inbox: &Receiver<Signal>) -> Option<bool> {
    let mut first: Option<Instant> = None;
    let mut until = Instant::now() + RECHECK;
    loop {
        let signal = match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(signal) => signal,
            Err(RecvTimeoutError::Timeout) => return Some(first.is_some()),
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let concerns = match signal {
            Signal::Stop => return None,
            Signal::Failed(error) => arming.failed(&error),
            Signal::Seen(event) => arming.take(&event),
        };
        if concerns {
            let now = Instant::now();
            until = (now + QUIET).min(*first.get_or_insert(now) + PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests;
