//! Artifacts: images and meshes that runs have generated.

use serde::{Deserialize, Serialize};

use crate::{ArtifactId, Modality, Timestamp};

/// File that a run has generated, and its location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// Media type, detected from the bytes, such as `image/png`.
    pub media_type: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Prompt as the model rewrote it, if the provider returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
    /// Time of deletion.
    pub expires_at: Timestamp,
    /// Signed path that opens the artifact without a token until the signature expires. It is never logged or stored;
    /// every read signs a new one.
    #[serde(skip)]
    pub link: String,
}

impl Artifact {
    /// Returns the modality that the media type belongs to.
    #[must_use]
    pub fn modality(&self) -> Modality {
        if self.media_type.starts_with("model/") { Modality::ThreeD } else { Modality::Image }
    }

    /// Returns a file name for downloads.
    #[must_use]
    pub fn file_name(&self) -> String {
        let extension = match self.media_type.as_str() {
            "image/png" => "png",
            "image/jpeg" => "jpg",
            "image/webp" => "webp",
            "image/gif" => "gif",
            "image/avif" => "avif",
            "model/gltf-binary" => "glb",
            _ => "bin",
        };
        format!("{}.{extension}", self.id)
    }
}

/// Detects the media type of a file by its first bytes. `None` unless it is an image that browsers show, or a mesh.
///
/// The signatures are those of <https://mimesniff.spec.whatwg.org/#image-type-pattern-matching-algorithm>, of
/// AVIF (its specification's `avif` and `avis` brands) and of binary glTF 2.0, section 4.4.
#[must_use]
pub fn media_type_of(bytes: &[u8]) -> Option<&'static str> {
    let brand = bytes.get(4..12);
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'g', b'l', b'T', b'F', ..] => Some("model/gltf-binary"),
        _ if matches!(brand, Some(b"ftypavif" | b"ftypavis")) => Some("image/avif"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_determine_the_media_type() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"\x89PNG\r\n\x1a\n....", Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\x00\x00\x00\x00WEBPVP8 ", Some("image/webp")),
            (b"glTF\x02\x00\x00\x00", Some("model/gltf-binary")),
            (b"\x00\x00\x00\x1cftypavif", Some("image/avif")),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", None),
            (b"{\"error\": \"no\"}", None),
            (b"", None),
        ];
        for (bytes, media_type) in cases {
            assert_eq!(media_type_of(bytes), media_type);
        }
    }
}
