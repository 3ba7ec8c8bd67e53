//! Downloads of a node: a part of the node link.

use hearth_domain::{JobError, JobId, JobState, Priority, Secret};
use serde::{Deserialize, Serialize, Serializer};

/// Maximum number of jobs that a node is asked about at a time.
pub const NODE_JOBS_MAX_COUNT: usize = 200;

/// Download for a node: the body of `POST /v1/downloads`. The response is a [`NodeDownload`]. If the node has a download of the
/// same source for the same caller, it is that one, with its own job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDownloadCommand {
    /// Id of the job, from the gateway.
    pub job: JobId,
    /// The caller, as a text that only the gateway can read.
    pub caller: String,
    /// Source, such as `hf:OWNER/REPO`, an address or a path.
    pub source: String,
    /// The file of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 that the file must have, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Place among the downloads that wait.
    #[serde(default)]
    pub priority: Priority,
    /// The caller's token for the source.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub token: Option<Secret>,
}

/// Serialises a secret for a node, which needs its text.
fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// Download, as one of its jobs sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDownload {
    /// Id of the job.
    pub job: JobId,
    /// Number of the state: a later one has a higher number.
    pub revision: i64,
    /// State.
    pub state: JobState,
    /// Source, in its canonical form.
    pub source: String,
    /// Id of the model, when the file is known.
    #[serde(default)]
    pub model: Option<String>,
    /// Path of the file, or of the first of several, below the model folder.
    #[serde(default)]
    pub file: Option<String>,
    /// Size of all files in bytes, if the source reports it.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Bytes so far.
    #[serde(default)]
    pub done_bytes: u64,
    /// Present speed.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Seconds until the end at the present speed.
    #[serde(default)]
    pub seconds_left: Option<u64>,
    /// Next attempt, with its number, its time and the cause, until bytes come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_reason: Option<String>,
    /// SHA-256 of the file, hexadecimal, if the source lists it.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Error of a failed download.
    #[serde(default)]
    pub error: Option<JobError>,
}

/// Jobs to report: the body of `POST /v1/downloads/states`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeJobs {
    /// Ids, at most [`NODE_JOBS_MAX_COUNT`].
    pub jobs: Vec<JobId>,
}

/// Downloads of jobs: the response of `POST /v1/downloads/states`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeDownloads {
    /// The downloads. A job that isn't among them is unknown to the node.
    pub downloads: Vec<NodeDownload>,
}

/// Model that a node downloads, in the node's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeModelDownload {
    /// Id that the model will have.
    pub model: String,
    /// State of the download.
    pub state: JobState,
    /// Progress, 0 to 1, in steps of a twentieth; none without a size.
    pub progress: Option<f32>,
    /// Size in bytes.
    pub size_bytes: Option<u64>,
    /// Error of a failed download.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_reaches_the_node_and_is_hidden_in_logs() {
        let command = NodeDownloadCommand {
            job: JobId::new(),
            caller: "c".to_owned(),
            source: "hf:a/b".to_owned(),
            file: None,
            sha256: None,
            priority: Priority::Normal,
            token: Some(Secret::new("hf_secret")),
        };
        let json = serde_json::to_string(&command).unwrap();
        assert_eq!(serde_json::from_str::<NodeDownloadCommand>(&json).unwrap(), command);
        assert!(!format!("{command:?}").contains("hf_secret"));
    }
}
