//! Removing files, and only from the model folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::survey::is_inside;

/// A file that can't be removed.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be removed: {why}", path.display())]
pub struct RemoveError {
    /// What the file belongs to, as in [`super::policy::Item`].
    pub id: String,
    /// Which file.
    pub path: PathBuf,
    /// Why not.
    pub why: String,
}

/// Removes the `files` of `id` from below `folder`, and folders that this leaves empty. One that can't be removed
/// doesn't keep the others. One that isn't there any more is no error.
pub(super) fn remove(folder: &Path, id: &str, files: &[PathBuf]) -> Vec<RemoveError> {
    let failure = |path: &Path, why: String| RemoveError { id: id.to_owned(), path: path.to_owned(), why };
    let real = match folder.canonicalize() {
        Ok(real) => real,
        Err(error) => return vec![failure(folder, error.to_string())],
    };
    let mut failures = Vec::new();
    for path in files {
        if let Err(why) = remove_one(path, folder, &real) {
            failures.push(failure(path, why));
        } else {
            remove_empty_above(path, folder);
        }
    }
    failures
}

fn remove_one(path: &Path, folder: &Path, real: &Path) -> Result<(), String> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if !is_inside(path, folder, real) {
        return Err("it lies outside of the model folder".to_owned());
    }
    fs::remove_file(path).map_err(|error| error.to_string())
}

/// A model's folder is made for it (`owner/repository`) and goes with it.
fn remove_empty_above(path: &Path, folder: &Path) {
    let above = path.ancestors().skip(1).take_while(|above| *above != folder && above.starts_with(folder));
    for above in above {
        // What isn't empty stays.
        if fs::remove_dir(above).is_err() {
            return;
        }
    }
}
