//! Definitions: named schemas of answers and templates of prompts, in immutable versions with semantic numbers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{InvalidId, SchemaId, TemplateId};

/// Characters of the name of a definition.
pub const DEFINITION_NAME_MAX_CHARS: usize = 64;
/// Characters of a label.
pub const LABEL_MAX_CHARS: usize = 40;
/// Word that selects the latest version.
pub const LATEST: &str = "latest";
/// Largest part of a semantic number: keys have six digits for each.
const NUMBER_MAX: u32 = 999_999;

/// Kind of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// A JSON Schema of answers.
    Schema,
    /// A template of a prompt.
    Template,
}

impl DefinitionKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Schema, Self::Template];

    /// The name used in JSON, keys and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Template => "template",
        }
    }

    /// The field of a request that refers to a definition of this kind.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Schema => "schema_id",
            Self::Template => "template_id",
        }
    }
}

/// Id of a definition. Its prefix tells its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefinitionId {
    /// Id of a schema.
    Schema(SchemaId),
    /// Id of a template.
    Template(TemplateId),
}

impl DefinitionId {
    /// Creates an id of this kind.
    #[must_use]
    pub fn new(kind: DefinitionKind) -> Self {
        match kind {
            DefinitionKind::Schema => Self::Schema(SchemaId::new()),
            DefinitionKind::Template => Self::Template(TemplateId::new()),
        }
    }

    /// The kind of the definition.
    #[must_use]
    pub fn kind(self) -> DefinitionKind {
        match self {
            Self::Schema(_) => DefinitionKind::Schema,
            Self::Template(_) => DefinitionKind::Template,
        }
    }
}

impl fmt::Display for DefinitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(id) => id.fmt(f),
            Self::Template(id) => id.fmt(f),
        }
    }
}

impl FromStr for DefinitionId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.parse::<TemplateId>() {
            Ok(id) => Ok(Self::Template(id)),
            Err(_) => text.parse().map(Self::Schema),
        }
    }
}

impl Serialize for DefinitionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DefinitionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

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
#[error("expected a version such as 1.2.0, with numbers up to {NUMBER_MAX}")]
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
fn parse_numbers(text: &str) -> Result<Vec<u32>, InvalidVersion> {
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

/// Users who may see and use a definition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner.
    #[default]
    Private,
    /// The members of one team.
    Team,
    /// The members of the organisation.
    Organisation,
    /// The members of every organisation of the gateway.
    Public,
}

impl Visibility {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Public => "public",
        }
    }
}

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
    /// What follows the `@` is no version and no label.
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

/// Definitions that a request refers to, before they are applied to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DefinitionOptions {
    /// Reference to the schema of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Reference to the template of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Values of the template's variables.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

/// The version of a definition that a request was carried out with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppliedDefinition {
    /// Id of the definition; of a built-in one its name.
    #[schema(example = "sch_01J9ZX5V2QH8N4T6W0C3M7K1RB")]
    pub id: String,
    /// Name of the definition.
    #[schema(example = "invoice")]
    pub name: String,
    /// Version, as `major.minor.patch`.
    #[schema(value_type = String, example = "1.0.0")]
    pub version: SemanticVersion,
}

impl fmt::Display for AppliedDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// The definitions that a request was carried out with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppliedDefinitions {
    /// The schema of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<AppliedDefinition>,
    /// The template of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<AppliedDefinition>,
}

impl AppliedDefinitions {
    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schema.is_none() && self.template.is_none()
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

    #[test]
    fn references_name_a_definition_and_a_version() {
        let parse = |text: &str| DefinitionReference::parse(DefinitionKind::Schema, text);
        let selector = |text: &str| parse(text).unwrap().selector;
        assert_eq!(selector("invoice"), VersionSelector::Latest);
        assert_eq!(selector("invoice@latest"), VersionSelector::Latest);
        assert_eq!(selector("invoice@1.2.0"), VersionSelector::Exact(version("1.2.0")));
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
