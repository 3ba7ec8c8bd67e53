//! Images in messages.

use serde::{Deserialize, Serialize};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Location of the content.
    pub source: ImageSource,
    /// Level of detail in OpenAI's words: `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Location of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// URL, which the provider fetches.
    Url(String),
    /// Content in the message itself.
    Data {
        /// Media type, such as `image/png`.
        media_type: String,
        /// Content of the file, in base64 with padding.
        data: String,
    },
}

/// An image in a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedImage {
    /// Byte offset in the message's text at which it stands.
    pub at: usize,
    /// The image.
    #[serde(flatten)]
    pub image: Image,
}

impl Image {
    /// Parses a URL. The content of a data URL, `data:image/png;base64,...`, is decoded into [`ImageSource::Data`].
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let url = url.into();
        let source = match data_of(&url) {
            Some((media_type, data)) => ImageSource::Data { media_type, data: data.to_owned() },
            None => ImageSource::Url(url),
        };
        Self { source, detail: None }
    }

    /// Returns a URL: its own, or a data URL.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.source {
            ImageSource::Url(url) => url.clone(),
            ImageSource::Data { media_type, data } => format!("data:{media_type};base64,{data}"),
        }
    }
}

/// Returns the media type and the content of a base64 data URL (RFC 2397). Parameters such as `charset` are dropped,
/// since they don't apply to images and documents.
pub(crate) fn data_of(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let (head, data) = rest.split_once(',')?;
    let (media_type, last) = head.rsplit_once(';')?;
    let is_data = scheme.eq_ignore_ascii_case("data") && last.trim().eq_ignore_ascii_case("base64");
    is_data.then(|| (canonical_media_type(media_type), data))
}

/// Normalizes a media type: lower case, no parameters, and `image/jpeg` for `image/jpg`, which isn't registered
/// (<https://www.iana.org/assignments/media-types>).
#[must_use]
pub fn canonical_media_type(media_type: &str) -> String {
    let name = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "image/x-png" => "image/png".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_spelled_as_vendors_spell_them() {
        for (head, media_type) in [
            ("image/jpg;base64", "image/jpeg"),
            ("IMAGE/PNG;base64", "image/png"),
            ("image/jpeg;charset=utf-8;base64", "image/jpeg"),
            ("image/webp;BASE64", "image/webp"),
        ] {
            let image = Image::at(format!("data:{head},AAAA"));
            let data = ImageSource::Data { media_type: media_type.to_owned(), data: "AAAA".to_owned() };
            assert_eq!(image.source, data, "{head}");
        }
    }

    #[test]
    fn a_data_url_is_decoded_and_another_url_unchanged() {
        let data = Image::at("data:image/png;base64,AAAA");
        let (media_type, text) = ("image/png".to_owned(), "AAAA".to_owned());
        assert_eq!(data.source, ImageSource::Data { media_type, data: text });
        for url in ["https://example.org/a.png", "data:image/png;base64,AAAA", "data:text/plain,x"] {
            assert_eq!(Image::at(url).url(), url);
        }
    }
}
