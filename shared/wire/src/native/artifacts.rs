//! Artifacts: generated files, in the native API.

use hearth_domain::{Artifact, Modality};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Generated file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactBody {
    /// Id.
    #[schema(example = "art_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub id: String,
    /// `image` or `mesh`.
    #[serde(rename = "type")]
    #[schema(example = "image")]
    pub kind: String,
    /// Media type.
    #[schema(example = "image/png")]
    pub media_type: String,
    /// URL. As a link with a signature it needs no token until it expires; without its query it needs the owner's
    /// token.
    pub url: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// Time of deletion, ISO 8601.
    pub expires_at: String,
    /// Prompt as the model rewrote it, if the provider returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
    /// The bytes in base64, if the request has `inline` and they are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl ArtifactBody {
    /// Creates the body of `artifact`. `base` is the client's address of the gateway, without a slash at its end.
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
            data: None,
        }
    }
}

/// Returns the URL of an artifact: its link, or its path if it has no link.
#[must_use]
pub fn url_of(artifact: &Artifact, base: &str) -> String {
    match artifact.link.as_str() {
        "" => format!("{base}/v1/artifacts/{}", artifact.id),
        link => format!("{base}{link}"),
    }
}

/// Signature of a link.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArtifactQuery {
    /// Expiry of the link, in seconds since 1970.
    pub expires: Option<i64>,
    /// Signature of the gateway.
    pub signature: Option<String>,
}

/// Selection of artifacts, and a page of them.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ArtifactListQuery {
    /// Id of the request that has generated them.
    #[param(example = "req_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub run: Option<String>,
    /// `image` or `mesh`.
    #[serde(rename = "type")]
    #[param(example = "image")]
    pub kind: Option<String>,
    /// Maximum number of entries, 1 to 200; absent: 50.
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Artifact in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListedArtifact {
    /// The artifact.
    #[serde(flatten)]
    pub artifact: ArtifactBody,
    /// Id of the request that has generated it.
    #[schema(example = "req_01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
    pub request_id: String,
    /// Time of creation, ISO 8601.
    pub created_at: String,
}

/// Page of artifacts, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactList {
    /// The artifacts.
    pub artifacts: Vec<ListedArtifact>,
    /// Cursor of the next page; null after the last one.
    pub next_cursor: Option<String>,
}

/// Artifact that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactDeleted {
    /// Id.
    pub id: String,
    /// Always true.
    pub deleted: bool,
}
