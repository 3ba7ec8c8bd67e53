//! Puts llama.cpp's shared libraries and backends beside the binary, under the names that the loader
//! looks for, so that the folder runs wherever it is copied.

#![expect(clippy::disallowed_methods, reason = "the environment is how cargo speaks to a build script")]

use std::{
    error::Error,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    // Told by llama.cpp's own build when it builds backends apart.
    println!("cargo:rerun-if-env-changed=DEP_LLAMA_BACKENDS_DIR");
    let Some(backends) = std::env::var_os("DEP_LLAMA_BACKENDS_DIR").map(PathBuf::from) else { return Ok(()) };
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo gives OUT_DIR")?);
    // <target>/<profile>/build/<package>/out
    let beside = out.ancestors().nth(3).ok_or("OUT_DIR isn't where cargo puts it")?;
    remove_dead_links(beside)?;
    let mut copied = copy_libraries(&backends, beside)?;
    for folder in ["lib", "lib64", "bin"] {
        copied.extend(copy_libraries(&backends.with_file_name(folder), beside)?);
    }
    remove_others(beside, &copied)
}

/// llama.cpp's own build links its libraries into cargo's folders too, some to names that aren't there.
/// It stumbles over those when it runs again.
fn remove_dead_links(profile: &Path) -> Result<(), Box<dyn Error>> {
    for folder in [profile.to_owned(), profile.join("deps"), profile.join("examples")] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            let library = path.extension() == Some(OsStr::new("so"));
            if library && path.is_symlink() && !path.exists() {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// Copies what the links in `from` stand for: a library is linked under several names. Gives those that
/// it took.
fn copy_libraries(from: &Path, to: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut copied = Vec::new();
    let Ok(entries) = fs::read_dir(from) else { return Ok(copied) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if !is_loaded_by_this_name(name) {
            continue;
        }
        // A new file in place of the old one: a running program may have the old one mapped.
        let (target, fresh) = (to.join(name), to.join(format!("{name}.new")));
        fs::copy(&path, &fresh)?;
        // As old as what it was copied from, so that this script runs again when the copy is gone, which a
        // build with other features may have removed, and not because it was made just now.
        File::options().write(true).open(&fresh)?.set_modified(fs::metadata(&path)?.modified()?)?;
        println!("cargo:rerun-if-changed={}", target.display());
        fs::rename(fresh, target)?;
        copied.push(name.to_owned());
    }
    Ok(copied)
}

/// Removes the backends of an earlier build, with other features or of another llama.cpp: whatever lies
/// beside the binary is loaded.
fn remove_others(beside: &Path, copied: &[String]) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(beside)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if is_backend(name) && !copied.iter().any(|ours| ours == name) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Returns whether programs load a library by this name: its soname (`libllama.so.0`), a backend's name
/// (`libggml-cpu-haswell.so`), or that of another system.
fn is_loaded_by_this_name(name: &str) -> bool {
    let soname = name.split_once(".so.").is_some_and(|(_, version)| !version.contains('.'));
    is_backend(name) || soname || name.ends_with(".dylib") || name.ends_with(".dll")
}

fn is_backend(name: &str) -> bool {
    name.starts_with("libggml-") && name.ends_with(".so") && name != "libggml-base.so"
}
