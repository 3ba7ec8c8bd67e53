//! Migrates a data folder of an earlier version, whose table was an emulation of DynamoDB over SQLite.
//!
//! The old file is read and not changed. The new one is written under a temporary name, and renamed when it is complete;
//! then the old one is renamed. If the process is killed, the next start finds either no new database, and starts again,
//! or a complete one, and does the remaining steps.

mod legacy;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::error::OpenError;
use crate::{
    DiskProblem, StoreError,
    bucket::files,
    database::sqlite::{self, failed, insert_all},
};
use legacy::Legacy;

/// The old database file.
pub(super) const OLD: &str = "hearth.db";
/// Its name after the migration.
const RETIRED: &str = "hearth.db.old";
/// Temporary name of the new database.
const PART: &str = "store.db.new";

/// Migrates the database of an earlier version in `folder`, if there is one.
pub(super) fn run(folder: &Path) -> Result<(), OpenError> {
    let old = folder.join(OLD);
    if !old.is_file() {
        return Ok(());
    }
    let in_old = |error: StoreError| OpenError::Earlier { path: old.clone(), reason: without_advice(error) };
    let new = folder.join(sqlite::FILE);
    if folder.join(RETIRED).exists() {
        let (old, retired) = (old.display(), RETIRED);
        tracing::warn!(
            "{old} isn't migrated, since {retired} was migrated before; delete the one that isn't needed"
        );
        return Ok(());
    }
    if !new.exists() {
        tracing::info!("the database of an earlier version is migrated");
        copy(folder, &old).map_err(in_old)?;
        tracing::info!("the database of an earlier version was migrated; it remains as {RETIRED}");
    }
    retire(folder, &old).map_err(in_old)
}

/// The reason for an error, without the advice for a damaged database, which is about the new file.
fn without_advice(error: StoreError) -> String {
    match error {
        StoreError::Disk { reason, problem: DiskProblem::Damaged, .. } => reason,
        other => other.to_string(),
    }
}

/// Writes the new database, and renames it when it is complete.
fn copy(folder: &Path, old: &Path) -> Result<(), StoreError> {
    let objects = folder.join(files::FOLDER);
    let legacy = Legacy::open(old)?;
    for object in legacy.objects()? {
        let (from, to) = (objects.join(&object.file), objects.join(files::name(&object.key)));
        match link(&from, &to) {
            // Reading the item that refers to it will fail with that reason.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(object.key, "an object's file isn't there");
            }
            other => other.map_err(|error| StoreError::from_io("migrate", &error))?,
        }
    }
    let part = folder.join(PART);
    remove_database(&part).map_err(|error| StoreError::from_io("migrate", &error))?;
    // No syncs while it is written: it is synced when it is complete, before it is renamed.
    let mut connection = sqlite::create(&part, "OFF")?;
    legacy.items(|items| insert_all(&mut connection, items))?;
    close(connection)?;
    let named = File::open(&part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&part, folder.join(sqlite::FILE)))
        .and_then(|()| File::open(folder)?.sync_all());
    named.map_err(|error| StoreError::from_io("migrate", &error))
}

/// Renames the old database, and removes the old names of objects, so that deleting an object deletes its file.
fn retire(folder: &Path, old: &Path) -> Result<(), StoreError> {
    let objects = folder.join(files::FOLDER);
    for object in Legacy::open(old)?.objects()? {
        removed(&objects.join(object.file)).map_err(|error| StoreError::from_io("migrate", &error))?;
    }
    // Moves its log into it.
    close(Connection::open(old).map_err(|error| failed("migrate", error))?)?;
    let renamed = fs::rename(old, folder.join(RETIRED)).and_then(|()| remove_database(old));
    renamed.map_err(|error| StoreError::from_io("migrate", &error))
}

/// Moves the log into the database, and closes it.
fn close(connection: Connection) -> Result<(), StoreError> {
    sqlite::close(connection).map_err(|error| failed("migrate", error))
}

/// Creates a hard link to a file, or a copy if the file system has no links.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => fs::copy(from, to).map(drop),
        Ok(()) => Ok(()),
    }
}

/// Removes a database with its log.
fn remove_database(path: &Path) -> io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        removed(&PathBuf::from(name))?;
    }
    Ok(())
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
