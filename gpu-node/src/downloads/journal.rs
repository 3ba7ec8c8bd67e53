//! The journal of a download: a small file that survives the node's process, readable by its owner only, since a download may have
//! a token.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hearth_domain::{JobError, JobId, JobState, Priority, Secret, Timestamp};
use hearth_files::{Access, write_atomically};
use serde::{Deserialize, Serialize, Serializer};

/// The folder of the journals, in the model folder.
const FOLDER: &str = ".downloads";

/// A download, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The job that has begun it.
    pub(super) id: JobId,
    /// Equal for downloads of the same file.
    pub(super) key: String,
    /// The source as the caller wrote it.
    pub(super) source: String,
    pub(super) file: Option<String>,
    pub(super) wanted_sha256: Option<String>,
    #[serde(default, serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<Secret>,
    pub(super) priority: Priority,
    pub(super) state: JobState,
    pub(super) jobs: Vec<JournalJob>,
    /// The files, once the source is resolved.
    pub(super) targets: Vec<JournalFile>,
    pub(super) model: Option<String>,
    /// The path of the first file, below the model folder.
    #[serde(default)]
    pub(super) shown_file: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) size_bytes: Option<u64>,
    pub(super) done_bytes: u64,
    pub(super) error: Option<JobError>,
    pub(super) revision: i64,
    pub(super) created_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
}

/// A job that waits for a download.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct JournalJob {
    pub(super) job: JobId,
    /// The caller, as a text of the gateway's.
    pub(super) caller: String,
    pub(super) is_cancelled: bool,
}

/// A file of a download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JournalFile {
    pub(super) target: PathBuf,
    pub(super) size: Option<u64>,
}

/// The journals of a model folder.
#[derive(Debug, Clone)]
pub(super) struct Journals(PathBuf);

impl Journals {
    pub(super) fn of(models: &Path) -> Self {
        Self(models.join(FOLDER))
    }

    /// All journals that can be read, oldest first.
    pub(super) fn read_all(&self) -> Vec<Journal> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let journals = entries.flatten().filter_map(|entry| {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                return None;
            }
            let journal = fs::read(&path).map_err(io::Error::other).and_then(|bytes| {
                serde_json::from_slice::<Journal>(&bytes).map_err(io::Error::other)
            });
            if let Err(error) = &journal {
                tracing::warn!(path = %path.display(), %error, "the journal of a download can't be read; it is left out");
            }
            journal.ok()
        });
        let mut journals: Vec<Journal> = journals.collect();
        journals.sort_by_key(|journal| journal.id);
        journals
    }

    /// Writes a journal. A failure is logged: the download goes on, and is lost if the process ends.
    pub(super) fn write(&self, journal: &Journal) {
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.0)?;
            write_atomically(&self.path(journal.id), &serde_json::to_vec(journal)?, Access::Owner)
        };
        if let Err(error) = write() {
            tracing::error!(id = %journal.id, %error, "the journal of a download can't be written");
        }
    }

    pub(super) fn remove(&self, id: JobId) {
        let _ = fs::remove_file(self.path(id));
    }

    fn path(&self, id: JobId) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }
}

fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}
