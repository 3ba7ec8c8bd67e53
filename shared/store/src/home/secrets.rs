//! Opens the master key of a data folder, and the secrets that it seals.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::error::OpenError;
use crate::{
    database::sqlite,
    key_wrapper::master_key::{self, MasterKey},
    secrets::{
        plain_file::{self, MigrationError},
        sealed_file::{self, SealedFile},
    },
};

/// Opens both, and migrates the secrets of an earlier version. A new master key is created in a folder that has nothing
/// sealed.
pub(super) fn open(folder: &Path) -> Result<(MasterKey, SealedFile), OpenError> {
    let is_needed = has_sealed(folder)?;
    let master_key = MasterKey::open(&folder.join(master_key::FILE), || is_needed)?;
    let path = folder.join(sealed_file::FILE);
    let sealed = SealedFile::open(path.clone(), master_key.clone())
        .map_err(|error| OpenError::Secrets { path, reason: reason_of(&error) })?;
    let path = folder.join(plain_file::FILE);
    plain_file::migrate(&path, &sealed).map_err(|error| {
        let reason = match &error {
            MigrationError::File(error) => reason_of(error),
            MigrationError::Other => error.to_string(),
        };
        OpenError::Secrets { path, reason }
    })?;
    Ok((master_key, sealed))
}

/// True if a secret of the folder needs the master key. The table is searched only if there is no file of secrets, as
/// in a folder whose files were moved away; a folder that has been used has one.
fn has_sealed(folder: &Path) -> Result<bool, OpenError> {
    let exists = |name: &str| folder.join(name).exists();
    if exists(master_key::FILE) || exists(sealed_file::FILE) {
        return Ok(true);
    }
    if exists(plain_file::FILE) || !exists(sqlite::FILE) {
        return Ok(false);
    }
    let path: PathBuf = folder.join(sqlite::FILE);
    sqlite::has_sealed(&path).map_err(|reason| OpenError::Database { path, reason })
}

/// The state of a folder's master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKeyState {
    /// The folder has none yet, and nothing that needs one.
    Missing,
    /// Fine.
    Ready,
    /// Other users of the machine can read the file.
    Exposed,
    /// A rotation wasn't finished.
    Rotating,
}

/// Checks the master key of a folder, which another process may have open. Changes nothing.
///
/// # Errors
/// If the file is lost or damaged, or can't be read.
pub fn check_master_key(folder: &Path) -> Result<MasterKeyState, OpenError> {
    use std::os::unix::fs::PermissionsExt as _;

    let path = folder.join(master_key::FILE);
    if !path.exists() {
        return match has_sealed(folder)? {
            true => Err(master_key::MasterKeyError::Lost(path).into()),
            false => Ok(MasterKeyState::Missing),
        };
    }
    let count = MasterKey::count_keys(&path)?;
    let mode = std::fs::metadata(&path).map(|data| data.permissions().mode());
    Ok(match mode {
        Ok(mode) if mode & 0o077 != 0 => MasterKeyState::Exposed,
        _ if count > 1 => MasterKeyState::Rotating,
        _ => MasterKeyState::Ready,
    })
}

fn reason_of(error: &io::Error) -> String {
    match error.kind() {
        // serde_json's errors have these kinds: the file is cut, or isn't JSON. Its message may show a part of the
        // file.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => "it is damaged".to_owned(),
        _ => error.to_string(),
    }
}
