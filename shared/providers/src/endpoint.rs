//! A provider's address, credentials and timeouts.

use std::time::Duration;

use hearth_domain::{Modality, Secret};
use hearth_wire::ApiError;

use crate::{
    dialect::Dialect,
    vendor::{self, Auth, Vendor},
};

/// Timeouts of one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the head of a streamed answer arrives. A model that thinks may take long.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub between_bytes: Duration,
    /// Until the head of an answer arrives that is sent whole, such as an image or a short text; a text must be
    /// complete by then. The connection is silent until such an answer is generated.
    pub whole_answer: Duration,
    /// For the entire exchange.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(120),
            between_bytes: Duration::from_secs(120),
            whole_answer: Duration::from_secs(300),
            total: Duration::from_secs(3600),
        }
    }
}

/// A provider's address, credentials and timeouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The provider's name in the operator's settings.
    pub name: String,
    /// The vendor that the provider belongs to.
    pub vendor: &'static Vendor,
    /// The dialect of requests for text.
    pub dialect: Dialect,
    /// The API's address without a slash at its end.
    pub base_url: String,
    /// The region in which it processes requests, if the settings say so.
    pub region: Option<String>,
    /// The place of the key in a request: the vendor's, or that of an access token.
    pub auth: Auth,
    /// The API key; a server at home may need none.
    pub key: Option<Secret>,
    /// Requests are signed with the AWS credentials of the process, in place of a key.
    pub signs_as_process: bool,
    /// The provider's timeouts.
    pub timeouts: Timeouts,
}

impl Endpoint {
    /// True if requests can be authorized: there is a key, or none is needed.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.key.is_some() || self.signs_as_process || !self.vendor.needs_key
    }

    /// An endpoint without an address, for a provider that can't be called.
    #[must_use]
    pub fn unusable(name: &str) -> Self {
        let vendor = &vendor::openai_compatible::VENDOR;
        Self {
            name: name.to_owned(),
            vendor,
            dialect: vendor.dialect,
            base_url: String::new(),
            region: None,
            auth: vendor.auth,
            key: None,
            signs_as_process: false,
            timeouts: Timeouts::default(),
        }
    }

    /// The endpoint with an access token of OAuth in place of a key.
    #[must_use]
    pub fn with_access_token(self, token: Secret) -> Self {
        Self { key: Some(token), auth: Auth::Bearer, signs_as_process: false, ..self }
    }

    /// The error for a modality that the provider can't generate. It lists the kinds of vendors that can.
    pub(crate) fn unsupported(&self, modality: Modality) -> ApiError {
        let noun = match modality {
            Modality::Text => "text",
            Modality::Image => "images",
            Modality::ThreeD => "meshes",
            Modality::Embedding => "embeddings",
        };
        let able = vendor::ALL.iter().filter(|vendor| vendor.media.supports(modality));
        let kinds: Vec<&str> = able.map(|vendor| vendor.kind).collect();
        let message =
            format!("{} cannot make {noun}; kinds of providers that can: {}", self.name, kinds.join(", "));
        ApiError::invalid("model", message)
    }
}
