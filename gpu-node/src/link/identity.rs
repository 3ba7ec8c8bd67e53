//! The identity of an enrolled node: its gateway, its id and its private key, in a file that only its owner can read.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_auth::NodeKey;
use hearth_domain::{NodeId, Secret};
use hearth_files::{Access, write_atomically};
use reqwest::Url;
use serde::Deserialize;

/// The file in the data folder.
const FILE: &str = "node-identity.json";

/// An enrolled node's identity.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    /// The gateway's address, which may have a path: `https://gateway.example.com` or `https://example.com/hearth`.
    pub gateway: Url,
    /// The node's id, from the gateway.
    pub node: NodeId,
    /// Public key, in base64, by which the gateway signs its requests to the node.
    pub gateway_key: String,
    /// The node's private key.
    pub key: NodeKey,
}

/// The reason why an identity can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file can't be read or written.
    #[error("{} can't be read or written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file has another content.
    #[error("{} isn't an identity of a node ({reason}): delete it, and enrol the node again", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// The content of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    gateway: String,
    node: NodeId,
    gateway_key: String,
    /// The seed of the private key, in base64.
    key: Secret,
}

impl NodeIdentity {
    /// The file of the identity in the data folder `data`.
    #[must_use]
    pub fn path(data: &Path) -> PathBuf {
        data.join(FILE)
    }

    /// Reads the identity from the data folder; none if the node isn't enrolled.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn load(data: &Path) -> Result<Option<Self>, IdentityError> {
        let path = Self::path(data);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::File { path, source }),
        };
        parse(&text).map(Some).map_err(|reason| IdentityError::Content { path, reason })
    }

    /// Writes the identity to the data folder, in place of an earlier one. Only the file's owner can read it.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn store(&self, data: &Path) -> Result<(), IdentityError> {
        let path = Self::path(data);
        let content = serde_json::json!({
            "gateway": self.gateway.as_str(),
            "node": self.node,
            "gateway_key": self.gateway_key,
            "key": BASE64_STANDARD.encode(self.key.expose_seed()),
        });
        let written = fs::create_dir_all(data)
            .and_then(|()| write_atomically(&path, format!("{content:#}\n").as_bytes(), Access::Owner));
        written.map_err(|source| IdentityError::File { path, source })
    }

    /// Removes the identity from the data folder. Returns false if there is none.
    ///
    /// # Errors
    /// If the file can't be removed.
    pub fn remove(data: &Path) -> Result<bool, IdentityError> {
        let path = Self::path(data);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(IdentityError::File { path, source }),
        }
    }
}

/// Parses the file's content. The reason of a failure has no text of the file, which has the key.
fn parse(text: &[u8]) -> Result<NodeIdentity, String> {
    let stored: Stored = serde_json::from_slice(text)
        .map_err(|error| format!("line {}, column {}", error.line(), error.column()))?;
    let gateway = stored.gateway.parse().map_err(|_| "its gateway isn't an address".to_owned())?;
    let seed = BASE64_STANDARD.decode(stored.key.expose()).ok().and_then(|seed| seed.try_into().ok());
    let seed: [u8; 32] = seed.ok_or("its key isn't 32 bytes in base64")?;
    let key = NodeKey::from_seed(&seed);
    Ok(NodeIdentity { gateway, node: stored.node, gateway_key: stored.gateway_key, key })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn identity() -> NodeIdentity {
        NodeIdentity {
            gateway: "https://example.com/hearth".parse().unwrap(),
            node: NodeId::new(),
            gateway_key: "key".to_owned(),
            key: NodeKey::from_seed(&[7; 32]),
        }
    }

    #[test]
    fn stored_identity_is_loaded_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        assert!(NodeIdentity::load(&data).unwrap().is_none());
        let stored = identity();
        stored.store(&data).unwrap();
        let loaded = NodeIdentity::load(&data).unwrap().unwrap();
        assert_eq!((&loaded.gateway, loaded.node), (&stored.gateway, stored.node));
        assert_eq!(loaded.key.public_key(), stored.key.public_key());
        let mode = fs::metadata(NodeIdentity::path(&data)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(NodeIdentity::remove(&data).unwrap());
        assert!(!NodeIdentity::remove(&data).unwrap());
    }

    #[test]
    fn broken_file_is_an_error_without_the_key() {
        let folder = tempfile::tempdir().unwrap();
        identity().store(folder.path()).unwrap();
        let path = NodeIdentity::path(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"node\"", "\"nodes\"")).unwrap();
        let error = NodeIdentity::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("enrol the node again"), "{error}");
        fs::write(&path, text.replace("Bw", "B")).unwrap();
        let error = NodeIdentity::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("base64") && !error.contains("cHB"), "{error}");
    }
}
