//! Semantic numbers of versions, and the size of the change between two of them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::ToSchema;

/// Largest part of a semantic number: keys have six digits for each.
const NUMBER_MAX: u32 = 999_999;

/// Semantic number of a version: `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SemanticVersion {
    /// Increased by a change that earlier answers or variables may not satisfy.
    pub major: u32,
    /// Increased by a compatible change.
    pub minor: u32,
    /// Increased by a change of descriptions and texts alone.
    pub patch: u32,
}

/// Text that is no semantic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a version such as 1.2.0, with numbers up to {NUMBER_MAX}")]
pub struct InvalidVersion;

impl SemanticVersion {
    /// The first version of a definition.
    pub const FIRST: Self = Self { major: 1, minor: 0, patch: 0 };

    /// The next version after a change of this size; `None` after the largest number.
    #[must_use]
    pub fn after(self, change: VersionChange) -> Option<Self> {
        let Self { major, minor, patch } = self;
        let next = match change {
            VersionChange::Major => Self { major: major + 1, minor: 0, patch: 0 },
            VersionChange::Minor => Self { major, minor: minor + 1, patch: 0 },
            VersionChange::Patch => Self { major, minor, patch: patch + 1 },
        };
        Some(next).filter(|next| next.major.max(next.minor).max(next.patch) <= NUMBER_MAX)
    }

    /// The size of the change from `earlier`; `None` if this one isn't later.
    #[must_use]
    pub fn change_since(self, earlier: Self) -> Option<VersionChange> {
        if self <= earlier {
            return None;
        }
        Some(if self.major != earlier.major {
            VersionChange::Major
        } else if self.minor != earlier.minor {
            VersionChange::Minor
        } else {
            VersionChange::Patch
        })
    }
}

impl fmt::Display for SemanticVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for SemanticVersion {
    type Err = InvalidVersion;
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        match parse_numbers(text)?[..] {
            [major, minor, patch] => Ok(Self { major, minor, patch }),
            _ => Err(InvalidVersion),
        }
    }
}

impl Serialize for SemanticVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SemanticVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Numbers between dots, without signs and leading zeros.
pub(super) fn parse_numbers(text: &str) -> Result<Vec<u32>, InvalidVersion> {
    let number = |part: &str| {
        let is_plain = part == "0" || !part.starts_with('0');
        let digits = !part.is_empty() && part.len() <= 6 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|number| is_plain && digits && *number <= NUMBER_MAX).ok_or(InvalidVersion)
    };
    text.split('.').map(number).collect()
}

/// Size of a change between two versions, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionChange {
    /// Descriptions and texts alone.
    Patch,
    /// A compatible change.
    Minor,
    /// A change that earlier answers or variables may not satisfy.
    Major,
}

impl VersionChange {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> SemanticVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_three_plain_numbers() {
        assert_eq!(version("1.20.3"), SemanticVersion { major: 1, minor: 20, patch: 3 });
        assert_eq!(version("0.0.999999").to_string(), "0.0.999999");
        for bad in
            ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.-3", "1.2.+3", "1.2.1000000", "v1.2.3", "1.2.3-rc"]
        {
            assert!(bad.parse::<SemanticVersion>().is_err(), "{bad}");
        }
        assert!(version("1.10.0") > version("1.9.9"));
    }

    #[test]
    fn next_version_follows_from_the_size_of_the_change() {
        let from = version("1.2.3");
        for (change, next) in [
            (VersionChange::Major, "2.0.0"),
            (VersionChange::Minor, "1.3.0"),
            (VersionChange::Patch, "1.2.4"),
        ] {
            assert_eq!(from.after(change), Some(version(next)));
            assert_eq!(version(next).change_since(from), Some(change));
        }
        assert_eq!(version("1.0.999999").after(VersionChange::Patch), None);
        assert_eq!(from.change_since(from), None);
        assert_eq!(from.change_since(version("1.2.4")), None);
    }
}
