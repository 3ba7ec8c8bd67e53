//! Names of models, whole or in part.

use serde::Deserialize;

/// A model's name, in which each `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name, if it is one and the same.
    pub(super) fn whole(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }

    /// How much of a name it says: a whole name more than any part of it, and then the longest.
    pub(super) fn weight(&self) -> (bool, usize) {
        (self.whole().is_some(), self.0.bytes().filter(|byte| *byte != b'*').count())
    }

    /// Whether it stands for `name`.
    pub(super) fn fits(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let (Some(first), Some(last)) = (parts.next(), parts.next_back()) else { return self.0 == name };
        let Some(mut rest) = name.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
            return false;
        };
        for part in parts {
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
    fn a_star_stands_for_anything() {
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
        for (pattern, name, fits) in cases {
            assert_eq!(Pattern::new(pattern).fits(name), fits, "{pattern} {name}");
        }
        let weights = ["*", "a*", "*ab", "a"].map(|text| Pattern::new(text).weight());
        assert!(weights.is_sorted() && weights[2] < weights[3], "{weights:?}");
    }
}
