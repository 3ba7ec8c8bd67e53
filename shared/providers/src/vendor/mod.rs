//! The vendors: a short file for each, which says whose dialect it speaks and how it differs.

mod anthropic;
mod azure;
mod bedrock;
mod deepseek;
mod google;
mod groq;
mod huggingface;
mod mistral;
mod ollama;
mod openai;
mod openai_compatible;
mod openrouter;
mod stability;
mod xai;

use crate::{credits::BalanceAt, dialect::Dialect, media::Media};

/// A vendor of models, or a kind of server.
#[derive(Debug, PartialEq, Eq)]
pub struct Vendor {
    /// What settings call it.
    pub kind: &'static str,
    /// Its own name.
    pub title: &'static str,
    /// Where its API is; none where each customer has an address.
    pub base_url: Option<&'static str>,
    /// What it speaks.
    pub dialect: Dialect,
    /// What it makes, and in whose words it is asked for what isn't text.
    pub media: Media,
    /// Where the key goes.
    pub auth: Auth,
    /// Whether it can't be used without a key.
    pub needs_key: bool,
    /// Which answers may be requested in one piece.
    pub whole_answers: WholeAnswers,
    /// Headers of every request.
    pub headers: &'static [(&'static str, &'static str)],
    /// Where it lists its models, below the base URL; none if it doesn't.
    pub models: Option<&'static str>,
}

impl Vendor {
    /// Whether it has OpenAI's responses beside its usual API, at the same address.
    pub(crate) fn has_responses(&self) -> bool {
        matches!(self.kind, "openai" | "azure" | "openai_compatible")
    }

    /// Where it tells what is left of the credit; the first place that tells something counts.
    pub(crate) fn balance(&self) -> &'static [BalanceAt] {
        match self.kind {
            "openrouter" => &openrouter::BALANCE,
            "deepseek" => &deepseek::BALANCE,
            _ => &[],
        }
    }
}

/// Which answers a vendor may be asked for in one piece. Until such an answer is there its connection is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeAnswers {
    /// The most tokens of one.
    pub max_tokens: u32,
    /// How many tokens a second its slowest models generate: whether an answer is there in time.
    pub tokens_per_second: u32,
}

impl WholeAnswers {
    /// Of a vendor's own computers.
    pub const HOSTED: Self = Self { max_tokens: 4096, tokens_per_second: 15 };
    /// Of a server of the operator's, which may compute without a GPU.
    pub const OWN_SERVER: Self = Self { max_tokens: 4096, tokens_per_second: 4 };

    /// Whether an answer of so many tokens may be requested in one piece where it has to be there within `limit`.
    pub(crate) fn has(self, tokens: u32, limit: std::time::Duration) -> bool {
        let in_time = u64::from(self.tokens_per_second).saturating_mul(limit.as_secs());
        tokens <= self.max_tokens && u64::from(tokens) <= in_time
    }
}

/// Where a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// A header of this name.
    Header(&'static str),
    /// As AWS has it, for the service of this name: an API key goes as with `Bearer`, and with
    /// `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or `ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN`, the request is
    /// signed. Whose region it is, the base URL says.
    Aws(&'static str),
}

/// Every vendor.
pub const ALL: &[&Vendor] = &[
    &openai::VENDOR,
    &anthropic::VENDOR,
    &azure::VENDOR,
    &google::VENDOR,
    &bedrock::VENDOR,
    &xai::VENDOR,
    &deepseek::VENDOR,
    &groq::VENDOR,
    &mistral::VENDOR,
    &openrouter::VENDOR,
    &huggingface::VENDOR,
    &stability::VENDOR,
    &ollama::VENDOR,
    &openai_compatible::VENDOR,
];

/// The vendor of this kind.
#[must_use]
pub fn of_kind(kind: &str) -> Option<&'static Vendor> {
    ALL.iter().find(|vendor| vendor.kind == kind).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_one_vendor() {
        for vendor in ALL {
            assert_eq!(of_kind(vendor.kind), Some(*vendor));
            let url = vendor.base_url.unwrap_or("https://x");
            assert!(url.starts_with("http") && !url.ends_with('/'), "{url}");
        }
        assert_eq!(of_kind("none"), None);
    }
}
