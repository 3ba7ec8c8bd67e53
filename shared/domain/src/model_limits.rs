//! The models that a credential may use.

use serde::{Deserialize, Serialize};

use crate::Pattern;

/// The pattern of every model of the nodes.
const EVERY_LOCAL: &str = "local";

/// The models that a credential may use: those that match one of the patterns.
///
/// A pattern is `local` for every model of the nodes, `local:MODEL`, `PROVIDER:MODEL`, or `MODEL` for the models of this name
/// of nodes and of all providers. Each `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelLimits(Vec<String>);

impl ModelLimits {
    /// The models that match one of `patterns`.
    #[must_use]
    pub fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// The patterns, as they were written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// True if they allow the model. `provider`: its provider's name, or `local` for a model of a node.
    #[must_use]
    pub fn allow(&self, provider: &str, model: &str) -> bool {
        self.0.iter().any(|pattern| match whole_name(pattern) {
            name if name.contains(':') => Pattern::new(name).matches(&format!("{provider}:{model}")),
            name => Pattern::new(name).matches(model),
        })
    }

    /// The first pattern that may match a model which `limits` don't allow. Each pattern must be covered by a single one of
    /// `limits`, so that a pattern that only several of them cover together is refused.
    #[must_use]
    pub fn first_beyond(&self, limits: &Self) -> Option<&str> {
        let is_covered = |pattern: &&String| limits.0.iter().any(|limit| covers(limit, pattern));
        self.0.iter().find(|pattern| !is_covered(pattern)).map(String::as_str)
    }
}

/// The pattern with its provider, where it has one.
fn whole_name(pattern: &str) -> &str {
    if pattern == EVERY_LOCAL { "local:*" } else { pattern }
}

/// True if every model that `pattern` matches is matched by `limit` too. False for some patterns of which that is true.
fn covers(limit: &str, pattern: &str) -> bool {
    let (limit, pattern) = (whole_name(limit), whole_name(pattern));
    let limit_of = |text: &str| Pattern::new(limit).matches(text);
    // A `*` of the pattern is matched by a `*` of the limit alone, which matches any text in its place too.
    match (limit.contains(':'), pattern.split_once(':')) {
        (true, Some(_)) | (false, None) => limit_of(pattern),
        // The `*` of a provider's part could match a colon.
        (false, Some((provider, model))) => limit == "*" || (!provider.contains('*') && limit_of(model)),
        (true, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(patterns: &[&str]) -> ModelLimits {
        ModelLimits::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
    }

    #[test]
    fn pattern_matches_the_models_of_its_provider() {
        let cases = [
            ("local", "local", "tiny", true),
            ("local", "openai", "local", false),
            ("local:tiny", "local", "tiny", true),
            ("local:tiny", "local", "tiny-2", false),
            ("local:tiny", "openai", "tiny", false),
            ("openai:*", "openai", "gpt-5", true),
            ("openai:*", "openrouter", "openai:gpt-5", false),
            ("gpt-*", "openai", "gpt-5", true),
            ("gpt-*", "local", "gpt-oss", true),
            ("gpt-*", "local", "tiny", false),
            ("*", "local", "a:b", true),
            ("*:free", "openrouter", "x:free", true),
        ];
        for (pattern, provider, model, expected) in cases {
            assert_eq!(limits(&[pattern]).allow(provider, model), expected, "{pattern} {provider} {model}");
        }
        assert!(!limits(&[]).allow("local", "tiny"));
    }

    #[test]
    fn narrower_pattern_is_covered() {
        let cases = [
            ("local", "local:tiny", true),
            ("local", "local", true),
            ("local:tiny", "local", false),
            ("openai:gpt-*", "openai:gpt-5*", true),
            ("openai:gpt-5*", "openai:gpt-*", false),
            ("gpt-*", "openai:gpt-5", true),
            ("openai:*", "gpt-5", false),
            ("*", "local", true),
            ("gpt-5", "op*:gpt-5", false),
        ];
        for (limit, pattern, expected) in cases {
            assert_eq!(
                limits(&[pattern]).first_beyond(&limits(&[limit])).is_none(),
                expected,
                "{limit} {pattern}"
            );
        }
        assert_eq!(limits(&["local", "x:y"]).first_beyond(&limits(&["local"])), Some("x:y"));
    }

    proptest! {
        /// A covered pattern allows no model that the limit doesn't.
        #[test]
        fn covered_pattern_allows_no_more(
            limit in "[ab:*]{0,6}", pattern in "[ab:*]{0,6}", provider in "[ab]{1,3}", model in "[ab:]{0,5}",
        ) {
            if covers(&limit, &pattern) && limits(&[&pattern]).allow(&provider, &model) {
                prop_assert!(limits(&[&limit]).allow(&provider, &model), "{limit} {pattern} {provider}:{model}");
            }
        }
    }
}
