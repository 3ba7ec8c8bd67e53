//! Settings of the keys of providers.

use hearth_domain::Pattern;
use serde::{Deserialize, Serialize};

/// The keys of providers that users and organisations store, beside the operator's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// Providers whose operator's key also serves other organisations than the operator's: names, with commas between
    /// them, and `*` for any text; `none` is no provider.
    pub operator_pays_for: String,
    /// Allow keys for servers at private addresses, and without TLS.
    pub private_addresses: bool,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { operator_pays_for: "*".to_owned(), private_addresses: false }
    }
}

impl KeySettings {
    /// True if the operator's key of the provider serves other organisations too.
    #[must_use]
    pub fn serves_others(&self, provider: &str) -> bool {
        self.operator_pays_for == "*"
            || self.operator_pays_for.split(',').any(|pattern| Pattern::new(pattern.trim()).matches(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_pays_for_the_providers_that_are_named() {
        let settings =
            |names: &str| KeySettings { operator_pays_for: names.to_owned(), ..KeySettings::default() };
        assert!(KeySettings::default().serves_others("openai"));
        assert!(
            settings("xai, open*").serves_others("openai") && !settings("xai, open*").serves_others("groq")
        );
        assert!(!settings("none").serves_others("openai"));
    }
}
