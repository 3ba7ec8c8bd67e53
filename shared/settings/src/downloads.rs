//! Settings of the downloads of models by a node.

use std::path::PathBuf;

use bytesize::ByteSize;
use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, check_ranges},
    shown,
};

/// The table `downloads` of the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownloadSettings {
    /// Downloads at once; others wait.
    pub parallel: usize,
    /// Connections of one download, each for a range of the file.
    pub connections: usize,
    /// Smallest range of a connection, in bytes or as `16MiB`: a smaller file is downloaded over fewer connections.
    #[serde(serialize_with = "shown::bytes")]
    pub range_bytes: ByteSize,
    /// Attempts in a row without a byte after which a download fails. The delay between them doubles, up to half a minute.
    pub attempts: u32,
    /// Registry of names of Ollama's library.
    pub registry: String,
    /// Download from addresses of private networks, and by HTTP without TLS, too.
    pub private_addresses: bool,
    /// Folders of the node whose files a job may copy into the model folder.
    pub local_folders: Vec<PathBuf>,
    /// Download the file with which a model of a repository sees images too.
    pub projectors: bool,
    /// Buckets of S3 from which a job may download with the node's credentials.
    pub s3_buckets: Vec<String>,
    /// Region of these buckets.
    pub s3_region: String,
    /// Address of another service with S3's API; absent for AWS.
    pub s3_endpoint: Option<String>,
    /// The node's access key at S3; absent for the one of the profile.
    #[serde(serialize_with = "shown::hidden")]
    pub s3_access_key_id: Option<Secret>,
    /// Its secret.
    #[serde(serialize_with = "shown::hidden")]
    pub s3_secret_access_key: Option<Secret>,
    /// The session token of temporary credentials.
    #[serde(serialize_with = "shown::hidden")]
    pub s3_session_token: Option<Secret>,
    /// File of the profiles of AWS' tools; absent for `~/.aws/credentials`.
    pub s3_credentials_file: Option<PathBuf>,
    /// Profile in that file.
    pub s3_profile: String,
}

impl Default for DownloadSettings {
    fn default() -> Self {
        Self {
            parallel: 2,
            connections: 4,
            range_bytes: ByteSize::mib(16),
            attempts: 10,
            registry: "https://registry.ollama.ai".to_owned(),
            private_addresses: false,
            local_folders: Vec::new(),
            projectors: true,
            s3_buckets: Vec::new(),
            s3_region: "us-east-1".to_owned(),
            s3_endpoint: None,
            s3_access_key_id: None,
            s3_secret_access_key: None,
            s3_session_token: None,
            s3_credentials_file: None,
            s3_profile: "default".to_owned(),
        }
    }
}

impl DownloadSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        let count = |value: usize| Some(u64::try_from(value).unwrap_or(u64::MAX));
        check_ranges(
            "downloads.",
            [
                ("parallel", count(self.parallel), 1..=64),
                ("connections", count(self.connections), 1..=32),
                ("range_bytes", Some(self.range_bytes.as_u64()), 1 << 16..=1 << 40),
                ("attempts", Some(self.attempts.into()), 1..=1000),
            ],
        )?;
        if self.local_folders.iter().any(|folder| !folder.is_absolute()) {
            return Err(InvalidSetting::new("downloads.local_folders must be whole paths"));
        }
        Ok(())
    }
}
