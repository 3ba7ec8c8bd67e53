//! The stores of a home gateway: a data folder with a SQLite database, a folder of objects and a key file.

mod error;
mod lock;
mod migration;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Names, Store,
    bucket::files::{self, Files},
    database::sqlite::{self, Durability, Sqlite},
    secrets::key_file::{self, KeyFile},
};
pub use error::OpenError;
use lock::DataLock;

/// Returns whether `folder` has the database of a gateway, of this version or an earlier one.
#[must_use]
pub fn is_data_folder(folder: &Path) -> bool {
    [sqlite::FILE, migration::OLD].iter().any(|name| folder.join(name).is_file())
}

/// Opens the stores in `folder`, and creates the folder if it doesn't exist. No other process can open them until the last
/// clone of the store is dropped.
///
/// # Errors
/// If another process has them open, or they can't be read and written.
pub fn open(folder: &Path, durability: Durability) -> Result<Store, OpenError> {
    let failed = |reason| OpenError::Folder { path: folder.to_owned(), reason };
    // For the owner alone: it has outputs, hashes of tokens, and keys.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let lock = DataLock::take(folder)?;
    let path = folder.join(key_file::FILE);
    let secrets = KeyFile::open(path.clone()).map_err(|error| unreadable_secrets(path, &error))?;
    let in_database = |path: &Path, reason| OpenError::Database { path: path.to_owned(), reason };
    let path = folder.join(files::FOLDER);
    let objects = Files::open(&path).map_err(|error| in_database(&path, error))?;
    migration::run(folder)?;
    let path = folder.join(sqlite::FILE);
    let database = Sqlite::open(&path, durability).map_err(|error| in_database(&path, error))?;
    objects.start_sweep();
    let store = Store::over(Arc::new(database), Arc::new(objects), Arc::new(secrets), Names::at_home());
    Ok(store.with_guard(lock))
}

fn unreadable_secrets(path: PathBuf, error: &io::Error) -> OpenError {
    let reason = match error.kind() {
        // serde_json's errors have these kinds: the file is cut, or isn't JSON.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => format!("it is damaged ({error})"),
        _ => error.to_string(),
    };
    OpenError::Secrets { path, reason }
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
        for bytes in [&b""[..], b"{\"a\": \"b", b"[1]", b"{\"a\": 1}", b"\xff"] {
            let error = error_with("secrets.json", bytes);
            assert!(error.contains("secrets.json can't be read: it is damaged"), "{error}");
            assert!(error.contains("put a copy of the file back"), "{error}");
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
