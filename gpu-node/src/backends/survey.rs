//! What there is to choose from: this build's libraries, on this machine.

use std::io;

use super::{
    cache::CacheKey,
    libraries::{self, BackendLibrary},
    machine::Machine,
    select::Selector,
};

/// What there is to choose from.
pub(super) struct Survey {
    pub(super) libraries: Vec<BackendLibrary>,
    pub(super) machine: Machine,
    /// What results for it are kept under.
    pub(super) key: CacheKey,
}

impl Survey {
    pub(super) fn of(selector: &Selector) -> Result<Self, String> {
        let mut libraries = Vec::new();
        let mut identity = Vec::new();
        if cfg!(feature = "dynamic-backends") {
            const MISSING: &str = "llama.cpp's backends (libggml-cpu-*.so) are not beside the binary";
            let folder = selector.folder.as_deref().ok_or(MISSING)?;
            let failed = |error: io::Error| format!("{} cannot be read: {error}", folder.display());
            libraries = libraries::find(folder).map_err(failed)?;
            identity = libraries::identity(folder, &libraries).map_err(failed)?;
            if !libraries.iter().any(|library| library.is_cpu) {
                return Err(MISSING.to_owned());
            }
        }
        let with_gpus = libraries.is_empty() || libraries.iter().any(|library| !library.is_cpu);
        let machine = Machine::this(with_gpus);
        let key = CacheKey::of(machine.facts.iter().chain(&identity));
        Ok(Self { libraries, machine, key })
    }
}
