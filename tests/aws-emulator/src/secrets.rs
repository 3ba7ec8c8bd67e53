//! Secrets Manager's JSON protocol over a key file: the one secret that a home box keeps.
//!
//! The file is readable by its owner only, and replaced whole, so that a crash leaves the old or the
//! new one.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::dynamodb::Answer;

/// The name under which the embedded S3's own signing key is kept.
const SIGNING: &str = "embedded/s3-signing";

#[derive(Clone)]
pub(crate) struct KeyFile(Arc<Mutex<Contents>>);

struct Contents {
    path: PathBuf,
    secrets: BTreeMap<String, String>,
}

impl KeyFile {
    /// Opens the file; what a write left that was cut off is removed.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(part_of(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let secrets = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(Contents { path, secrets }))))
    }

    /// The key that presigned URLs are signed with; made at first use.
    pub(crate) fn signing_secret(&self) -> io::Result<String> {
        if let Some(secret) = self.get(SIGNING) {
            return Ok(secret);
        }
        let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        self.put(SIGNING, &secret)?;
        Ok(secret)
    }

    /// Answers `GetSecretValue`, `CreateSecret`, `PutSecretValue` and `DescribeSecret`.
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = request["SecretId"].as_str().or(request["Name"].as_str()).unwrap_or_default();
        let known = self.get(name).filter(|_| name != SIGNING);
        let (status, body) = match (operation, known) {
            ("GetSecretValue", Some(secret)) => {
                (200, json!({"Name": name, "ARN": name, "SecretString": secret}))
            }
            ("DescribeSecret", Some(_)) => (200, json!({"Name": name, "ARN": name})),
            ("CreateSecret", Some(_)) => (400, json!({"__type": "ResourceExistsException"})),
            ("CreateSecret", None) | ("PutSecretValue", Some(_)) => {
                match self.put(name, request["SecretString"].as_str().unwrap_or_default()) {
                    Ok(()) => (200, json!({"Name": name, "ARN": name})),
                    Err(error) => {
                        (500, json!({"__type": "InternalServiceError", "Message": error.to_string()}))
                    }
                }
            }
            (_, None) => (400, json!({"__type": "ResourceNotFoundException", "Message": "no such secret"})),
            _ => (400, json!({"__type": "InvalidRequestException", "Message": "the operation isn't known"})),
        };
        (status, body.to_string().into_bytes())
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).secrets.get(name).cloned()
    }

    fn put(&self, name: &str, secret: &str) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets = contents.secrets.clone();
        secrets.insert(name.to_owned(), secret.to_owned());
        replace(&contents.path, &serde_json::to_vec_pretty(&secrets)?)?;
        contents.secrets = secrets;
        Ok(())
    }
}

/// The file that is written before it takes the place of `path`.
fn part_of(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Replaces the file whole, or leaves it as it is, and nothing beside it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = part_of(path);
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_that_was_cut_off_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let file = KeyFile::open(path.clone()).unwrap();
        file.put("a", "kept").unwrap();
        fs::write(folder.path().join("secrets.new"), "{\"a\": \"ke").unwrap();
        assert_eq!(KeyFile::open(path.clone()).unwrap().get("a").as_deref(), Some("kept"));
        assert!(!folder.path().join("secrets.new").exists());
        // Nothing can be renamed over a folder that isn't empty.
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("in the way")).unwrap();
        file.put("b", "lost").unwrap_err();
        assert!(!folder.path().join("secrets.new").exists() && file.get("b").is_none());
    }
}
