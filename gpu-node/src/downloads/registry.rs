//! Models of registries of the OCI, such as Ollama's: a manifest names the blob with the model.

use hearth_domain::{JobErrorCode, Secret};
use reqwest::{Client, Url, header::ACCEPT};
use serde::Deserialize;

use super::{
    error::{DownloadError, root_cause},
    hub::{status_error, url_below},
    source::RegistryName,
};

/// Media types of a manifest.
const MANIFESTS: &str =
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
/// Media type of the layer that is a GGUF file.
const MODEL_LAYER: &str = "application/vnd.ollama.image.model";
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
}

/// Finds the blob of a model by its manifest.
///
/// # Errors
/// The registry can't be reached, or has no such model.
pub(super) async fn find_blob(
    http: &Client,
    base: &Url,
    name: &RegistryName,
    token: Option<&Secret>,
) -> Result<ModelBlob, DownloadError> {
    let host = base.host_str().unwrap_or("the registry");
    let unreachable = |error: &reqwest::Error| {
        DownloadError::unreachable(format!("{host} can't be reached: {}", root_cause(error)))
    };
    let url = url_below(base, &["v2", &name.repository, "manifests", &name.tag])?;
    let mut request = http.get(url).header(ACCEPT, MANIFESTS);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    let mut response = request.send().await.map_err(|error| unreachable(&error))?;
    if !response.status().is_success() {
        let model = format!("model {}:{}", name.repository, name.tag);
        return Err(status_error(host, &model, response.status()));
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
    let layer = manifest.layers.into_iter().find(|layer| layer.media_type == MODEL_LAYER);
    let layer = layer.ok_or_else(|| {
        let message = format!("{}:{} has no model in GGUF, by its manifest", name.repository, name.tag);
        DownloadError::new(JobErrorCode::SourceNotFound, message)
    })?;
    let sha256 = layer.digest.strip_prefix("sha256:").filter(|hex| is_sha256(hex));
    let sha256 = sha256.ok_or_else(|| {
        DownloadError::invalid_source("the registry's manifest has no SHA-256 of the model")
    })?;
    let url = url_below(base, &["v2", &name.repository, "blobs", &layer.digest])?;
    Ok(ModelBlob { url, size: layer.size, sha256: sha256.to_ascii_lowercase() })
}

/// True for a SHA-256 in hexadecimal.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
