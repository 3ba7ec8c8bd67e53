//! Artifacts: files that runs have made, as clients see them.

use hearth_domain::{Artifact, Modality};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A file that a run has made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactBody {
    /// Its id.
    #[schema(example = "art_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: String,
    /// `image` or `mesh`.
    #[serde(rename = "type")]
    #[schema(example = "image")]
    pub kind: String,
    /// What its file is.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// Where it is. The link opens it for anybody, for a while; without its query, for its owner's token.
    pub url: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// When it is gone, ISO 8601.
    pub expires_at: String,
    /// The prompt as the model understood it, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
}

impl ArtifactBody {
    /// What clients see of `artifact` that reach the gateway at `base`, an address without a slash at its end.
    #[must_use]
    pub fn new(artifact: &Artifact, base: &str) -> Self {
        let kind = if artifact.modality() == Modality::ThreeD { "mesh" } else { "image" };
        Self {
            id: artifact.id.to_string(),
            kind: kind.to_owned(),
            media_type: artifact.media_type.clone(),
            url: url_of(artifact, base),
            size_bytes: artifact.size_bytes,
            sha256: artifact.sha256.clone(),
            expires_at: artifact.expires_at.to_string(),
            revised_prompt: artifact.revised_prompt.clone(),
        }
    }
}

/// Where an artifact is: its link, or its path if it has none.
#[must_use]
pub fn url_of(artifact: &Artifact, base: &str) -> String {
    match artifact.link.as_str() {
        "" => format!("{base}/v1/artifacts/{}", artifact.id),
        link => format!("{base}{link}"),
    }
}

/// A link's signature.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArtifactQuery {
    /// When the link ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// The gateway's signature.
    pub signature: Option<String>,
}
