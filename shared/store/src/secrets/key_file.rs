//! The secrets in a key file of the data folder, which its owner alone can read. It is replaced whole, so that a crash
//! leaves the old file or the new one.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use hearth_domain::Secret;

use super::Secrets;
use crate::StoreError;

/// The file's name in the data folder.
pub(crate) const FILE: &str = "secrets.json";

/// A key file. Clones share it.
#[derive(Clone)]
pub(crate) struct KeyFile(Arc<Mutex<Contents>>);

struct Contents {
    path: PathBuf,
    secrets: BTreeMap<String, String>,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile")
    }
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

    fn find(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).secrets.get(name).cloned()
    }

    fn write(&self, name: &str, secret: &str) -> io::Result<()> {
        let mut contents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets = contents.secrets.clone();
        secrets.insert(name.to_owned(), secret.to_owned());
        replace(&contents.path, &serde_json::to_vec_pretty(&secrets)?)?;
        contents.secrets = secrets;
        Ok(())
    }
}

#[async_trait]
impl Secrets for KeyFile {
    async fn get(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        Ok(self.find(name).map(Secret::new))
    }

    async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError> {
        let (file, name, secret) = (self.clone(), name.to_owned(), secret.clone());
        let written = tokio::task::spawn_blocking(move || file.write(&name, secret.expose())).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| StoreError::from_io("put_secret", &error))
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
        file.write("a", "kept").unwrap();
        fs::write(folder.path().join("secrets.new"), "{\"a\": \"ke").unwrap();
        assert_eq!(KeyFile::open(path.clone()).unwrap().find("a").as_deref(), Some("kept"));
        assert!(!folder.path().join("secrets.new").exists());
        // Nothing can be renamed over a folder that isn't empty.
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("in the way")).unwrap();
        file.write("b", "lost").unwrap_err();
        assert!(!folder.path().join("secrets.new").exists() && file.find("b").is_none());
    }
}
