//! The stores of a home gateway: a data folder with a SQLite database, a folder of objects, and secrets under a
//! master key.

mod error;
mod lock;
mod migration;
mod rotation;
mod secrets;

use std::{fs, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc};

use crate::{
    Names, Store,
    bucket::files::{self, Files},
    database::sqlite::{self, Durability, Sqlite},
};
pub use error::OpenError;
use lock::DataLock;
pub use rotation::{MasterKeyRotation, RotationError, reset_secrets, rotate_master_key};
pub use secrets::{MasterKeyState, check_master_key};

/// Returns whether `folder` has the database of a gateway, of this version or an earlier one.
#[must_use]
pub fn is_data_folder(folder: &Path) -> bool {
    [sqlite::FILE, migration::OLD].iter().any(|name| folder.join(name).is_file())
}

/// Opens the stores in `folder`, and creates the folder if it doesn't exist. No other process can open them until the
/// last clone of the store is dropped.
///
/// # Errors
/// If another process has them open, or they can't be read and written.
pub fn open(folder: &Path, durability: Durability) -> Result<Store, OpenError> {
    let failed = |reason| OpenError::Folder { path: folder.to_owned(), reason };
    // For the owner alone: it has outputs, hashes of tokens, and keys.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock = DataLock::take(folder)?;
    let (master_key, secrets) = secrets::open(folder)?;
    let in_database = |path: &Path, reason| OpenError::Database { path: path.to_owned(), reason };
    let path = folder.join(files::FOLDER);
    let objects = Files::open(&path).map_err(|error| in_database(&path, error))?;
    migration::run(folder)?;
    let path = folder.join(sqlite::FILE);
    let database = Sqlite::open(&path, durability).map_err(|error| in_database(&path, error))?;
    objects.start_sweep();
    let store = Store::over(Arc::new(database), Arc::new(objects), Arc::new(secrets), Names::at_home());
    Ok(store.with_key_wrapper(Arc::new(master_key)).with_guard(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_with(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), Durability::Os).unwrap());
        fs::write(folder.path().join(name), bytes).unwrap();
        open(folder.path(), Durability::Os).unwrap_err().to_string()
    }

    #[test]
    fn damaged_file_is_named_with_what_to_do() {
        for name in ["secrets.json", "secrets.sealed.json"] {
            for bytes in [&b""[..], b"{\"a\": \"b", b"[1]", b"{\"a\": 1}", b"\xff"] {
                let error = error_with(name, bytes);
                assert!(error.contains(&format!("{name} can't be read: it is damaged")), "{error}");
                assert!(error.contains("put a copy of the file back"), "{error}");
            }
        }
        let error = error_with("store.db", &b"garbage!".repeat(1000));
        assert!(error.contains("store.db can't be opened") && error.contains("damaged"), "{error}");
        assert!(error.contains("put a copy of store.db back"), "{error}");
    }

    #[test]
    fn folder_has_one_owner_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Durability::Os).unwrap();
        assert!(matches!(open(folder.path(), Durability::Os), Err(OpenError::InUse(_))));
        for name in ["store.db", "store.db-wal"] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        drop(store);
        open(folder.path(), Durability::Os).unwrap();
    }
}
