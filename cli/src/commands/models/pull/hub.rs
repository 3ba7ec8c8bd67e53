//! The client of the hub: lists a repository's files, and downloads them.

use std::time::Duration;

use anyhow::Context;
use hearth_domain::Secret;
use reqwest::{Response, StatusCode, header::RANGE};
use serde::Deserialize;
use url::Url;

use super::name::{FileName, RepoName};
use crate::client::{
    error::{certificate_hint, no_client, root_cause},
    gateway_client::is_loopback,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which the hub may be silent in the middle of a file.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A client for a hub, with or without a token.
pub(super) struct Hub {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
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

impl Hub {
    pub(super) fn new(endpoint: &str, token: Option<Secret>) -> anyhow::Result<Self> {
        let base = Url::parse(endpoint).with_context(|| format!("{endpoint:?} is no hub's address"))?;
        anyhow::ensure!(
            matches!(base.scheme(), "http" | "https"),
            "{endpoint:?} is no hub's address; it begins with https://"
        );
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("hearth-cli/", env!("CARGO_PKG_VERSION")));
        if base.scheme() == "http" {
            // Without TLS no roots are needed.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| no_client(&error))?;
        let token = token.filter(|token| !token.expose().is_empty());
        Ok(Self { http, base, token })
    }

    /// Lists the repository's model files. Files whose names could lead out of a folder are left out.
    pub(super) async fn files(&self, repo: &RepoName) -> anyhow::Result<Vec<HubFile>> {
        let mut url = match repo.is_main() {
            true => self.url(&["api/models", repo.as_str()])?,
            false => self.url(&["api/models", repo.as_str(), "revision", repo.revision()])?,
        };
        url.set_query(Some("blobs=true"));
        let response = self.get(url, 0).await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.status_error(repo, response.status()));
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let info: RepoInfo = serde_json::from_slice(&body).context("the hub's answer can't be read")?;
        Ok(info.siblings.into_iter().filter_map(Sibling::into_file).collect())
    }

    /// Requests the file's bytes from byte `from` on.
    pub(super) async fn open(
        &self,
        repo: &RepoName,
        file: &FileName,
        from: u64,
    ) -> anyhow::Result<Result<Response, reqwest::Error>> {
        let url = self.url(&[repo.as_str(), "resolve", repo.revision(), file.as_str()])?;
        Ok(self.get(url, from).await)
    }

    /// Describes a failed response of the hub.
    pub(super) fn status_error(&self, repo: &RepoName, status: StatusCode) -> anyhow::Error {
        let (host, repo) = (self.host(), repo.as_str());
        match status {
            StatusCode::NOT_FOUND => {
                anyhow::anyhow!("{host} has no repository {repo}, or not that file in it")
            }
            // The hub also answers this for a missing repository, to hide the private ones.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => anyhow::anyhow!(
                "{host} has no repository {repo}, or requires a token that may read it: set one in HF_TOKEN, or as `hub.token` in the settings, \
                 and accept the model's terms on its page if it has any"
            ),
            StatusCode::TOO_MANY_REQUESTS => {
                anyhow::anyhow!("{host} refuses further requests for now; try again in a few minutes")
            }
            other => anyhow::anyhow!("{host} answered {other}"),
        }
    }

    async fn get(&self, url: Url, from: u64) -> Result<Response, reqwest::Error> {
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let cause = root_cause(error);
        let hint = certificate_hint(&cause);
        if !hint.is_empty() {
            return anyhow::anyhow!("{} can't be trusted: {cause}{hint}", self.host());
        }
        anyhow::anyhow!(
            "{} can't be reached: {cause}; the network may be missing. \
             A model file from elsewhere can be used with `hearth up --model FILE`",
            self.host()
        )
    }

    /// The name of its host.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("the hub")
    }

    fn url(&self, parts: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} can't have a path", self.base))?
            .pop_if_empty()
            .extend(parts.iter().flat_map(|part| part.split('/')));
        Ok(url)
    }
}

impl Sibling {
    fn into_file(self) -> Option<HubFile> {
        let name = self.rfilename.parse().ok()?;
        let size = self.size.or(self.lfs.as_ref().map(|lfs| lfs.size))?;
        Some(HubFile { name, size, sha256: self.lfs.map(|lfs| lfs.sha256.to_ascii_lowercase()) })
    }
}
