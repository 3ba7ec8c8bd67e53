//! Downloads of models at a node.

use hearth_domain::JobId;
use hearth_wire::{
    ApiError, ErrorCode,
    node_downloads::{NodeDownload, NodeDownloadCommand, NodeDownloads, NodeJobs},
    node_limits::download_of_node,
};
use reqwest::Method;

use super::NodeLink;

impl NodeLink {
    /// Begins a download, or joins that of the same file.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error: `invalid_request` for a source that can't be downloaded.
    pub async fn download(&self, command: &NodeDownloadCommand) -> Result<NodeDownload, ApiError> {
        let about = command.job.to_string();
        self.request(Method::POST, "/v1/downloads", &about, Some(command)).await.map(download_of_node)
    }

    /// The downloads of jobs, as far as the node has them.
    ///
    /// # Errors
    /// `node_offline`, or the node's own error.
    pub async fn downloads(&self, jobs: Vec<JobId>) -> Result<Vec<NodeDownload>, ApiError> {
        let body = NodeJobs { jobs };
        let answer: NodeDownloads =
            self.request(Method::POST, "/v1/downloads/states", "downloads", Some(&body)).await?;
        Ok(answer.downloads.into_iter().map(download_of_node).collect())
    }

    /// Changes a download: `change` is `cancel`, `pause` or `resume`.
    ///
    /// # Errors
    /// `node_offline`; `not_found` if the node doesn't have it.
    pub async fn change_download(&self, job: JobId, change: &str) -> Result<NodeDownload, ApiError> {
        let path = format!("/v1/downloads/{job}/{change}");
        let answer: NodeDownload =
            self.request(Method::POST, &path, &job.to_string(), Some(&serde_json::json!({}))).await?;
        if answer.job != job {
            return Err(ApiError::new(ErrorCode::ProviderError, "the node has answered with another job"));
        }
        Ok(download_of_node(answer))
    }
}
