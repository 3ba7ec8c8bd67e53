//! Temporary files on systems without a folder for them, such as a container with a read-only root.

use std::path::Path;

/// Puts temporary files into `data` if the system's folder for them is missing or read-only.
pub(crate) fn fall_back_to(data: &Path) {
    if let Err(error) = tempfile::tempdir() {
        tracing::warn!(%error, data = %data.display(), "temporary files go into the data folder");
        // The override can be set once; a second node in this process would set the same.
        let _ = tempfile::env::override_temp_dir(data);
    }
}
