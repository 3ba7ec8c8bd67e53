//! Finds the backend libraries of this build.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A backend's library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BackendLibrary {
    pub(super) path: PathBuf,
    /// The file's name.
    pub(super) name: String,
    /// True for a variant of the CPU backend, of which exactly one is used.
    pub(super) is_cpu: bool,
}

/// Libraries that every backend depends on. If one of them changes, so has the build.
const SHARED: [&str; 2] = ["libggml-base", "libllama"];

/// Returns the folder of the backends: that of `executable`, or the build folder of cargo. Without backends, one that can't be
/// read, whose error is the reason.
pub(super) fn folder(executable: &Path) -> Option<PathBuf> {
    let real = executable.canonicalize().unwrap_or_else(|_| executable.to_owned());
    let beside = real.parent().map(Path::to_owned);
    let built = llama_cpp_sys_2::BACKENDS_DIR.map(PathBuf::from);
    let mut unreadable = None;
    for folder in beside.into_iter().chain(built) {
        match find(&folder) {
            Ok(libraries) if libraries.iter().any(|library| library.is_cpu) => return Some(folder),
            Err(error) if error.kind() != io::ErrorKind::NotFound => drop(unreadable.get_or_insert(folder)),
            _ => {}
        }
    }
    unreadable
}

/// Returns the backends in `folder`, sorted by name.
pub(super) fn find(folder: &Path) -> io::Result<Vec<BackendLibrary>> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(kind) = name.strip_prefix("libggml-").and_then(|rest| rest.strip_suffix(".so")) else {
            continue;
        };
        if kind == "base" || !path.is_file() {
            continue;
        }
        let is_cpu = kind == "cpu" || kind.starts_with("cpu-");
        libraries.push(BackendLibrary { name: name.to_owned(), is_cpu, path });
    }
    libraries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(libraries)
}

/// The identity of a build of the libraries: name, size and time of each file.
pub(super) fn identity(folder: &Path, libraries: &[BackendLibrary]) -> io::Result<Vec<String>> {
    let mut paths: Vec<PathBuf> = libraries.iter().map(|library| library.path.clone()).collect();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if SHARED.iter().any(|shared| name.starts_with(shared)) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| file_identity(path)).collect()
}

/// The identity of a file: its path, size and time.
pub(super) fn file_identity(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {} {}", path.display(), metadata.len(), modified.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "libggml-cpu-haswell.so",
            "libggml-cpu.so",
            "libggml-cuda.so",
            "libggml-base.so",
            "libggml-base.so.0",
            "libllama.so.0",
            "libggml-cpu-x64.so.new",
            "hearth",
        ] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let found = find(folder.path()).unwrap();
        let names: Vec<(&str, bool)> =
            found.iter().map(|library| (library.name.as_str(), library.is_cpu)).collect();
        assert_eq!(
            names,
            [("libggml-cpu-haswell.so", true), ("libggml-cpu.so", true), ("libggml-cuda.so", false)]
        );
        let before = identity(folder.path(), &found).unwrap();
        assert_eq!(before.len(), 6, "{before:?}");
        fs::write(folder.path().join("libllama.so.0"), "another build").unwrap();
        assert_ne!(identity(folder.path(), &found).unwrap(), before);
    }

    #[test]
    fn backends_beside_the_binary_have_precedence() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libggml-cpu-x64.so"), "").unwrap();
        let executable = folder.path().join("hearth");
        fs::write(&executable, "").unwrap();
        assert_eq!(super::folder(&executable), Some(folder.path().canonicalize().unwrap()));
    }
}
