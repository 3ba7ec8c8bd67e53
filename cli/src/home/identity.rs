//! Which node this box is: its id is made at first start, and kept.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use hearth_domain::NodeId;

/// Reads the id from the data folder, or makes it.
pub(crate) fn node_id(data: &Path) -> Result<NodeId> {
    let path = data.join("node-id");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().with_context(|| format!("{} can't be read", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (id, next) = (NodeId::new(), path.with_extension("new"));
            fs::write(&next, format!("{id}\n"))
                .and_then(|()| fs::rename(&next, &path))
                .inspect_err(|_| drop(fs::remove_file(&next)))
                .with_context(|| format!("{} can't be written", path.display()))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}
