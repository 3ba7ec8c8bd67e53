//! The libraries of this build, and the machine: the input of the selection.

use std::io;

use hearth_files::open_files;

use super::{
    Selector,
    cache::CacheKey,
    drivers,
    libraries::{self, BackendLibrary},
    machine::Machine,
};

/// The libraries of the build, and the machine.
pub(super) struct Inventory {
    pub(super) libraries: Vec<BackendLibrary>,
    pub(super) machine: Machine,
    /// The key of stored results.
    pub(super) key: CacheKey,
}

impl Inventory {
    /// Reads the libraries in the selector's folder. A build without libraries has its backends in the executable.
    pub(super) fn read(selector: &Selector) -> Result<Self, String> {
        let mut libraries = Vec::new();
        let mut identity = Vec::new();
        if cfg!(feature = "dynamic-backends") {
            const MISSING: &str = "llama.cpp's backends (libggml-cpu-*.so) are not beside the binary";
            let folder = selector.folder.as_deref().ok_or(MISSING)?;
            let failed = |error: io::Error| {
                format!("{} cannot be read: {}", folder.display(), open_files::describe(&error))
            };
            libraries = libraries::find(folder).map_err(failed)?;
            identity = libraries::identity(folder, &libraries).map_err(failed)?;
            if !libraries.iter().any(|library| library.is_cpu) {
                return Err(MISSING.to_owned());
            }
        } else {
            let executable = &selector.executable;
            let failed = |error: io::Error| {
                format!("{} cannot be read: {}", executable.display(), open_files::describe(&error))
            };
            identity.push(libraries::file_identity(executable).map_err(failed)?);
        }
        let with_gpus = libraries.is_empty() || libraries.iter().any(|library| !library.is_cpu);
        let machine = Machine::current(with_gpus);
        if with_gpus {
            identity.extend(drivers::variables(&selector.environment));
        }
        let key = CacheKey::of(machine.properties.iter().chain(&identity));
        Ok(Self { libraries, machine, key })
    }
}
