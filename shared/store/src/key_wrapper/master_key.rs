//! Data keys wrapped by the master key, a file of the data folder that its owner alone can read.
//!
//! The file has several keys while a rotation goes on: the current one wraps, every one unwraps. A key's id follows
//! from its bytes, so a damaged key is found when the file is read.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_domain::{Secret, Timestamp};
use hearth_files::{Access, remove_unfinished, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    DataKey, KeyContext, KeyWrapper, Sealed, WrappedKey,
    sealed::{decrypt, encrypt},
    unsealable,
};
use crate::StoreError;

/// The file's name in the data folder.
pub const FILE: &str = "master-key";
/// The version of the file's form.
const VERSION: u32 = 1;
/// Characters of the hash in a key's id.
const ID_CHARS: usize = 16;

/// A reason why the master key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file is missing, and there are secrets that only it opens.
    #[error(
        "the master key {0} isn't there, and the stored secrets can't be opened without it; put a copy of the file back, or \
         run `hearth key reset`: it removes those secrets, and the keys of providers must be entered again"
    )]
    Lost(PathBuf),
    /// The file isn't the whole of one that was written.
    #[error(
        "the master key {path} is damaged ({reason}); put a copy of the file back, or run `hearth key reset`: it removes the \
         secrets that only this file opens, and the keys of providers must be entered again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The file can't be read or written.
    #[error("the master key {path} can't be read or written: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        reason: io::Error,
    },
}

/// The master keys of a data folder. Clones share them.
#[derive(Clone)]
pub struct MasterKey(Arc<Mutex<State>>);

struct State {
    path: PathBuf,
    /// The current key first.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    bytes: Zeroizing<[u8; super::KEY_BYTES]>,
    created_at: Timestamp,
}

/// The file's contents.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    keys: Vec<StoredKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: String,
    key: Secret,
    created_at: Timestamp,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// Opens the file, or creates it with a new key if it doesn't exist. `is_needed`: there are secrets that a new key
    /// wouldn't open, so none is created beside them.
    ///
    /// # Errors
    /// `Lost` if the file doesn't exist and is needed; `Damaged`; `File`.
    pub fn open(path: &Path, is_needed: impl FnOnce() -> bool) -> Result<Self, MasterKeyError> {
        let file = |reason| MasterKeyError::File { path: path.to_owned(), reason };
        remove_unfinished(path).map_err(file)?;
        match fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => {
                let damaged = |reason| MasterKeyError::Damaged { path: path.to_owned(), reason };
                let keys = parse(&bytes).map_err(damaged)?;
                Ok(Self::over(path, keys))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if is_needed() {
                    return Err(MasterKeyError::Lost(path.to_owned()));
                }
                let keys = vec![Key::generate().map_err(|error| file(io::Error::other(error)))?];
                write(path, &keys).map_err(file)?;
                Ok(Self::over(path, keys))
            }
            Err(error) => Err(file(error)),
        }
    }

    /// Counts the keys of a file, without changing anything beside it.
    ///
    /// # Errors
    /// `Damaged`; `File`.
    pub fn count_keys(path: &Path) -> Result<usize, MasterKeyError> {
        let bytes = fs::read(path).map(Zeroizing::new);
        let bytes = bytes.map_err(|reason| MasterKeyError::File { path: path.to_owned(), reason })?;
        let keys =
            parse(&bytes).map_err(|reason| MasterKeyError::Damaged { path: path.to_owned(), reason })?;
        Ok(keys.len())
    }

    /// The id of the current key.
    #[must_use]
    pub fn current(&self) -> String {
        self.state().keys.first().map(|key| key.id.clone()).unwrap_or_default()
    }

    /// The ids of all keys, the current one first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.state().keys.iter().map(|key| key.id.clone()).collect()
    }

    /// Begins a rotation: adds a new key, which is the current one from now on. If a rotation wasn't finished, its
    /// key stays the current one.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn begin_rotation(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.keys.len() > 1 {
            return Ok(());
        }
        let mut keys = vec![Key::generate()?];
        keys.extend(state.keys.iter().cloned());
        state.replace(keys)
    }

    /// Ends a rotation: removes every key but the current one. No secret may be wrapped by them any more.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn end_rotation(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let keys = state.keys.iter().take(1).cloned().collect();
        state.replace(keys)
    }

    /// Seals a secret, without waiting for anything.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn seal(&self, context: &KeyContext, secret: &Secret) -> Result<Sealed, StoreError> {
        let key = DataKey::generate()?;
        let wrapped = self.wrap_key(context, &key)?;
        Sealed::with_key(context, &key, wrapped, secret)
    }

    /// Opens a secret, without waiting for anything.
    ///
    /// # Errors
    /// `Unsealable` if it is another secret's or damaged, or its key isn't in the file.
    pub fn open_secret(&self, context: &KeyContext, sealed: &Sealed) -> Result<Secret, StoreError> {
        sealed.check(context)?;
        let key = self.unwrap_key(context, &sealed.wrapped()?)?;
        sealed.open_with(context, &key)
    }

    fn over(path: &Path, keys: Vec<Key>) -> Self {
        Self(Arc::new(Mutex::new(State { path: path.to_owned(), keys })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrap_key(&self, context: &KeyContext, key: &DataKey) -> Result<WrappedKey, StoreError> {
        let state = self.state();
        let current = state.keys.first().ok_or_else(|| unsealable("there is no master key"))?;
        let bytes = encrypt(&current.bytes, context, key.expose())?;
        Ok(WrappedKey { key_id: current.id.clone(), bytes })
    }

    fn unwrap_key(&self, context: &KeyContext, wrapped: &WrappedKey) -> Result<DataKey, StoreError> {
        let state = self.state();
        let Some(key) = state.keys.iter().find(|key| key.id == wrapped.key_id) else {
            let (path, id) = (state.path.display(), &wrapped.key_id);
            return Err(unsealable(format!(
                "its master key {id} isn't in {path}; put the file with that key back, or remove the secret and enter it again"
            )));
        };
        DataKey::from_bytes(&decrypt(&key.bytes, context, wrapped.bytes.clone())?)
    }
}

#[async_trait]
impl KeyWrapper for MasterKey {
    async fn wrap(&self, context: &KeyContext, key: &DataKey) -> Result<WrappedKey, StoreError> {
        self.wrap_key(context, key)
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &WrappedKey) -> Result<DataKey, StoreError> {
        self.unwrap_key(context, wrapped)
    }

    async fn rewrap(
        &self,
        context: &KeyContext,
        wrapped: &WrappedKey,
    ) -> Result<Option<WrappedKey>, StoreError> {
        if wrapped.key_id == self.current() {
            return Ok(None);
        }
        let key = self.unwrap_key(context, wrapped)?;
        self.wrap_key(context, &key).map(Some)
    }
}

impl State {
    fn replace(&mut self, keys: Vec<Key>) -> Result<(), StoreError> {
        write(&self.path, &keys).map_err(|error| StoreError::from_io("write_master_key", &error))?;
        self.keys = keys;
        Ok(())
    }
}

impl Key {
    fn generate() -> Result<Self, StoreError> {
        let bytes = Zeroizing::new(*DataKey::generate()?.expose());
        Ok(Self { id: id_of(&bytes), bytes, created_at: Timestamp::now() })
    }
}

/// The id of a key: a hash of its bytes, from which they can't be found.
fn id_of(key: &[u8; super::KEY_BYTES]) -> String {
    let hash = Sha256::new().chain_update(b"hearth master key").chain_update(key).finalize();
    format!("mk_{}", &hearth_domain::hex(hash)[..ID_CHARS])
}

fn parse(bytes: &[u8]) -> Result<Vec<Key>, String> {
    // A parser's message may show a part of its input.
    let contents: Contents = serde_json::from_slice(bytes).map_err(|error| {
        format!("it isn't the JSON of a key file, at line {} column {}", error.line(), error.column())
    })?;
    if contents.version != VERSION {
        return Err(format!("its version is {}, and this program reads {VERSION}", contents.version));
    }
    let keys: Result<Vec<Key>, String> = contents.keys.iter().map(parse_key).collect();
    keys.and_then(|keys| if keys.is_empty() { Err("it has no key".to_owned()) } else { Ok(keys) })
}

fn parse_key(stored: &StoredKey) -> Result<Key, String> {
    let altered = || format!("the bytes of the key {} have changed", stored.id);
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(stored.key.expose()).map_err(|_| altered())?);
    let key = DataKey::from_bytes(&bytes).map_err(|_| altered())?;
    if id_of(key.expose()) != stored.id {
        return Err(altered());
    }
    Ok(Key { id: stored.id.clone(), bytes: Zeroizing::new(*key.expose()), created_at: stored.created_at })
}

fn write(path: &Path, keys: &[Key]) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a str,
        key: &'a str,
        created_at: Timestamp,
    }
    #[derive(Serialize)]
    struct Whole<'a> {
        version: u32,
        keys: Vec<Line<'a>>,
    }
    let texts: Vec<Zeroizing<String>> =
        keys.iter().map(|key| Zeroizing::new(BASE64_STANDARD.encode(*key.bytes))).collect();
    let lines = keys.iter().zip(&texts);
    let lines = lines.map(|(key, text)| Line { id: &key.id, key: text, created_at: key.created_at });
    let whole = Whole { version: VERSION, keys: lines.collect() };
    write_atomically(path, &Zeroizing::new(serde_json::to_vec_pretty(&whole)?), Access::Owner)
}
