//! The vendors: a file with the facts of each.

mod anthropic;
mod azure;
mod bedrock;
mod deepseek;
mod definition;
mod google;
mod groq;
mod huggingface;
mod mistral;
mod ollama;
mod openai;
pub(crate) mod openai_compatible;
mod openrouter;
mod stability;
mod xai;

pub use definition::{Auth, Vendor, WholeAnswers};

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

/// Returns the vendor of a kind.
#[must_use]
pub fn of_kind(kind: &str) -> Option<&'static Vendor> {
    ALL.iter().find(|vendor| vendor.kind == kind).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_vendor() {
        for vendor in ALL {
            assert_eq!(of_kind(vendor.kind), Some(*vendor));
            let url = vendor.base_url.unwrap_or("https://x");
            assert!(url.starts_with("http") && !url.ends_with('/'), "{url}");
        }
        assert_eq!(of_kind("none"), None);
    }
}
