//! A folder for temporary files on systems without one, such as a container with a read-only root.

use std::path::Path;

/// Uses `data` for temporary files where the system's folder for them is missing or can't be written to.
pub(crate) fn fall_back_to(data: &Path) {
    if let Err(error) = tempfile::tempdir() {
        tracing::warn!(%error, data = %data.display(), "temporary files go into the data folder");
        // It is set once; a second node in this process would set the same.
        let _ = tempfile::env::override_temp_dir(data);
    }
}
