//! The lock of a data folder: one process may have it open.

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::Arc,
};

use super::error::OpenError;

/// Locks the folder until the last clone is dropped or the process ends, even if it is killed.
#[derive(Debug, Clone)]
pub(crate) struct DataLock {
    _file: Arc<File>,
}

impl DataLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let failed = |reason| OpenError::Folder { path: folder.to_owned(), reason };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Arc::new(file) }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
            Err(TryLockError::Error(reason)) => Err(failed(reason)),
        }
    }
}
