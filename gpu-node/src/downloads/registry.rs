//! Models of registries of the OCI, such as Ollama's: a manifest names the blob with the model.

use hearth_domain::JobErrorCode;
use reqwest::{StatusCode, Url, header::ACCEPT};
use serde::Deserialize;
use std::collections::BTreeMap;

use super::{
    error::{DownloadError, root_cause},
    hub::{status_error, url_below},
    registry_auth::RegistryAuth,
    source::RegistryName,
};

/// Media types of a manifest.
const MANIFESTS: &str =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
/// Media types of a layer that is a GGUF file: Ollama's and Docker's.
const MODEL_LAYERS: [&str; 2] = ["application/vnd.ollama.image.model", "application/vnd.docker.ai.gguf.v3"];
/// Media types of a layer with which the model sees images.
const PROJECTOR_LAYERS: [&str; 2] =
    ["application/vnd.ollama.image.projector", "application/vnd.docker.ai.mmproj"];
/// The annotation of a layer with the name of its file.
const TITLE: &str = "org.opencontainers.image.title";
/// Bytes of a manifest.
const MANIFEST_MAX_BYTES: usize = 4 << 20;

/// The blob with a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelBlob {
    pub(super) url: Url,
    pub(super) size: u64,
    /// Hexadecimal.
    pub(super) sha256: String,
}

/// The blobs of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelBlobs {
    pub(super) model: ModelBlob,
    /// The file with which it sees images, if there is one.
    pub(super) projector: Option<ModelBlob>,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Layer {
    fn title(&self) -> &str {
        self.annotations.get(TITLE).map_or("", String::as_str)
    }

    fn is_projector(&self) -> bool {
        let title = self.title();
        PROJECTOR_LAYERS.contains(&self.media_type.as_str())
            || (title.contains("mmproj") && title.ends_with(".gguf"))
    }

    fn is_model(&self) -> bool {
        !self.is_projector()
            && (MODEL_LAYERS.contains(&self.media_type.as_str()) || self.title().ends_with(".gguf"))
    }

    fn blob(&self, base: &Url, name: &RegistryName) -> Result<ModelBlob, DownloadError> {
        let sha256 = self.digest.strip_prefix("sha256:").filter(|hex| is_sha256(hex));
        let sha256 = sha256.ok_or_else(|| {
            DownloadError::invalid_source("the registry's manifest has no SHA-256 of the model")
        })?;
        let url = url_below(base, &["v2", &name.repository, "blobs", &self.digest])?;
        Ok(ModelBlob { url, size: self.size, sha256: sha256.to_ascii_lowercase() })
    }
}

/// Finds the blobs of a model by its manifest.
///
/// # Errors
/// The registry can't be reached, or has no such model.
pub(super) async fn find_blobs(
    auth: &RegistryAuth,
    base: &Url,
    name: &RegistryName,
) -> Result<ModelBlobs, DownloadError> {
    let host = base.host_str().unwrap_or("the registry");
    let unreachable = |error: &reqwest::Error| {
        DownloadError::unreachable(format!("{host} can't be reached: {}", root_cause(error)))
    };
    let url = url_below(base, &["v2", &name.repository, "manifests", &name.tag])?;
    let request = async || {
        let request = auth.authorize(auth.http.get(url.clone()).header(ACCEPT, MANIFESTS)).await?;
        request.send().await.map_err(|error| unreachable(&error))
    };
    let mut response = request().await?;
    if response.status() == StatusCode::UNAUTHORIZED && auth.accept_challenge(response.headers())? {
        response = request().await?;
    }
    if !response.status().is_success() {
        let model = format!("model {}:{}", name.repository, name.tag);
        return Err(auth.describe(status_error(host, &model, response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MANIFEST_MAX_BYTES {
            return Err(DownloadError::invalid_source("the registry's manifest is too large"));
        }
    }
    let manifest: Manifest = serde_json::from_slice(&body).map_err(|error| {
        DownloadError::invalid_source(format!("the registry's manifest can't be read: {error}"))
    })?;
    let model = manifest.layers.iter().find(|layer| layer.is_model()).ok_or_else(|| {
        let message = format!("{}:{} has no model in GGUF, by its manifest", name.repository, name.tag);
        DownloadError::new(JobErrorCode::SourceNotFound, message)
    })?;
    let projector = manifest.layers.iter().find(|layer| layer.is_projector());
    Ok(ModelBlobs {
        model: model.blob(base, name)?,
        projector: projector.map(|layer| layer.blob(base, name)).transpose()?,
    })
}

/// True for a SHA-256 in hexadecimal.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
