//! The secrets in a file of the data folder, sealed under the master key. The file is replaced whole or not at all.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use hearth_domain::Secret;
use hearth_files::{Access, remove_unfinished, write_atomically};

use super::{Secrets, missing};
use crate::{
    StoreError,
    key_wrapper::{KeyContext, Purpose, Sealed, master_key::MasterKey},
};

/// The file's name in the data folder.
pub(crate) const FILE: &str = "secrets.sealed.json";
/// The owner of the secrets.
const OWNER: &str = "gateway";

/// A file of sealed secrets. Clones share it.
#[derive(Clone)]
pub(crate) struct SealedFile(Arc<Mutex<Contents>>);

struct Contents {
    path: PathBuf,
    master_key: MasterKey,
    secrets: BTreeMap<String, Sealed>,
}

impl std::fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedFile")
    }
}

impl SealedFile {
    /// Opens the file, and removes the temporary files of a killed process.
    pub(crate) fn open(path: PathBuf, master_key: MasterKey) -> io::Result<Self> {
        remove_unfinished(&path)?;
        let secrets = read(&path)?;
        Ok(Self(Arc::new(Mutex::new(Contents { path, master_key, secrets }))))
    }

    /// Adds secrets that the file doesn't have yet, in one write.
    pub(crate) fn add(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), StoreError> {
        let mut contents = self.contents();
        let mut all = contents.secrets.clone();
        for (name, secret) in secrets {
            all.insert(name.clone(), contents.master_key.seal(&context(name), secret)?);
        }
        contents.replace(all)
    }

    /// Wraps the data keys of all secrets by the current master key. Returns the number of those that weren't.
    pub(crate) fn rewrap(&self) -> Result<u64, StoreError> {
        let mut contents = self.contents();
        let (mut all, mut count) = (contents.secrets.clone(), 0);
        for (name, sealed) in &mut all {
            if sealed.key_id != contents.master_key.current() {
                let secret = contents.master_key.open_secret(&context(name), sealed)?;
                *sealed = contents.master_key.seal(&context(name), &secret)?;
                count += 1;
            }
        }
        if count > 0 {
            contents.replace(all)?;
        }
        Ok(count)
    }

    /// The secret of this name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        let contents = self.contents();
        let sealed = contents.secrets.get(name);
        sealed.map(|sealed| contents.master_key.open_secret(&context(name), sealed)).transpose()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn replace(&mut self, secrets: BTreeMap<String, Sealed>) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec_pretty(&secrets).map_err(StoreError::unreadable)?;
        let written = write_atomically(&self.path, &bytes, Access::Owner);
        written.map_err(|error| StoreError::from_io("put_secret", &error))?;
        self.secrets = secrets;
        Ok(())
    }
}

/// Removes the secrets that the master key doesn't open. Returns their number.
pub(crate) fn remove_locked(path: &Path, master_key: &MasterKey) -> Result<u64, StoreError> {
    let file = SealedFile::open(path.to_owned(), master_key.clone());
    let file = file.map_err(|error| StoreError::from_io("get_secret", &error))?;
    let mut contents = file.contents();
    let mut secrets = contents.secrets.clone();
    secrets.retain(|name, sealed| master_key.open_secret(&context(name), sealed).is_ok());
    let count = contents.secrets.len() - secrets.len();
    if count > 0 {
        contents.replace(secrets)?;
    }
    Ok(count as u64)
}

/// Reads the file; empty if there is none.
pub(crate) fn read(path: &Path) -> io::Result<BTreeMap<String, Sealed>> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

fn context(name: &str) -> KeyContext {
    KeyContext::new(Purpose::Gateway, OWNER, name)
}

#[async_trait]
impl Secrets for SealedFile {
    async fn get(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        self.find(name)
    }

    async fn put(&self, name: &str, secret: &Secret) -> Result<(), StoreError> {
        let (file, secrets) = (self.clone(), BTreeMap::from([(name.to_owned(), secret.clone())]));
        let written = tokio::task::spawn_blocking(move || file.add(&secrets)).await;
        written.unwrap_or_else(|error| Err(StoreError::from_io("put_secret", &io::Error::other(error))))
    }

    async fn check(&self, name: &str) -> Result<(), StoreError> {
        self.find(name)?.map(drop).ok_or_else(|| missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> SealedFile {
        let master_key = MasterKey::open(&folder.join("master-key"), || false).unwrap();
        SealedFile::open(folder.join(FILE), master_key).unwrap()
    }

    fn add(file: &SealedFile, name: &str, text: &str) -> Result<(), StoreError> {
        file.add(&BTreeMap::from([(name.to_owned(), Secret::new(text))]))
    }

    fn text(file: &SealedFile, name: &str) -> Option<String> {
        file.find(name).unwrap().map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn unfinished_file_is_removed_and_a_failed_write_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let file = open(folder.path());
        add(&file, "a", "kept").unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("kept"));
        let unfinished = folder.path().join(format!("{FILE}.a1b2c3.part"));
        fs::write(&unfinished, "{\"a\": \"ke").unwrap();
        assert_eq!(text(&open(folder.path()), "a").as_deref(), Some("kept"));
        assert!(!unfinished.exists());
        // A file can't be renamed over a folder that isn't empty.
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("in the way")).unwrap();
        add(&file, "b", "lost").unwrap_err();
        // The folder, and the master key.
        assert_eq!((fs::read_dir(folder.path()).unwrap().count(), text(&file, "b")), (2, None));
    }

    #[test]
    fn secret_under_another_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = open(folder.path());
        add(&file, "a", "one").unwrap();
        add(&file, "b", "two").unwrap();
        let mut all = read(&folder.path().join(FILE)).unwrap();
        let (a, b) = (all.remove("a").unwrap(), all.remove("b").unwrap());
        let exchanged = BTreeMap::from([("a", b), ("b", a)]);
        fs::write(folder.path().join(FILE), serde_json::to_vec(&exchanged).unwrap()).unwrap();
        let error = open(folder.path()).find("a").unwrap_err().to_string();
        assert!(error.contains("another secret's"), "{error}");
    }

    #[test]
    fn rewrapped_secrets_need_the_current_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = open(folder.path());
        add(&file, "a", "one").unwrap();
        let key = MasterKey::open(&folder.path().join("master-key"), || true).unwrap();
        key.begin_rotation().unwrap();
        let file = open(folder.path());
        add(&file, "b", "two").unwrap();
        assert_eq!((file.rewrap().unwrap(), file.rewrap().unwrap()), (1, 0));
        key.end_rotation().unwrap();
        let file = open(folder.path());
        assert_eq!((text(&file, "a").as_deref(), text(&file, "b").as_deref()), (Some("one"), Some("two")));
    }
}
