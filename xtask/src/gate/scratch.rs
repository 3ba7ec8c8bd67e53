//! Temporary folders of the gate's steps.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A folder that is removed when this value is dropped.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("hearth-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that remains in the temporary folder is the system's to clear.
        let _ = fs::remove_dir_all(&self.0);
    }
}
