//! The id of this machine's node, which is created at the first start.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use hearth_domain::NodeId;
use hearth_files::{Access, write_atomically};

/// Reads the id from the data folder, or creates it.
pub(crate) fn node_id(data: &Path) -> Result<NodeId> {
    let path = data.join("node-id");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().with_context(|| format!("{} can't be read", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = NodeId::new();
            write_atomically(&path, format!("{id}\n").as_bytes(), Access::Umask)
                .with_context(|| format!("{} can't be written", path.display()))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}
