//! Two calls into ggml that llama-cpp-2 doesn't wrap: the score of a library, and loading one library.
//!
//! llama-cpp-2 only loads the best library of a folder, but that one may be broken.

#![expect(unsafe_code, reason = "loading a library runs its code; both calls are in this module alone")]

use std::{
    ffi::{CString, c_int},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Returns the score of the library at `path` on this processor: higher is better, 0 is "not supported". `None` for a
/// library without a score, such as a GPU's.
///
/// A broken library may end the process: call this in a child process.
pub(super) fn score(path: &Path) -> Result<Option<i32>, String> {
    // SAFETY: the file is one of the build's own libraries. Its initialisers are those that `load` runs too.
    let library =
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())?;
    // SAFETY: `ggml_backend_score_t` in ggml-backend-impl.h has this signature.
    let score = unsafe { library.get::<unsafe extern "C" fn() -> c_int>(b"ggml_backend_score\0") };
    // SAFETY: as above; it reads CPUID and nothing else.
    let score = score.ok().map(|score| unsafe { score() });
    // Never unloaded: ggml's libraries have threads and callbacks that exist until the process ends.
    std::mem::forget(library);
    Ok(score)
}

/// Loads exactly these libraries, in this order, and registers their devices with ggml, for the rest of the process.
pub(crate) fn load_all(libraries: &[PathBuf]) -> Result<(), String> {
    libraries.iter().try_for_each(|library| load(library))
}

fn load(path: &Path) -> Result<(), String> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| format!("{} has a zero byte in its name", path.display()))?;
    // SAFETY: the string lives until the call returns, and ggml copies what it needs.
    let registered = unsafe { llama_cpp_sys_2::ggml_backend_load(name.as_ptr()) };
    if registered.is_null() {
        return Err(format!("{} cannot be loaded", path.display()));
    }
    Ok(())
}
