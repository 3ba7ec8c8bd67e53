//! The access of client commands on this machine: an address and an API token, in a file of the data folder that its
//! owner alone can read. A new terminal, or a user without the first token, needs no other.

#[cfg(feature = "engine")]
mod grant;

use std::{
    fs,
    path::{Path, PathBuf},
};

use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

const FILE: &str = "commands.json";

/// The gateway that serves a data folder, and a token for it.
#[derive(Deserialize, Serialize)]
pub(crate) struct CommandsAccess {
    /// The gateway's address.
    pub(crate) url: String,
    /// The token's text.
    token: String,
    /// The token's id, to revoke it.
    token_id: String,
}

impl CommandsAccess {
    /// Reads the access that the gateway of a data folder has granted. `None`: none runs, or it belongs to another user.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(data)).ok()?).ok()
    }

    /// The token.
    pub(crate) fn token(&self) -> Secret {
        Secret::new(&self.token)
    }
}

fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}
