//! References to a version of a definition, and the names and labels in them.

use std::{fmt, str::FromStr};

use super::{DefinitionId, DefinitionKind, SemanticVersion, version::parse_numbers};

/// Characters of the name of a definition.
pub const DEFINITION_NAME_MAX_CHARS: usize = 64;
/// Characters of a label.
pub const LABEL_MAX_CHARS: usize = 40;
/// Word that selects the latest version.
pub const LATEST: &str = "latest";

/// A reference to a version of a definition, such as `invoice`, `invoice@1.2.0`, `sch_...@production`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionReference {
    /// The definition.
    pub subject: DefinitionSubject,
    /// The version.
    pub selector: VersionSelector,
}

/// The definition of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefinitionSubject {
    /// By its id.
    Id(DefinitionId),
    /// By its name.
    Name(String),
}

/// The version of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSelector {
    /// The latest one.
    Latest,
    /// This one.
    Exact(SemanticVersion),
    /// The latest one of a major number, or of a major and a minor number.
    Within {
        /// The major number.
        major: u32,
        /// The minor number, if it is fixed too.
        minor: Option<u32>,
    },
    /// The one that a label points to.
    Label(String),
}

/// Text that is no reference to a definition. It completes a sentence about the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It is no name and no id.
    #[error(
        "must be a name or an id, alone or with a version or a label, such as \"invoice\", \"invoice@1.2.0\" or \"invoice@production\""
    )]
    Subject,
    /// The part after the `@` is no version and no label.
    #[error("must have a version such as 1.2.0, 1.2 or 1, or a label such as production, after the @")]
    Selector,
    /// It is the id of a definition of the other kind.
    #[error("must be a {0}: this is the id of another kind of definition")]
    Kind(&'static str),
}

impl DefinitionReference {
    /// Parses a reference to a definition of this kind.
    ///
    /// # Errors
    /// The problem, as the predicate of a sentence about the field.
    pub fn parse(kind: DefinitionKind, text: &str) -> Result<Self, InvalidReference> {
        let (subject, selector) = match text.split_once('@') {
            None => (text, VersionSelector::Latest),
            Some((subject, selector)) => (subject, selector.parse()?),
        };
        let subject = match subject.parse::<DefinitionId>() {
            Ok(id) if id.kind() != kind => return Err(InvalidReference::Kind(kind.as_str())),
            Ok(id) => DefinitionSubject::Id(id),
            Err(_) if is_definition_name(subject) => DefinitionSubject::Name(subject.to_owned()),
            Err(_) => return Err(InvalidReference::Subject),
        };
        Ok(Self { subject, selector })
    }
}

impl FromStr for VersionSelector {
    type Err = InvalidReference;
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if text == LATEST {
            return Ok(Self::Latest);
        }
        if is_label(text) {
            return Ok(Self::Label(text.to_owned()));
        }
        match parse_numbers(text).map_err(|_| InvalidReference::Selector)?[..] {
            [major] => Ok(Self::Within { major, minor: None }),
            [major, minor] => Ok(Self::Within { major, minor: Some(minor) }),
            [major, minor, patch] => Ok(Self::Exact(SemanticVersion { major, minor, patch })),
            _ => Err(InvalidReference::Selector),
        }
    }
}

impl fmt::Display for VersionSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str(LATEST),
            Self::Exact(version) => version.fmt(f),
            Self::Within { major, minor: None } => major.fmt(f),
            Self::Within { major, minor: Some(minor) } => write!(f, "{major}.{minor}"),
            Self::Label(label) => f.write_str(label),
        }
    }
}

/// True for a name of a definition: lower case, digits, and between them `-`, `_` and `.`.
#[must_use]
pub fn is_definition_name(text: &str) -> bool {
    let inner = |byte: u8| is_name_end(byte) || matches!(byte, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    let ends =
        bytes.first().copied().is_some_and(is_name_end) && bytes.last().copied().is_some_and(is_name_end);
    ends && bytes.len() <= DEFINITION_NAME_MAX_CHARS && bytes.iter().copied().all(inner)
}

fn is_name_end(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// True for a label: it begins with a letter, so that it is no version, and isn't `latest`.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| is_name_end(byte) || matches!(byte, b'-' | b'_');
    text.len() <= LABEL_MAX_CHARS
        && text != LATEST
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SchemaId, TemplateId};

    #[test]
    fn references_name_a_definition_and_a_version() {
        let parse = |text: &str| DefinitionReference::parse(DefinitionKind::Schema, text);
        let selector = |text: &str| parse(text).unwrap().selector;
        assert_eq!(selector("invoice"), VersionSelector::Latest);
        assert_eq!(selector("invoice@latest"), VersionSelector::Latest);
        assert_eq!(
            selector("invoice@1.2.0"),
            VersionSelector::Exact(SemanticVersion { major: 1, minor: 2, patch: 0 })
        );
        assert_eq!(selector("a.b_c-1@1"), VersionSelector::Within { major: 1, minor: None });
        assert_eq!(selector("invoice@1.2"), VersionSelector::Within { major: 1, minor: Some(2) });
        assert_eq!(selector("invoice@production"), VersionSelector::Label("production".to_owned()));
        let id = SchemaId::new();
        let subject = DefinitionSubject::Id(DefinitionId::Schema(id));
        assert_eq!(parse(&format!("{id}@1.0.0")).unwrap().subject, subject);
        for bad in ["", "@1", "In voice", "invoice-", "../x", "ü", &"a".repeat(65)] {
            assert_eq!(parse(bad), Err(InvalidReference::Subject), "{bad}");
        }
        for bad in ["invoice@", "invoice@1.2.3.4", "invoice@Prod", "invoice@1x", "invoice@a@b"] {
            assert_eq!(parse(bad), Err(InvalidReference::Selector), "{bad}");
        }
        assert_eq!(parse(&TemplateId::new().to_string()), Err(InvalidReference::Kind("schema")));
    }
}
