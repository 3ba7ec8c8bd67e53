//! Ids: a prefix that names the kind, and a ULID, so that ids sort by time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// String that isn't an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as {prefix}01J9ZX5V2QH8N4T6W0C3M7K1RB")]
pub struct InvalidId {
    /// Expected prefix.
    pub prefix: &'static str,
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// Prefix of every id of this kind.
            pub const PREFIX: &'static str = $prefix;

            /// Creates an id of the present millisecond and 80 random bits.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id that differs each time would mislead")]
            pub fn new() -> Self {
                Self(Ulid::generate())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", Self::PREFIX, self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or(InvalidId { prefix: Self::PREFIX })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

prefixed_id!(
    /// Id of a run: one generation, from the request to its terminal state. It is also the request's id.
    RunId, "req_"
);
prefixed_id!(
    /// Id of an API token's record, not the token itself.
    TokenId, "tok_"
);
prefixed_id!(
    /// Id of a file that a run has generated.
    ArtifactId, "art_"
);
prefixed_id!(
    /// Id of a node, a machine that runs local models.
    NodeId, "node_"
);
prefixed_id!(
    /// Id of a user.
    UserId, "usr_"
);

/// A model's id, as clients write it: `tiny-chat`, or with slashes as on Hugging Face.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(String);

impl ModelId {
    /// Wraps any non-empty text. The registry decides whether the model exists.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ModelId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_other_prefixes() {
        let id = RunId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "req_", "req_short", "tok_01J9ZX5V2QH8N4T6W0C3M7K1RB", "01J9ZX5V2QH8N4T6W0C3M7K1RB"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?} was taken for a run id");
        }
    }
}
