//! Who owns the data folder, and which node this box is: made at first start, and kept.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use hearth_domain::{NodeId, UserId};
use serde::{Deserialize, Serialize};

/// The ids of a data folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The box' owner.
    pub(crate) user: UserId,
    /// The box.
    pub(crate) node: NodeId,
}

impl Identity {
    /// Reads them, or makes them.
    pub(crate) fn load_or_create(data: &Path) -> Result<Self> {
        let path = data.join("identity.json");
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} can't be read", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let identity = Self { user: UserId::new(), node: NodeId::new() };
                let next = path.with_extension("new");
                fs::write(&next, serde_json::to_vec_pretty(&identity)?)
                    .and_then(|()| fs::rename(&next, &path))
                    .with_context(|| format!("{} can't be written", path.display()))?;
                Ok(identity)
            }
            Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
        }
    }
}
