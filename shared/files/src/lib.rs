//! Writes small files whole or not at all, and explains the limit of open files.

#![warn(missing_docs)]

pub mod open_files;

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// The ending of a file that isn't written to its end. The watcher of the model folder ignores files with this ending.
const PART_SUFFIX: &str = ".part";

/// The users that may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The owner alone: mode 0600.
    Owner,
    /// The users that the process' umask allows: mode 0666 less the umask.
    Umask,
}

/// Writes `bytes` to the file at `path`, in place of the file that is there.
///
/// The bytes go to a temporary file in the same folder, which is synced (fsync) and then renamed to `path`; then the
/// folder is synced. So a crash or a power cut leaves the old file or the new one, never a part of it, and when this
/// returns the new one survives a power cut. If several threads or processes write one path, each file is whole and the
/// last rename wins. It waits for the disk: call it off the async threads.
///
/// # Errors
/// If the folder can't be written. The file at `path` is then as it was, and no temporary file is left.
pub fn write_atomically(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let folder = folder_of(path);
    let mode = match access {
        Access::Owner => 0o600,
        Access::Umask => 0o666,
    };
    let mut file = tempfile::Builder::new()
        .prefix(&part_prefix(path))
        .suffix(PART_SUFFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Removes the temporary files that [`write_atomically`] left beside `path` when its process was killed.
///
/// # Errors
/// If the folder can't be read or written.
pub fn remove_unfinished(path: &Path) -> io::Result<()> {
    let prefix = part_prefix(path);
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_part = name.strip_prefix(&prefix).is_some_and(|rest| rest.ends_with(PART_SUFFIX));
        if is_part {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// The beginning of the names of the temporary files for `path`.
fn part_prefix(path: &Path) -> String {
    format!("{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn file_is_replaced_and_no_temporary_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        for text in ["first", "second"] {
            write_atomically(&path, text.as_bytes(), Access::Owner).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["secrets.json"]);
    }

    #[test]
    fn failed_write_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        // A file can't be renamed over a folder that isn't empty.
        let path = folder.path().join("secrets.json");
        fs::create_dir_all(path.join("a folder")).unwrap();
        write_atomically(&path, b"new", Access::Umask).unwrap_err();
        assert_eq!(names(folder.path()), ["secrets.json"]);
        assert!(path.join("a folder").is_dir());
    }

    #[test]
    fn unfinished_files_of_one_path_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let all = ["other.json.a1.part", "secrets.json", "secrets.json.a1.part", "secrets.json.part"];
        for name in all {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_unfinished(&folder.path().join("secrets.json")).unwrap();
        assert_eq!(names(folder.path()), ["other.json.a1.part", "secrets.json", "secrets.json.part"]);
    }
}
