//! The facts of a vendor.

use std::time::Duration;

use crate::{credits::BalanceApi, dialect::Dialect, media::Media, rules::Rules};

/// A vendor of models, or a kind of server.
#[derive(Debug)]
pub struct Vendor {
    /// The name in settings. It is unique.
    pub kind: &'static str,
    /// The vendor's own name.
    pub title: &'static str,
    /// The address of the API; `None` if each customer has one.
    pub base_url: Option<&'static str>,
    /// The dialect of requests for text.
    pub dialect: Dialect,
    /// True if it has OpenAI's responses API too, at the same address.
    pub responses: bool,
    /// The restrictions of its dialect.
    pub(crate) rules: &'static Rules,
    /// The modalities that it generates, and the APIs for those that aren't text.
    pub media: Media,
    /// The place of the key in a request.
    pub auth: Auth,
    /// True if a key is required.
    pub needs_key: bool,
    /// Answers that may be requested without a stream.
    pub whole_answers: WholeAnswers,
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// The path of its list of models, below the base URL; `None` if it has no list.
    pub models: Option<&'static str>,
    /// The APIs that report the balance. The first that reports one counts.
    pub(crate) balance: &'static [BalanceApi],
}

/// Vendors are compared by their kind.
impl PartialEq for Vendor {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Vendor {}

/// Answers that may be requested without a stream. The connection is silent until such an answer is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeAnswers {
    /// Maximum number of tokens.
    pub max_tokens: u32,
    /// Tokens per second of the vendor's slowest models, to estimate whether an answer is complete in time.
    pub tokens_per_second: u32,
}

impl WholeAnswers {
    /// The values for a vendor's own servers.
    pub const HOSTED: Self = Self { max_tokens: 4096, tokens_per_second: 15 };
    /// The values for a server of the operator, which may have no GPU.
    pub const OWN_SERVER: Self = Self { max_tokens: 4096, tokens_per_second: 4 };

    /// Returns whether an answer of so many tokens may be requested without a stream, to be complete within `timeout`.
    pub(crate) fn allows(self, tokens: u32, timeout: Duration) -> bool {
        let in_time = u64::from(self.tokens_per_second).saturating_mul(timeout.as_secs());
        tokens <= self.max_tokens && u64::from(tokens) <= in_time
    }
}

/// The place of the key in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// A header of this name.
    Header(&'static str),
    /// AWS's, for the service of this name: an API key is sent as with `Bearer`; with
    /// `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or `ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN`, the request is signed. The
    /// region is taken from the base URL.
    Aws(&'static str),
}
