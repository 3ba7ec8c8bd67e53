//! Replaces the master key of a data folder, and removes the secrets that a lost one has locked.

use std::path::Path;

use super::{error::OpenError, lock::DataLock, secrets};
use crate::{
    StoreError, Table,
    database::sqlite::{self, Durability, Sqlite},
    key_wrapper::master_key::{self, MasterKey, MasterKeyError},
    rewrap::{self, Rewrapped},
    secrets::sealed_file,
};

/// The result of a rotation, or of a reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKeyRotation {
    /// The id of the current key.
    pub key_id: String,
    /// Secrets whose data keys were wrapped again, or that were removed.
    pub count: u64,
}

/// Gives the folder a new master key, wraps every data key by it, and removes the old one. While it runs the file has
/// both. A rotation that was cut off is continued.
///
/// # Errors
/// If another process has the folder open, it can't be read or written, or a secret can't be opened.
pub async fn rotate_master_key(folder: &Path) -> Result<MasterKeyRotation, RotationError> {
    let _lock = DataLock::take(folder)?;
    let (master_key, file) = secrets::open(folder)?;
    master_key.begin_rotation()?;
    let mut count = file.rewrap()?;
    if let Some(table) = table(folder)? {
        let rewrapped = rewrap::rewrap_all(&table, &master_key).await?;
        table.0.close().await;
        if !rewrapped.locked.is_empty() {
            return Err(RotationError::Locked(rewrapped.locked.len()));
        }
        count += rewrapped.count;
    }
    master_key.end_rotation()?;
    Ok(MasterKeyRotation { key_id: master_key.current(), count })
}

/// Removes the secrets that the folder's master key doesn't open, after it was lost or damaged. A new key is created
/// if there is none; a damaged file is renamed. Secrets that can be opened stay.
///
/// # Errors
/// If another process has the folder open, or it can't be read or written.
pub async fn reset_secrets(folder: &Path) -> Result<MasterKeyRotation, RotationError> {
    let _lock = DataLock::take(folder)?;
    let path = folder.join(master_key::FILE);
    let failed = |reason| OpenError::Folder { path: folder.to_owned(), reason };
    let master_key = match MasterKey::open(&path, || false) {
        Err(MasterKeyError::Damaged { .. }) => {
            std::fs::rename(&path, path.with_extension("damaged")).map_err(failed)?;
            MasterKey::open(&path, || false)
        }
        other => other,
    };
    let master_key = master_key.map_err(OpenError::from)?;
    let path = folder.join(sealed_file::FILE);
    let mut count = match sealed_file::remove_locked(&path, &master_key) {
        Ok(count) => count,
        // A damaged file of secrets is no use either.
        Err(_) if path.exists() => {
            std::fs::rename(&path, path.with_extension("damaged")).map_err(failed)?;
            1
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(table) = table(folder)? {
        let Rewrapped { locked, .. } = rewrap::find_locked(&table, &master_key).await?;
        for key in &locked {
            table.delete(key.clone()).await?;
        }
        table.0.close().await;
        count += locked.len() as u64;
    }
    Ok(MasterKeyRotation { key_id: master_key.current(), count })
}

/// A reason why the master key can't be replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The folder can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A secret can't be opened or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some secrets are sealed under keys that aren't in the file.
    #[error(
        "{0} secrets can't be opened, so the old master key stays beside the new one; put a copy of the file with their key \
         back, or run `hearth key reset` to remove them, and rotate again"
    )]
    Locked(usize),
}

fn table(folder: &Path) -> Result<Option<Table>, OpenError> {
    let path = folder.join(sqlite::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let database = Sqlite::open(&path, Durability::Fsync);
    let database = database.map_err(|reason| OpenError::Database { path, reason })?;
    Ok(Some(Table(std::sync::Arc::new(database))))
}
