//! Images that a message shows.

use serde::{Deserialize, Serialize};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub source: ImageSource,
    /// How closely to look at it, in OpenAI's words: `auto`, `low` or `high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// At this address, which the provider fetches.
    Url(String),
    /// Here.
    Data {
        /// Such as `image/png`.
        media_type: String,
        /// The file, in base64 with padding.
        data: String,
    },
}

/// An image in a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedImage {
    /// Before which byte of the message's text it stands.
    pub at: usize,
    /// The image.
    #[serde(flatten)]
    pub image: Image,
}

impl Image {
    /// An image at an address. One of the form `data:image/png;base64,...` is taken out of it.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        let url = url.into();
        let here = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let source = match here {
            Some((media_type, data)) => {
                ImageSource::Data { media_type: media_type.to_owned(), data: data.to_owned() }
            }
            None => ImageSource::Url(url),
        };
        Self { source, detail: None }
    }

    /// An address for it: its own, or one of the form `data:image/png;base64,...`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.source {
            ImageSource::Url(url) => url.clone(),
            ImageSource::Data { media_type, data } => format!("data:{media_type};base64,{data}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_and_data_is_taken_out_of_it() {
        let data = Image::at("data:image/png;base64,AAAA");
        let (media_type, text) = ("image/png".to_owned(), "AAAA".to_owned());
        assert_eq!(data.source, ImageSource::Data { media_type, data: text });
        for url in ["https://example.org/a.png", "data:image/png;base64,AAAA", "data:text/plain,x"] {
            assert_eq!(Image::at(url).url(), url);
        }
    }
}
