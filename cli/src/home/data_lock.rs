//! The lock of a data folder, for a process that doesn't open its stores: the same file that the stores lock.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use hearth_store::home::OpenError;

/// Locks the folder until it is dropped or the process ends, even if it is killed.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Locks the folder, and creates a missing one.
    ///
    /// # Errors
    /// If another process has locked it or its stores, or it can't be written.
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let failed = |reason| OpenError::Folder { path: folder.to_owned(), reason };
        // For the owner alone: it has private keys.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
            Err(TryLockError::Error(reason)) => Err(failed(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_settings::Durability;
    use hearth_store::home;

    use super::*;

    #[test]
    fn folder_has_one_user_of_either_kind() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let lock = DataLock::take(&data).unwrap();
        assert!(matches!(DataLock::take(&data), Err(OpenError::InUse(_))));
        assert!(matches!(home::open(&data, Durability::Os), Err(OpenError::InUse(_))));
        drop(lock);
        let store = home::open(&data, Durability::Os).unwrap();
        assert!(matches!(DataLock::take(&data), Err(OpenError::InUse(_))));
        drop(store);
        DataLock::take(&data).unwrap();
    }
}
