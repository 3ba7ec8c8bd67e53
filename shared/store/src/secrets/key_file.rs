//! The secrets in a key file of the data folder, which its owner alone can read, and which is replaced whole or not at
//! all.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use hearth_domain::Secret;
use hearth_files::{Access, remove_unfinished, write_atomically};

use super::{Secrets, missing};
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
    /// Opens the file, and removes the temporary files of a killed process: they have secrets in them.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        remove_unfinished(&path)?;
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
        write_atomically(&contents.path, &serde_json::to_vec_pretty(&secrets)?, Access::Owner)?;
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

    async fn check(&self, name: &str) -> Result<(), StoreError> {
        self.find(name).map(drop).ok_or_else(|| missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_file_is_removed_and_a_failed_write_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let file = KeyFile::open(path.clone()).unwrap();
        file.write("a", "kept").unwrap();
        let unfinished = folder.path().join("secrets.json.a1b2c3.part");
        fs::write(&unfinished, "{\"a\": \"ke").unwrap();
        assert_eq!(KeyFile::open(path.clone()).unwrap().find("a").as_deref(), Some("kept"));
        assert!(!unfinished.exists());
        // A file can't be renamed over a folder that isn't empty.
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("in the way")).unwrap();
        file.write("b", "lost").unwrap_err();
        assert_eq!((fs::read_dir(folder.path()).unwrap().count(), file.find("b")), (1, None));
    }
}
