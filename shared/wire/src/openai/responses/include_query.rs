//! The parameter `include` of a read.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use utoipa::IntoParams;

use super::request::INCLUDE_ENCRYPTED;

/// Value for the URLs of images in the input.
const INCLUDE_IMAGE_URLS: &str = "message.input_image.image_url";

/// Further fields of a read.
#[derive(Debug, Clone, Default, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncludeQuery {
    /// Fields that the answer has beside the usual ones: `reasoning.encrypted_content`; in a list of input items also
    /// `message.input_image.image_url`. A list repeats the parameter, also as `include[]`.
    #[param(value_type = Option<Vec<String>>, example = json!(["reasoning.encrypted_content"]))]
    pub include: Vec<String>,
}

impl IncludeQuery {
    /// Returns whether the answer has encrypted reasoning.
    #[must_use]
    pub fn has_encrypted_reasoning(&self) -> bool {
        self.has(INCLUDE_ENCRYPTED)
    }

    /// Returns whether the answer has the URLs of images.
    pub(super) fn has_image_urls(&self) -> bool {
        self.has(INCLUDE_IMAGE_URLS)
    }

    fn has(&self, value: &str) -> bool {
        self.include.iter().any(|included| included == value)
    }
}

/// Serde's structs accept a name once alone.
impl<'de> Deserialize<'de> for IncludeQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Parameters)
    }
}

struct Parameters;

impl<'de> Visitor<'de> for Parameters {
    type Value = IncludeQuery;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the parameters of a query")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parameters: A) -> Result<Self::Value, A::Error> {
        let mut include = Vec::new();
        while let Some(name) = parameters.next_key::<String>()? {
            if matches!(name.as_str(), "include" | "include[]") {
                include.push(parameters.next_value()?);
            } else {
                parameters.next_value::<IgnoredAny>()?;
            }
        }
        Ok(IncludeQuery { include })
    }
}
