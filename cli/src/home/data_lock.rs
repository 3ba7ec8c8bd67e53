//! The lock of a data folder, for a process that doesn't open its stores: the same file that the stores lock.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    time::Duration,
};

use hearth_store::home::OpenError;

use crate::client::terminal;

/// Time for which a starting process waits for the folder. A process that was killed has it locked until the system has freed its
/// memory.
const FREE_FOLDER_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which the folder is opened again meanwhile.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

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

/// Opens a data folder. If another process has it open, waits for the end of that process.
///
/// # Errors
/// The errors of `open`, and after the timeout that the folder is in use.
pub(crate) async fn when_free<T>(open: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let folder = match open() {
        Err(OpenError::InUse(folder)) => folder,
        opened => return opened,
    };
    terminal::note(&format!(
        "the data folder {} is in use; waiting {} s for the end of the other hearth",
        folder.display(),
        FREE_FOLDER_TIMEOUT.as_secs()
    ));
    let until_free = async {
        loop {
            tokio::time::sleep(RETRY_INTERVAL).await;
            match open() {
                Err(OpenError::InUse(_)) => {}
                opened => return opened,
            }
        }
    };
    tokio::time::timeout(FREE_FOLDER_TIMEOUT, until_free).await.unwrap_or(Err(OpenError::InUse(folder)))
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

    #[tokio::test(start_paused = true)]
    async fn folder_of_an_ending_process_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lock = DataLock::take(folder.path()).unwrap();
        let end = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(lock);
        };
        let (opened, ()) = tokio::join!(when_free(|| DataLock::take(folder.path())), end);
        let _lock = opened.unwrap();
        let in_use = when_free(|| DataLock::take(folder.path())).await;
        assert!(matches!(in_use, Err(OpenError::InUse(_))));
    }
}
