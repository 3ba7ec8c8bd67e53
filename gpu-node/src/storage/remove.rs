//! Removes files, from the model folder only.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::survey::is_inside;
use crate::model_files::ModelFile;

/// A file that can't be removed.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be removed: {reason}", path.display())]
pub struct RemoveError {
    /// The id of the file's item, as in [`super::policy::Item`].
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub reason: String,
}

/// The result of removing one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The freed bytes.
    pub freed_bytes: u64,
    /// True if a link was removed, whose target remains.
    pub link: bool,
}

/// Removes every file of one model from below `folder`, or the links in place of them.
///
/// # Errors
/// One of its files lies elsewhere or can't be removed. Nothing is removed if one lies elsewhere.
pub fn remove_model(folder: &Path, model: &ModelFile) -> Result<Removed, RemoveError> {
    let failure =
        |path: &Path, reason: String| RemoveError { id: model.id.clone(), path: path.to_owned(), reason };
    let real = folder.canonicalize().map_err(|error| failure(folder, error.to_string()))?;
    let mut removed = Removed { freed_bytes: 0, link: false };
    for path in &model.parts {
        let metadata = fs::symlink_metadata(path).map_err(|error| failure(path, error.to_string()))?;
        let within = if metadata.is_symlink() {
            removed.link = true;
            path.parent().is_some_and(|parent| parent == folder || is_inside(parent, folder, &real))
        } else {
            removed.freed_bytes = removed.freed_bytes.saturating_add(metadata.len());
            metadata.is_file() && is_inside(path, folder, &real)
        };
        if !within {
            return Err(failure(
                path,
                "its file lies outside of the model folder; remove it there".to_owned(),
            ));
        }
    }
    for path in &model.parts {
        fs::remove_file(path).map_err(|error| failure(path, error.to_string()))?;
        remove_empty_parents(path, folder);
    }
    Ok(removed)
}

/// Removes the `files` of `id` from below `folder`, and folders that become empty. A file that can't be removed doesn't
/// stop the others. A missing file is no error.
pub(super) fn remove(folder: &Path, id: &str, files: &[PathBuf]) -> Vec<RemoveError> {
    let failure =
        |path: &Path, reason: String| RemoveError { id: id.to_owned(), path: path.to_owned(), reason };
    let real = match folder.canonicalize() {
        Ok(real) => real,
        Err(error) => return vec![failure(folder, error.to_string())],
    };
    let mut failures = Vec::new();
    for path in files {
        if let Err(reason) = remove_one(path, folder, &real) {
            failures.push(failure(path, reason));
        } else {
            remove_empty_parents(path, folder);
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
        return Err("it isn't a regular file".to_owned());
    }
    if !is_inside(path, folder, real) {
        return Err("it lies outside of the model folder".to_owned());
    }
    fs::remove_file(path).map_err(|error| error.to_string())
}

/// Removes the projectors of a folder that has nothing else.
fn remove_projectors(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let entries: Vec<_> = entries.filter_map(Result::ok).collect();
    let is_projector = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
        name.starts_with("mmproj")
            && name.ends_with(".gguf")
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    if entries.iter().all(is_projector) {
        for entry in entries {
            if let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "a file of a removed model can't be removed");
            }
        }
    }
}

/// Removes the empty folders above `path`: a download creates `owner/repository` for its model. The files with which the models of
/// a repository see images go with the last of these models.
fn remove_empty_parents(path: &Path, folder: &Path) {
    if let Some(parent) = path.parent().filter(|parent| *parent != folder && parent.starts_with(folder)) {
        remove_projectors(parent);
    }
    let above = path.ancestors().skip(1).take_while(|above| *above != folder && above.starts_with(folder));
    for above in above {
        // It fails for a folder that isn't empty.
        if fs::remove_dir(above).is_err() {
            return;
        }
    }
}
