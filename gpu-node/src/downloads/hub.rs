//! The client of the hub: lists a repository's files.

use hearth_domain::{JobErrorCode, Secret};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::{
    error::{DownloadError, root_cause},
    name::{FileName, RepoName},
};

/// A hub, with or without a token.
#[derive(Debug, Clone)]
pub(super) struct Hub {
    pub(super) http: Client,
    pub(super) base: Url,
    pub(super) token: Option<Secret>,
}

/// A model file in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HubFile {
    pub(super) name: FileName,
    /// Size in bytes.
    pub(super) size: u64,
    /// SHA-256 in hexadecimal; the hub lists it for files in its large-file storage, such as model files.
    pub(super) sha256: Option<String>,
}

#[derive(Deserialize)]
struct RepoInfo {
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<LargeFile>,
}

#[derive(Deserialize)]
struct LargeFile {
    sha256: String,
    size: u64,
}

/// Parses a hub's address.
///
/// # Errors
/// If it is none.
pub(super) fn parse_base(endpoint: &str) -> Result<Url, DownloadError> {
    let invalid = || {
        DownloadError::invalid_source(format!("{endpoint:?} is no hub's address; it begins with https://"))
    };
    let base = Url::parse(endpoint).map_err(|_| invalid())?;
    if matches!(base.scheme(), "http" | "https") { Ok(base) } else { Err(invalid()) }
}

impl Hub {
    /// Lists the repository's model files. Files whose names could lead out of a folder are left out.
    pub(super) async fn files(&self, repo: &RepoName) -> Result<Vec<HubFile>, DownloadError> {
        let mut url = match repo.is_main() {
            true => url_below(&self.base, &["api/models", repo.as_str()])?,
            false => url_below(&self.base, &["api/models", repo.as_str(), "revision", repo.revision()])?,
        };
        url.set_query(Some("blobs=true"));
        let response = self.get(url).await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.status_error(repo, response.status()));
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let info: RepoInfo = serde_json::from_slice(&body).map_err(|error| {
            DownloadError::invalid_source(format!("the hub's answer can't be read: {error}"))
        })?;
        Ok(info.siblings.into_iter().filter_map(Sibling::into_file).collect())
    }

    /// The address of a file.
    pub(super) fn file_url(&self, repo: &RepoName, file: &FileName) -> Result<Url, DownloadError> {
        url_below(&self.base, &[repo.as_str(), "resolve", repo.revision(), file.as_str()])
    }

    fn status_error(&self, repo: &RepoName, status: StatusCode) -> DownloadError {
        status_error(self.host(), &format!("repository {}", repo.as_str()), status)
    }

    async fn get(&self, url: Url) -> Result<Response, reqwest::Error> {
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        request.send().await
    }

    fn unreachable(&self, error: &reqwest::Error) -> DownloadError {
        let cause = root_cause(error);
        DownloadError::unreachable(format!(
            "{} can't be reached: {cause}; the network may be missing. A model file from elsewhere can be used with `hearth up \
             --model FILE`",
            self.host()
        ))
    }

    /// The name of its host.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("the hub")
    }
}

/// Describes a failed response of a host to a request for `thing`.
pub(super) fn status_error(host: &str, thing: &str, status: StatusCode) -> DownloadError {
    match status {
        StatusCode::NOT_FOUND => DownloadError::new(
            JobErrorCode::SourceNotFound,
            format!("{host} has no {thing}, or not that file in it"),
        ),
        // The hub also answers this for a missing repository, to hide the private ones.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => DownloadError::new(
            JobErrorCode::AccessDenied,
            format!(
                "{host} has no {thing}, or requires a token that may read it: set one in HF_TOKEN, or as `hub.token` in the \
                 settings, and accept the model's terms on its page if it has any"
            ),
        ),
        StatusCode::TOO_MANY_REQUESTS => DownloadError::unreachable(format!(
            "{host} refuses further requests for now; try again in a few minutes"
        )),
        other if other.is_server_error() => DownloadError::unreachable(format!("{host} answered {other}")),
        other => DownloadError::invalid_source(format!("{host} answered {other}")),
    }
}

/// `base` with further segments.
pub(super) fn url_below(base: &Url, parts: &[&str]) -> Result<Url, DownloadError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| DownloadError::invalid_source(format!("{base} can't have a path")))?
        .pop_if_empty()
        .extend(parts.iter().flat_map(|part| part.split('/')));
    Ok(url)
}

impl Sibling {
    fn into_file(self) -> Option<HubFile> {
        let name = self.rfilename.parse().ok()?;
        let size = self.size.or(self.lfs.as_ref().map(|lfs| lfs.size))?;
        Some(HubFile { name, size, sha256: self.lfs.map(|lfs| lfs.sha256.to_ascii_lowercase()) })
    }
}
