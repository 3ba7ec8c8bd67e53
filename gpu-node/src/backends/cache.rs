//! Stored results of self-tests, in a small file, so that a restart on the same machine tests nothing.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use hearth_domain::{Timestamp, hex};
use hearth_files::{Access, write_atomically};
use hearth_wire::node::{BackendState, NodeBackend};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Time after which a failure is tested again: its cause may have been temporary, such as a lack of memory.
const FAILED_RESULT_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Maximum number of machines and builds with stored results: several may share a data folder.
const RECORDS_MAX_COUNT: usize = 8;

/// The machine and build of a result: a hash of the machine's properties and the libraries' identities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CacheKey(String);

impl CacheKey {
    pub(super) fn of<'a>(properties: impl IntoIterator<Item = &'a String>) -> Self {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        for property in properties {
            hash.update([0]);
            hash.update(property);
        }
        Self(hex(&hash.finalize()[..12]))
    }
}

/// The result of one machine and build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The processor's name, for people who read the file.
    pub(super) processor: String,
    /// Seconds since 1970.
    pub(super) tested_at: i64,
    /// The libraries to load, in order.
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

/// The content of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    machines: BTreeMap<CacheKey, Record>,
}

fn read_content(path: &Path) -> Content {
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

/// Reads the result for `key`, if there is one that is fresh and whose libraries exist.
pub(super) fn read(path: &Path, key: &CacheKey) -> Option<Record> {
    let record = read_content(path).machines.remove(key)?;
    let usable =
        record.is_fresh(Timestamp::now().unix()) && record.libraries.iter().all(|library| library.is_file());
    usable.then_some(record)
}

/// Stores the result for `key`, or removes it if `record` is `None`.
pub(super) fn write(path: &Path, key: &CacheKey, record: Option<Record>) -> io::Result<()> {
    let mut content = read_content(path);
    let existed = content.machines.remove(key).is_some();
    match record {
        Some(record) => drop(content.machines.insert(key.clone(), record)),
        None if !existed => return Ok(()),
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
    write_atomically(path, &serde_json::to_vec_pretty(&content)?, Access::Umask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(property: &str) -> CacheKey {
        CacheKey::of([&property.to_owned()])
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
    fn results_are_valid_for_their_machine_and_libraries() {
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
        // A result from the future, after a correction of the clock.
        assert!(!record(now + 60, BackendState::Failed).is_fresh(now));
    }

    #[test]
    fn broken_file_is_replaced_and_old_machines_are_removed() {
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
        assert_eq!(read_content(&path).machines.len(), RECORDS_MAX_COUNT);
        assert!(read(&path, &key("11")).is_some() && read(&path, &key("3")).is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    }
}
