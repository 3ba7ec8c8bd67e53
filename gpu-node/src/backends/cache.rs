//! The results of self-tests, in a small file of the data folder: a start on a machine that is known tests nothing.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_domain::Timestamp;
use hearth_wire::node::{BackendState, NodeBackend};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How long a failure is believed. It may have had a cause that is gone, such as a machine that was out of memory.
const FAILED_RESULT_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Machines and builds whose results are kept: a data folder may be used by several.
const RECORDS_MAX_COUNT: usize = 8;

/// What a result holds for: a hash of the machine's facts and the libraries' identities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CacheKey(String);

impl CacheKey {
    pub(super) fn of<'a>(facts: impl IntoIterator<Item = &'a String>) -> Self {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        for fact in facts {
            hash.update([0]);
            hash.update(fact);
        }
        Self(hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The result of one machine and build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The processor's name, for people who read the file.
    pub(super) processor: String,
    /// Seconds since 1970.
    pub(super) tested_at: i64,
    /// What to load, in order.
    pub(super) libraries: Vec<PathBuf>,
    /// Every library and its result.
    pub(super) backends: Vec<NodeBackend>,
}

impl Record {
    fn is_fresh(&self, now: i64) -> bool {
        let failed = self.backends.iter().any(|backend| backend.state == BackendState::Failed);
        let age = now.saturating_sub(self.tested_at);
        !failed || u64::try_from(age).is_ok_and(|age| age < FAILED_RESULT_TTL.as_secs())
    }
}

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    machines: BTreeMap<CacheKey, Record>,
}

fn content(path: &Path) -> Content {
    let read = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
        Err(error) => Err(error.to_string()),
    };
    read.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), error, "results of self-tests cannot be read; backends are tested again");
        Content::default()
    })
}

/// The result for `key`, if it is known, fresh, and its libraries are there.
pub(super) fn read(path: &Path, key: &CacheKey) -> Option<Record> {
    let record = content(path).machines.remove(key)?;
    let usable = record.is_fresh(Timestamp::now().unix()) && record.libraries.iter().all(|one| one.is_file());
    usable.then_some(record)
}

/// Stores or, with `None`, removes the result for `key`. The file is replaced whole.
pub(super) fn write(path: &Path, key: &CacheKey, record: Option<Record>) -> io::Result<()> {
    let mut content = content(path);
    let known = content.machines.remove(key).is_some();
    match record {
        Some(record) => drop(content.machines.insert(key.clone(), record)),
        None if !known => return Ok(()),
        None => {}
    }
    while content.machines.len() > RECORDS_MAX_COUNT {
        let others = content.machines.iter().filter(|(other, _)| *other != key);
        let Some(oldest) = others.min_by_key(|(_, record)| record.tested_at).map(|(key, _)| key.clone())
        else {
            break;
        };
        content.machines.remove(&oldest);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(&content)?)?;
    // Before it gets its name: after a power cut a named file is a whole one.
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fact: &str) -> CacheKey {
        CacheKey::of([&fact.to_owned()])
    }

    fn record(tested_at: i64, state: BackendState) -> Record {
        let backend = NodeBackend {
            library: "libggml-cpu-x64.so".to_owned(),
            state,
            score: Some(1),
            reason: None,
            milliseconds: None,
        };
        Record { processor: "a processor".to_owned(), tested_at, libraries: vec![], backends: vec![backend] }
    }

    #[test]
    fn results_hold_for_the_machine_they_were_found_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backends.json");
        assert_eq!(read(&path, &key("a")), None);
        let result = record(Timestamp::now().unix(), BackendState::InUse);
        write(&path, &key("a"), Some(result.clone())).unwrap();
        assert_eq!(read(&path, &key("a")), Some(result.clone()));
        assert_eq!(read(&path, &key("b")), None);
        write(&path, &key("b"), Some(result.clone())).unwrap();
        write(&path, &key("a"), None).unwrap();
        assert_eq!((read(&path, &key("a")), read(&path, &key("b"))), (None, Some(result.clone())));
        let gone = Record { libraries: vec![folder.path().join("gone.so")], ..result };
        write(&path, &key("a"), Some(gone)).unwrap();
        assert_eq!(read(&path, &key("a")), None);
    }

    #[test]
    fn old_failures_are_tested_again() {
        let now = 1_800_000_000;
        let old = now - FAILED_RESULT_TTL.as_secs() as i64 - 1;
        assert!(record(old, BackendState::InUse).is_fresh(now));
        assert!(record(now - 60, BackendState::Failed).is_fresh(now));
        assert!(!record(old, BackendState::Failed).is_fresh(now));
        // A clock that was wrong.
        assert!(!record(now + 60, BackendState::Failed).is_fresh(now));
    }

    #[test]
    fn a_broken_file_counts_as_empty_and_old_machines_leave() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backends.json");
        for broken in ["", "{\"machines\": 3}", "{\"machines\": {\"a\": {}}}", "\u{0}\u{1}"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(read(&path, &key("a")), None, "{broken:?}");
        }
        let now = Timestamp::now().unix();
        for machine in 0..12 {
            let result = record(now + machine, BackendState::InUse);
            write(&path, &key(&machine.to_string()), Some(result)).unwrap();
        }
        assert_eq!(content(&path).machines.len(), RECORDS_MAX_COUNT);
        assert!(read(&path, &key("11")).is_some() && read(&path, &key("3")).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    }
}
