//! Resolves references to versions that the caller may use.

use std::sync::Arc;

use futures::future::try_join_all;
use hearth_domain::{
    AppliedDefinition, DefinitionId, DefinitionKind, DefinitionReference, DefinitionSubject, SemanticVersion,
    VersionSelector,
};
use hearth_store::definitions::DefinitionRecord;
use hearth_wire::{ApiError, ErrorCode};

use super::{
    Definitions,
    access::{may_see, scopes},
    built_in::{self, BuiltIn},
    content::{Content, NewContent},
};
use crate::{access::Caller, error};

/// A definition that the caller may use.
#[derive(Debug, Clone)]
pub(super) enum Definition {
    /// One that every gateway has.
    BuiltIn(&'static BuiltIn),
    /// A stored one.
    Stored(Box<DefinitionRecord>),
}

/// A version that a reference leads to.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The definition.
    pub(super) definition: Definition,
    /// The number of the version.
    pub(super) version: SemanticVersion,
    /// The content of the version.
    pub(super) content: Arc<Content>,
}

impl Definition {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::BuiltIn(built_in) => built_in.name,
            Self::Stored(record) => &record.name,
        }
    }

    /// Its id; of a built-in one its name.
    pub(super) fn id(&self) -> String {
        match self {
            Self::BuiltIn(built_in) => built_in.name.to_owned(),
            Self::Stored(record) => record.id.to_string(),
        }
    }

    /// Its purpose.
    pub(super) fn description(&self) -> Option<&str> {
        match self {
            Self::BuiltIn(built_in) => Some(&built_in.description),
            Self::Stored(record) => record.description.as_deref(),
        }
    }

    /// The latest version.
    pub(super) fn latest(&self) -> SemanticVersion {
        match self {
            Self::BuiltIn(built_in) => built_in.version,
            Self::Stored(record) => record.latest,
        }
    }
}

impl Resolved {
    /// The version, for the answer and the record of a request.
    pub(super) fn applied(&self) -> AppliedDefinition {
        AppliedDefinition {
            id: self.definition.id(),
            name: self.definition.name().to_owned(),
            version: self.version,
        }
    }
}

impl Definitions {
    /// The version that a reference of a request leads to.
    ///
    /// # Errors
    /// `not_found` or `invalid_request`, at the field of the kind.
    pub(super) async fn resolve(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
    ) -> Result<Resolved, ApiError> {
        let reference = parse(kind, reference, kind.field())?;
        let resolved = async {
            let definition = self.find(caller, kind, &reference.subject).await?;
            let version = self.select(&definition, &reference.selector).await?;
            self.load(definition, version).await
        };
        resolved.await.map_err(|error| match error.code {
            ErrorCode::NotFound => error.at(kind.field()),
            _ => error,
        })
    }

    /// The definition with this id or name. A name is looked up among the caller's own, those of the caller's teams, those of the
    /// organisation, and the built-in ones, in this order: a stored one hides a built-in one of its name.
    ///
    /// # Errors
    /// `not_found` if there is none that the caller may see.
    pub(super) async fn find(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        subject: &DefinitionSubject,
    ) -> Result<Definition, ApiError> {
        let store = self.store.definitions();
        let stored = match subject {
            DefinitionSubject::Id(id) => store.get(*id).await.map_err(error::store)?,
            DefinitionSubject::Name(name) => {
                let lookups = scopes(caller).into_iter().map(|scope| store.named(kind, scope, name));
                try_join_all(lookups).await.map_err(error::store)?.into_iter().flatten().next()
            }
        };
        if let Some(record) = stored.filter(|record| may_see(caller, record)) {
            return Ok(Definition::Stored(Box::new(record)));
        }
        let built_in = match subject {
            DefinitionSubject::Name(name) => built_in::named(kind, name),
            DefinitionSubject::Id(_) => None,
        };
        built_in.map(Definition::BuiltIn).ok_or_else(|| no_definition(kind, subject))
    }

    /// The version of a definition that a selector leads to.
    ///
    /// # Errors
    /// `not_found` if there is none.
    pub(super) async fn select(
        &self,
        definition: &Definition,
        selector: &VersionSelector,
    ) -> Result<SemanticVersion, ApiError> {
        let record = match definition {
            Definition::Stored(record) => record,
            Definition::BuiltIn(built_in) => {
                let version = built_in.version;
                let fits = match selector {
                    VersionSelector::Latest => true,
                    VersionSelector::Exact(exact) => *exact == version,
                    VersionSelector::Within { major, minor } => {
                        *major == version.major && minor.is_none_or(|minor| minor == version.minor)
                    }
                    VersionSelector::Label(_) => false,
                };
                return if fits { Ok(version) } else { Err(no_version(definition, selector)) };
            }
        };
        let store = self.store.definitions();
        let version = match selector {
            VersionSelector::Latest => Some(record.latest),
            VersionSelector::Label(label) => record.labels.get(label).copied(),
            VersionSelector::Exact(version) if *version == record.latest => Some(*version),
            VersionSelector::Exact(version) => {
                let cached = self.versions.get(&(record.id, *version)).is_some();
                let exists =
                    cached || store.version(record.id, *version).await.map_err(error::store)?.is_some();
                exists.then_some(*version)
            }
            VersionSelector::Within { major, minor } => {
                store.latest_within(record.id, *major, *minor).await.map_err(error::store)?
            }
        };
        version.ok_or_else(|| no_version(definition, selector))
    }

    /// A version with its compiled content.
    ///
    /// # Errors
    /// `internal` if it can't be read or compiled.
    pub(super) async fn load(
        &self,
        definition: Definition,
        version: SemanticVersion,
    ) -> Result<Resolved, ApiError> {
        let content = match &definition {
            Definition::BuiltIn(built_in) => Arc::clone(&built_in.content),
            Definition::Stored(record) => self.content(record.id, version).await?,
        };
        Ok(Resolved { definition, version, content })
    }

    /// The compiled content of a stored version.
    pub(super) async fn content(
        &self,
        id: DefinitionId,
        version: SemanticVersion,
    ) -> Result<Arc<Content>, ApiError> {
        if let Some(content) = self.versions.get(&(id, version)) {
            return Ok(content);
        }
        let json = self.store.definitions().content(id, version).await.map_err(error::store)?;
        let json = json.ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotFound,
                format!("{id} has no version {version}; it may have been deleted"),
            )
        })?;
        let content = NewContent::parse(id.kind(), &json).map_err(|error| error::internal(&error))?;
        // It was checked when it was stored.
        let content = content.check().await.map_err(|error| error::internal(&error.message))?;
        let content = Arc::new(content);
        self.versions.put((id, version), Arc::clone(&content));
        Ok(content)
    }
}

/// Parses a reference in the field `param`.
///
/// # Errors
/// `invalid_request`, at the field.
pub(super) fn parse(kind: DefinitionKind, text: &str, param: &str) -> Result<DefinitionReference, ApiError> {
    DefinitionReference::parse(kind, text)
        .map_err(|problem| ApiError::invalid(param, format!("{param} {problem}")))
}

fn no_definition(kind: DefinitionKind, subject: &DefinitionSubject) -> ApiError {
    let shown = match subject {
        DefinitionSubject::Id(id) => id.to_string(),
        DefinitionSubject::Name(name) => name.clone(),
    };
    let kind = kind.as_str();
    let message = format!("there is no {kind} {shown:?} that you may use; GET /v1/{kind}s lists them");
    ApiError::new(ErrorCode::NotFound, message)
}

fn no_version(definition: &Definition, selector: &VersionSelector) -> ApiError {
    let name = definition.name();
    let message = match (selector, definition) {
        (VersionSelector::Label(label), Definition::Stored(record)) if !record.labels.is_empty() => {
            let labels: Vec<&str> = record.labels.keys().map(String::as_str).collect();
            format!("{name} has no label {label:?}; labels: {}", labels.join(", "))
        }
        (VersionSelector::Label(label), _) => format!("{name} has no label {label:?}, and no other"),
        _ => format!("{name} has no version {selector}; the latest is {}", definition.latest()),
    };
    ApiError::new(ErrorCode::NotFound, message)
}
