//! Patterns for names of models.

use serde::Deserialize;

/// A name of a model, in which each `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Wraps the text of a pattern. Any text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the only name that it matches, if it has no `*`.
    #[must_use]
    pub fn exact_name(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }

    /// Returns a rank: of several patterns that match a name, the most specific has the highest. An exact name comes
    /// before every other pattern, and then the one with the most characters beside `*`.
    #[must_use]
    pub fn specificity(&self) -> (bool, usize) {
        (self.exact_name().is_some(), self.0.bytes().filter(|byte| *byte != b'*').count())
    }

    /// Returns whether it matches the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let (Some(first), Some(last)) = (parts.next(), parts.next_back()) else { return self.0 == name };
        let Some(mut rest) = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
            return false;
        };
        for part in parts {
            // The first occurrence leaves the most text for the parts after it.
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_matches_any_text() {
        let cases = [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ab", true),
            ("*:free", "x/y:free", true),
            ("*:free", "x/y", false),
            ("*b*", "abc", true),
            ("*b*", "ac", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn exact_name_is_most_specific() {
        let ranks = ["*", "a*", "*ab", "a"].map(|text| Pattern::new(text).specificity());
        assert!(ranks.is_sorted() && ranks[2] < ranks[3], "{ranks:?}");
    }
}
