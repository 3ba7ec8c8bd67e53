use notify::event::{CreateKind, DataChange, Flag, RemoveKind, RenameMode};
use tempfile::TempDir;

use super::*;

/// Far longer than a report takes on a busy machine.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

struct Watched {
    root: TempDir,
    _watcher: FolderWatcher,
    changes: watch::Receiver<u64>,
}

impl Watched {
    /// Watches `models` and `elsewhere/extra.gguf` in a temporary folder that has the folders `there`.
    fn start(there: &[&str], watcher: impl FnOnce(Sender<Signal>) -> notify::Result<AnyWatcher>) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in there {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let (folder, extra) = (root.path().join("models"), root.path().join("elsewhere/extra.gguf"));
        let (watcher, changes) = FolderWatcher::start_with(&folder, &[extra], watcher).unwrap();
        Self { root, _watcher: watcher, changes }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    async fn expect_change(&mut self, what: &str) {
        let changed = tokio::time::timeout(CHANGE_TIMEOUT, self.changes.changed()).await;
        changed.unwrap_or_else(|_| panic!("no change was reported for {what}")).unwrap();
    }
}

#[tokio::test]
async fn created_changed_and_deleted_files_are_reported() {
    let mut watched = Watched::start(&["models", "elsewhere"], system_watcher);
    let file = watched.at("models/owner/repo/m.gguf");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    watched.expect_change("a folder").await;
    fs::write(&file, b"GGUF").unwrap();
    watched.expect_change("a file").await;
    fs::write(&file, b"GGUF more").unwrap();
    watched.expect_change("another content").await;
    fs::rename(&file, file.with_extension("old")).unwrap();
    watched.expect_change("another name").await;
    fs::remove_file(file.with_extension("old")).unwrap();
    watched.expect_change("an end").await;
    fs::write(watched.at("elsewhere/extra.gguf"), b"GGUF").unwrap();
    watched.expect_change("a file beside the folder").await;
}

#[tokio::test]
async fn folder_that_is_created_late_or_again_is_watched() {
    let mut watched = Watched::start(&[], system_watcher);
    for again in 0..3 {
        fs::create_dir_all(watched.at("models")).unwrap();
        watched.expect_change("the folder").await;
        fs::write(watched.at("models/m.gguf"), b"GGUF").unwrap();
        watched.expect_change("a file").await;
        if again == 1 {
            fs::rename(watched.at("models"), watched.at("put-away")).unwrap();
        } else {
            fs::remove_dir_all(watched.at("models")).unwrap();
        }
        watched.expect_change("the folder's end").await;
    }
    // In one go, before anyone has looked.
    fs::create_dir_all(watched.at("models/a")).unwrap();
    watched.expect_change("the folder").await;
    fs::remove_dir_all(watched.at("models")).unwrap();
    fs::create_dir_all(watched.at("models")).unwrap();
    watched.expect_change("another folder of the same name").await;
    fs::write(watched.at("models/m.gguf"), b"GGUF").unwrap();
    watched.expect_change("a file in it").await;
}

#[tokio::test]
async fn many_changes_at_once_are_reported_together() {
    let mut watched = Watched::start(&["models"], system_watcher);
    for n in 0..200 {
        fs::write(watched.at(&format!("models/{n}.gguf")), b"GGUF").unwrap();
    }
    watched.expect_change("the files").await;
    assert!(*watched.changes.borrow() < 20, "{} changes", *watched.changes.borrow());
}

#[tokio::test]
async fn files_are_polled_without_notifications() {
    let polling = |signals| polling_watcher(signals, Duration::from_millis(50));
    let mut watched = Watched::start(&[], polling);
    fs::create_dir_all(watched.at("models")).unwrap();
    watched.expect_change("the folder").await;
    fs::write(watched.at("models/m.gguf"), b"GGUF").unwrap();
    watched.expect_change("a file").await;
    fs::remove_dir_all(watched.at("models")).unwrap();
    watched.expect_change("the folder's end").await;

    // A system that has no more notifications to give.
    let none = |_| Err(notify::Error::new(ErrorKind::MaxFilesWatch));
    let watched = Watched::start(&["models"], none);
    assert!(!watched.changes.has_changed().unwrap());
}

#[tokio::test]
async fn thread_ends_with_the_watcher() {
    let root = tempfile::tempdir().unwrap();
    let (watcher, mut changes) = FolderWatcher::start(root.path(), &[]).unwrap();
    drop(watcher);
    assert!(tokio::time::timeout(CHANGE_TIMEOUT, changes.changed()).await.unwrap().is_err());
}

#[test]
fn events_of_model_files_and_ancestors_concern_the_models() {
    let targets =
        Targets { folder: PathBuf::from("/data/models"), extra: vec![PathBuf::from("/far/extra.gguf")] };
    let created = EventKind::Create(CreateKind::Any);
    let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
    let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    for (concerns, kind, paths) in [
        (true, created, &["/data/models/m.gguf"][..]),
        (true, written, &["/data/models/owner/repo/m.gguf"]),
        (true, closed, &["/data/models/m.gguf"]),
        (true, created, &["/data/models/Qwen3-0.6B-GGUF"]),
        (true, EventKind::Remove(RemoveKind::Folder), &["/data/models"]),
        (true, created, &["/data"]),
        (true, created, &["/far/extra.gguf"]),
        (true, renamed, &["/data/models/m.gguf.part", "/data/models/m.gguf"]),
        (false, written, &["/data/models/m.gguf.part"]),
        (false, created, &["/data/models/last_used.json"]),
        (false, opened, &["/data/models/m.gguf"]),
        (false, written, &["/data/hearth.db-wal"]),
        (false, created, &["/far/other.gguf"]),
        (false, created, &["/data/models-old/m.gguf"]),
    ] {
        let mut event = Event::new(kind);
        event.paths = paths.iter().map(PathBuf::from).collect();
        assert_eq!(targets.concerns(&event), concerns, "{event:?}");
    }
    let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert!(targets.concerns(&overflow), "events were lost");
}

#[test]
fn links_are_resolved_in_the_existing_part_of_a_path() {
    let root = tempfile::tempdir().unwrap();
    let real = root.path().canonicalize().unwrap().join("real");
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, root.path().join("link")).unwrap();
    for (path, expected) in
        [("link", real.clone()), ("link/models/a", real.join("models/a")), ("real", real.clone())]
    {
        assert_eq!(resolved(&root.path().join(path)), expected, "{path}");
    }
}
