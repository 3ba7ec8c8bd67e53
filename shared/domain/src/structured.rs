//! Structured answers: options of a request with a JSON Schema, and the result of an answer's validation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Options of a request whose answer has a JSON Schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StructuredOptions {
    /// Largest number of answers that are generated until one fits the schema. `None` for the default of the place: see
    /// [`Self::attempts_at_node`] and [`Self::attempts_at_provider`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// True if an answer that doesn't fit the schema may be validated again, against a relaxed schema.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_relaxed: bool,
    /// True if answers aren't validated, and so generated once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bypass_validation: bool,
}

impl StructuredOptions {
    /// Largest value of `max_attempts`.
    pub const ATTEMPTS_MAX_COUNT: u32 = 5;
    /// Default of `max_attempts` at a node, and at a provider for a request in the native dialect.
    pub const DEFAULT_ATTEMPTS: u32 = 3;

    /// Returns whether every option has its default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Number of attempts at a node, whose answers cost nothing.
    #[must_use]
    pub fn attempts_at_node(&self) -> u32 {
        self.attempts(Self::DEFAULT_ATTEMPTS)
    }

    /// Number of attempts at a provider, where each one costs: one unless the request asks for more.
    #[must_use]
    pub fn attempts_at_provider(&self) -> u32 {
        self.attempts(1)
    }

    fn attempts(&self, default: u32) -> u32 {
        if self.bypass_validation {
            return 1;
        }
        self.max_attempts.unwrap_or(default).clamp(1, Self::ATTEMPTS_MAX_COUNT)
    }
}

/// Enforcement of an answer's JSON Schema, and result of its validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structured {
    /// Means of enforcement.
    pub enforced: Enforcement,
    /// Keywords of the schema that the grammar enforces incompletely or not at all; only the validation covers them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<String>,
    /// True if the answer matches the whole schema.
    pub valid: bool,
    /// The concession by which an answer that isn't `valid` is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concession: Option<Concession>,
    /// True if the text was not JSON as the model wrote it, and was repaired: a code fence or prose around it, a comment, a
    /// trailing comma.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repaired: bool,
    /// Number of answers generated until this one.
    pub attempts: u32,
    /// First reasons why the answer doesn't match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<SchemaViolation>,
}

impl Structured {
    /// The result of the validation in one word.
    #[must_use]
    pub fn status(&self) -> StructuredStatus {
        match self.concession {
            _ if self.valid => StructuredStatus::Passed,
            Some(Concession::Relaxed) => StructuredStatus::Relaxed,
            Some(Concession::Bypassed) => StructuredStatus::Bypassed,
            None => StructuredStatus::Failed,
        }
    }
}

/// A reason to accept an answer that isn't known to match its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concession {
    /// It matches the relaxed schema, which the request allows.
    Relaxed,
    /// It was not validated, since the request bypasses the validation.
    Bypassed,
}

/// Result of an answer's validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredStatus {
    /// The answer matches the whole schema.
    Passed,
    /// It matches the relaxed schema only.
    Relaxed,
    /// It doesn't match.
    Failed,
    /// It was not validated.
    Bypassed,
}

/// A place of an answer that doesn't match its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaViolation {
    /// JSON pointer to the place; empty for the whole answer.
    pub path: String,
    /// The reason.
    pub reason: String,
}

impl SchemaViolation {
    /// A violation at no place in particular.
    #[must_use]
    pub fn of_answer(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }
}

impl fmt::Display for SchemaViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.reason),
            path => write!(f, "{path}: {}", self.reason),
        }
    }
}

// A node of an earlier version writes a text.
impl<'de> Deserialize<'de> for SchemaViolation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Object {
                #[serde(default)]
                path: String,
                reason: String,
            },
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Text(reason) => Self::of_answer(reason),
            Form::Object { path, reason } => Self { path, reason },
        })
    }
}

/// Means of enforcing a schema, with the validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// A grammar allows matching tokens alone.
    #[serde(rename = "grammar")]
    Grammar,
    /// A grammar enforces part of the schema, and the whole answer is validated.
    #[serde(rename = "grammar+validated")]
    GrammarAndValidated,
    /// The provider was asked to enforce the schema, and the whole answer is validated.
    #[serde(rename = "provider+validated")]
    ProviderAndValidated,
    /// The model had to call a tool whose parameters have the schema, and the whole answer is validated.
    #[serde(rename = "tool+validated")]
    ToolAndValidated,
    /// The model was asked to follow the schema, and the whole answer is validated.
    #[serde(rename = "requested+validated")]
    RequestedAndValidated,
}

impl Enforcement {
    /// The means alone, without the validation.
    #[must_use]
    pub fn how(self) -> StructuredHow {
        match self {
            Self::Grammar | Self::GrammarAndValidated => StructuredHow::Grammar,
            Self::ProviderAndValidated => StructuredHow::Strict,
            Self::ToolAndValidated => StructuredHow::Tool,
            Self::RequestedAndValidated => StructuredHow::Asked,
        }
    }
}

/// Means of enforcing a schema, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StructuredHow {
    /// A grammar of a node.
    Grammar,
    /// A provider's own structured outputs.
    Strict,
    /// A tool that the model had to call.
    Tool,
    /// An instruction.
    Asked,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attempts_have_a_default_for_each_place_and_a_limit() {
        let options = |max_attempts| StructuredOptions { max_attempts, ..StructuredOptions::default() };
        let both = |options: StructuredOptions| (options.attempts_at_node(), options.attempts_at_provider());
        assert_eq!(both(options(None)), (3, 1));
        assert_eq!(both(options(Some(2))), (2, 2));
        assert_eq!(both(options(Some(900))), (5, 5));
        let bypassed = StructuredOptions { bypass_validation: true, ..options(Some(4)) };
        assert_eq!(both(bypassed), (1, 1));
    }

    #[test]
    fn report_of_an_earlier_version_is_read() {
        let earlier =
            json!({"enforced": "grammar", "valid": false, "attempts": 1, "errors": ["/a: is short"]});
        let structured: Structured = serde_json::from_value(earlier).unwrap();
        assert_eq!(structured.status(), StructuredStatus::Failed);
        assert_eq!(structured.errors, [SchemaViolation::of_answer("/a: is short")]);
        let now = json!({"enforced": "tool+validated", "valid": false, "concession": "relaxed", "attempts": 2,
            "errors": [{"path": "/a", "reason": "is short"}]});
        let structured: Structured = serde_json::from_value(now.clone()).unwrap();
        assert_eq!(
            (structured.status(), structured.enforced.how()),
            (StructuredStatus::Relaxed, StructuredHow::Tool)
        );
        assert_eq!(structured.errors[0].to_string(), "/a: is short");
        assert_eq!(serde_json::to_value(&structured).unwrap(), now);
    }
}
