//! Check that bindgen finds libclang, and libclang its own headers.
//!
//! bindgen loads the library at run time. Debian's package of the library comes without the headers of the
//! compiler (`stddef.h`, `stdarg.h`), and then every C header fails to parse: both must be there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{environment, shell};

/// Folders of macOS and Homebrew with libclang.
const ON_A_MAC: [&str; 4] = [
    "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
    "/usr/local/opt/llvm/lib",
    "/opt/homebrew/opt/llvm/lib",
];

pub(super) fn is_there() -> bool {
    let clang = environment::program("clang").is_some();
    let has_arguments = environment::var("BINDGEN_EXTRA_CLANG_ARGS").is_some();
    libraries().iter().any(|library| clang || has_arguments || has_headers(library))
}

/// Every libclang in the places where bindgen looks (clang-sys 1.9, `build/common.rs`).
fn libraries() -> Vec<PathBuf> {
    // When it is set, bindgen looks nowhere else.
    if let Some(path) = environment::var("LIBCLANG_PATH").map(PathBuf::from) {
        return if path.is_file() { vec![path] } else { libraries_in(&path) };
    }
    let mut folders = environment::folders("LD_LIBRARY_PATH");
    folders.extend(environment::folders("LIBRARY_PATH"));
    let libdir = shell::answer(Command::new("llvm-config").arg("--libdir"));
    folders.extend(libdir.map(|folder| PathBuf::from(folder.trim())));
    folders.extend(ON_A_MAC.map(PathBuf::from));
    for parent in ["/usr/local", "/usr"] {
        for lib in folders_in(Path::new(parent))
            .into_iter()
            .filter(|folder| named(folder, |name| name.starts_with("lib")))
        {
            for inner in folders_in(&lib) {
                folders.extend(folders_in(&inner));
                folders.push(inner);
            }
            folders.push(lib);
        }
    }
    folders.iter().flat_map(|folder| libraries_in(folder)).collect()
}

/// Clang looks for its headers beside the library: `<lib>/clang/<version>/include`, with links resolved.
fn has_headers(library: &Path) -> bool {
    let real = fs::canonicalize(library).unwrap_or_else(|_| library.to_path_buf());
    [library, &real].into_iter().filter_map(Path::parent).any(|lib| {
        [lib.join("clang"), lib.join("../lib/clang")]
            .iter()
            .flat_map(|folder| folders_in(folder))
            .any(|version| version.join("include/stddef.h").is_file())
    })
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| named(path, is_libclang)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn named(path: &Path, is: fn(&str) -> bool) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(is)
}

/// `libclang.so`, `libclang.so.1`, `libclang-14.so.1`, `libclang.dylib`; not `libclang-cpp`, another library.
fn is_libclang(name: &str) -> bool {
    let shared = name.ends_with(".so") || name.contains(".so.") || name.ends_with(".dylib");
    shared
        && !name.starts_with("libclang-cpp")
        && (name.starts_with("libclang.") || name.starts_with("libclang-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_distinguished_from_similar_libraries() {
        for name in ["libclang.so", "libclang.so.1", "libclang-14.so", "libclang-14.so.1", "libclang.dylib"] {
            assert!(is_libclang(name), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclang.a", "libclangAST.so", "libclang_rt.asan.so"] {
            assert!(!is_libclang(name), "{name}");
        }
    }
}
