//! An emulator of AWS services in this process: DynamoDB over SQLite, S3 on disk, Secrets Manager in a key file, KMS, SQS in memory.
//!
//! For tests and benchmarks. The AWS SDK's clients sign and serialise as usual; their HTTP connector calls this code
//! instead of a socket. [`AwsEmulator::router`] serves the same requests over a socket, for the functions' processes.
//!
//! Its data folder has the layout of earlier versions of `hearth up`: `tests/suites/store/migration.rs` creates such folders
//! with it.

#![warn(missing_docs)]

mod clients;
mod dynamodb;
mod iam;
mod kms;
mod router;
mod s3;
mod secrets;
mod sqs;
mod sweep;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dynoxide::Database;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use iam::PolicyError;
pub use sqs::ReceivedMessage;

use iam::Iam;
use s3::Objects;
use secrets::KeyFile;
use sqs::Queues;

/// The access key of the emulator's own clients, which may do anything.
const ACCESS_KEY: &str = "hearth";
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

/// A reason why the stores can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder can't be created or written.
    #[error("the data folder {path} can't be written: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file of secrets can't be read.
    #[error(
        "the secrets in {path} can't be read: {reason}; put a copy of the file back, or move it away: then a new one is \
         created, and the providers' keys must be set again"
    )]
    Secrets {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The database can't be opened.
    #[error("the database {path} can't be opened: {reason}")]
    Database {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// The emulated services of one data folder.
#[derive(Clone)]
pub struct AwsEmulator {
    db: Database,
    /// One permit: requests to `db` run one after the other.
    db_permit: Arc<Semaphore>,
    s3: s3s::service::S3Service,
    signing_secret: String,
    secrets: KeyFile,
    queues: Queues,
    iam: Iam,
}

impl std::fmt::Debug for AwsEmulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AwsEmulator")
    }
}

impl AwsEmulator {
    /// Opens the services in `folder`, with a bucket named `bucket`, and creates the folder if it doesn't exist.
    ///
    /// # Errors
    /// If it can't be written, or its database or secrets can't be read.
    pub fn open(folder: &Path, bucket: &str) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { path: folder.to_owned(), source };
        // For the owner alone: it has outputs, hashes of tokens, and keys.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let path = folder.join("hearth.db");
        let db = open_database(&path).map_err(|reason| OpenError::Database { path, reason })?;
        let path = folder.join("secrets.json");
        let secrets = KeyFile::open(path.clone()).map_err(|error| unreadable_secrets(path, &error))?;
        let signing_secret = secrets.signing_secret().map_err(failed)?;
        let iam = Iam::default();
        let access = iam::Access(iam.clone());
        let objects =
            Objects::open(db.clone(), &folder.join("objects"), bucket, access.clone()).map_err(failed)?;
        sweep::start(db.clone(), objects.clone());
        let mut s3 = s3s::service::S3ServiceBuilder::new(objects);
        s3.set_auth(iam::Keys { iam: iam.clone(), signing_secret: signing_secret.clone() });
        s3.set_access(access);
        let db_permit = Arc::new(Semaphore::new(1));
        let queues = Queues::default();
        Ok(Self { db, db_permit, s3: s3.build(), signing_secret, secrets, queues, iam })
    }

    /// Lets requests that `access_key` has signed do what these policy documents allow, as for a role of IAM. Documents have
    /// no intrinsic functions. The secret key is that of [`AwsEmulator::credentials`].
    ///
    /// # Errors
    /// If a policy has an element that isn't supported.
    pub fn add_role(&self, access_key: &str, policies: &[Value]) -> Result<(), PolicyError> {
        self.iam.add_role(access_key, policies)
    }

    /// Decides whether a role may manage a connection of a WebSocket API: `path` is the stage, the method and the connection, as in
    /// `prod/POST/@connections/ID`. Records the decision.
    #[must_use]
    pub fn may_manage_connection(&self, access_key: &str, api: &str, path: &str) -> bool {
        self.iam.check_connection(access_key, api, path).is_ok()
    }

    /// The calls that a role's policies didn't allow, since the start.
    #[must_use]
    pub fn denied_calls(&self) -> Vec<String> {
        self.iam.denied()
    }

    /// The permissions of all roles that no call has used. Permissions for other services are left out.
    #[must_use]
    pub fn unused_permissions(&self) -> Vec<String> {
        self.iam.unused()
    }

    /// Receives messages of a queue with the permissions of a role, as Lambda does for a function.
    ///
    /// # Errors
    /// The refusal, if its policies don't allow it.
    pub fn receive_messages(
        &self,
        access_key: &str,
        queue: &str,
        limit: usize,
    ) -> Result<Vec<ReceivedMessage>, String> {
        // Lambda reads the attributes to scale.
        for action in ["GetQueueAttributes", "ReceiveMessage"] {
            self.iam.check_queue(access_key, action, queue).map_err(|refusal| format!("{refusal:?}"))?;
        }
        Ok(self.queues.receive(queue, limit))
    }

    /// Deletes a message that was received, with the permissions of a role.
    ///
    /// # Errors
    /// The refusal, if its policies don't allow it.
    pub fn delete_message(&self, access_key: &str, queue: &str, receipt: &str) -> Result<(), String> {
        self.iam.check_queue(access_key, "DeleteMessage", queue).map_err(|refusal| format!("{refusal:?}"))?;
        self.queues.delete(queue, receipt);
        Ok(())
    }

    /// Makes a message that was received visible after `timeout`. One that was deleted stays so.
    pub fn hide_message(&self, queue: &str, receipt: &str, timeout: Duration) {
        let _ = self.queues.hide(queue, receipt, timeout);
    }

    /// The number of messages of a queue that are visible or delayed, and of those in flight.
    #[must_use]
    pub fn queue_depth(&self, queue: &str) -> (usize, usize) {
        self.queues.depth(queue)
    }

    /// The bodies of a queue's dead letters.
    #[must_use]
    pub fn dead_messages(&self, queue: &str) -> Vec<String> {
        self.queues.dead(queue)
    }

    /// Sends a message to a queue.
    pub fn send_message(&self, queue: &str, body: &str, group: &str) {
        self.queues.send(queue, body, group, Duration::ZERO);
    }

    /// Loses every message of a queue.
    pub fn lose_messages(&self, queue: &str) {
        self.queues.clear(queue);
    }

    /// The address of a queue, at the address of [`AwsEmulator::router`].
    #[must_use]
    pub fn queue_url(endpoint: &str, name: &str) -> String {
        sqs::url(endpoint, name)
    }

    /// The ARN of a queue.
    #[must_use]
    pub fn queue_arn(name: &str) -> String {
        sqs::arn(name)
    }

    /// The ARN of a table.
    #[must_use]
    pub fn table_arn(name: &str) -> String {
        iam::table_arn(name)
    }

    /// The ARN of a bucket.
    #[must_use]
    pub fn bucket_arn(name: &str) -> String {
        iam::bucket_arn(name)
    }

    /// The ARN of a secret. Requests may name a secret by it.
    #[must_use]
    pub fn secret_arn(name: &str) -> String {
        secrets::arn(name)
    }

    /// The ARN of a key of KMS. Every key exists.
    #[must_use]
    pub fn kms_key_arn(id: &str) -> String {
        kms::arn(id)
    }
}

/// Opens SQLite in WAL mode with `synchronous=NORMAL`: acknowledged writes survive a kill of the process, and a power cut
/// may lose the last ones. dynoxide sets that pragma only in `disable_bulk_loading`.
fn open_database(path: &Path) -> Result<Database, String> {
    // SQLite's log gets the permissions of the database.
    let file = fs::File::options().create(true).append(true).mode(0o600).open(path);
    file.map_err(|error| error.to_string())?;
    let path = path.to_str().ok_or("its path isn't UTF-8")?;
    let db = Database::new(path).map_err(|error| with_advice(&error.to_string()))?;
    db.disable_bulk_loading().map_err(|error| with_advice(&error.to_string()))?;
    Ok(db)
}

fn unreadable_secrets(path: PathBuf, error: &io::Error) -> OpenError {
    let reason = match error.kind() {
        // serde_json's errors have these kinds: the file is cut, or isn't JSON.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => format!("it is damaged ({error})"),
        _ => error.to_string(),
    };
    OpenError::Secrets { path, reason }
}

/// Adds advice to an error of SQLite.
fn with_advice(text: &str) -> String {
    match advice(text) {
        // dynoxide's message for a file that isn't a database is about its own build options.
        Some(DAMAGED) => DAMAGED.to_owned(),
        Some(advice) => format!("{text}; {advice}"),
        None => text.to_owned(),
    }
}

const DAMAGED: &str = "it is damaged, or no SQLite database; put a copy of hearth.db back, together with the hearth.db-wal \
     of the same copy, or move both away: then an empty database is created, with a new first token";

/// Returns advice for an error of the database with this text, if there is any.
#[must_use]
pub fn advice(text: &str) -> Option<&'static str> {
    let has_any = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if has_any(&["not a valid SQLite database", "not a database", "malformed", "encrypted"]) {
        return Some(DAMAGED);
    }
    let full = "check whether the disk of the data folder is full, or failing";
    has_any(&["disk I/O error", "disk is full"]).then_some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_with(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        drop(AwsEmulator::open(folder.path(), "bucket").unwrap());
        // The log may contain every page of a small database.
        for log in ["hearth.db-wal", "hearth.db-shm"] {
            let _ = fs::remove_file(folder.path().join(log));
        }
        fs::write(folder.path().join(name), bytes).unwrap();
        AwsEmulator::open(folder.path(), "bucket").unwrap_err().to_string()
    }

    #[test]
    fn damaged_file_is_named_with_what_to_do() {
        for bytes in [&b""[..], b"{\"a\": \"b", b"[1]", b"{\"a\": 1}", b"\xff"] {
            let error = error_with("secrets.json", bytes);
            assert!(error.contains("secrets.json can't be read: it is damaged"), "{error}");
            assert!(error.contains("put a copy of the file back"), "{error}");
        }
        let error = error_with("hearth.db", &b"garbage!".repeat(1000));
        assert!(error.contains("hearth.db can't be opened: it is damaged"), "{error}");
        assert!(error.contains("put a copy of hearth.db back") && !error.contains("feature"), "{error}");
    }
}
