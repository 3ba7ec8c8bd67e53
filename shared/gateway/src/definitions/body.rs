//! Definitions as answers show them.

use std::collections::BTreeMap;

use hearth_domain::{SemanticVersion, Visibility};
use hearth_store::definitions::{DefinitionRecord, DefinitionVersion};
use hearth_wire::{
    ApiError,
    native::definitions::{
        CompatibilityBody, DefinitionEntry, StoredSchemaBody, StoredTemplateBody, VersionBody, VersionHead,
    },
};

use super::{
    access::may_change,
    built_in::BuiltIn,
    compatibility::Comparison,
    content::Content,
    resolve::{Definition, Resolved},
};
use crate::{access::Caller, error};

/// A definition without its versions.
pub(super) fn entry(caller: &Caller, definition: &Definition) -> DefinitionEntry {
    match definition {
        Definition::BuiltIn(built_in) => built_in_entry(built_in),
        Definition::Stored(record) => stored_entry(caller, record),
    }
}

pub(super) fn built_in_entry(built_in: &BuiltIn) -> DefinitionEntry {
    DefinitionEntry {
        id: built_in.name.to_owned(),
        object: built_in.kind,
        name: built_in.name.to_owned(),
        description: Some(built_in.description.clone()),
        tags: built_in.tags.clone(),
        visibility: Visibility::Public,
        team: None,
        built_in: true,
        may_change: false,
        latest_version: built_in.version,
        version_count: 1,
        labels: BTreeMap::new(),
        owner: None,
        created_at: None,
        updated_at: None,
    }
}

pub(super) fn stored_entry(caller: &Caller, record: &DefinitionRecord) -> DefinitionEntry {
    let is_own = record.organisation == caller.organisation;
    DefinitionEntry {
        id: record.id.to_string(),
        object: record.id.kind(),
        name: record.name.clone(),
        description: record.description.clone(),
        tags: record.tags.clone(),
        visibility: record.visibility,
        team: record.team.filter(|_| is_own).map(|team| team.to_string()),
        built_in: false,
        may_change: may_change(caller, record),
        latest_version: record.latest,
        version_count: record.version_count,
        labels: record.labels.clone(),
        // Ids of members aren't shown to other organisations.
        owner: is_own.then(|| record.owner.to_string()),
        created_at: Some(record.created_at),
        updated_at: Some(record.updated_at),
    }
}

/// A version without its content.
pub(super) fn version_body(
    caller: &Caller,
    record: &DefinitionRecord,
    version: DefinitionVersion,
) -> VersionBody {
    let DefinitionVersion { version, message, author, sha256, created_at } = version;
    let labels = record.labels.iter().filter(|(_, labelled)| **labelled == version);
    VersionBody {
        version,
        labels: labels.map(|(label, _)| label.clone()).collect(),
        message,
        author: Some(author).filter(|_| record.organisation == caller.organisation),
        sha256,
        created_at: Some(created_at),
    }
}

/// A schema in one version.
///
/// # Errors
/// `internal` if it has another content.
pub(super) fn schema_body(
    caller: &Caller,
    resolved: &Resolved,
    message: Option<String>,
) -> Result<StoredSchemaBody, ApiError> {
    let Content::Schema(schema) = &*resolved.content else {
        return Err(error::internal(&"a schema has the content of a template"));
    };
    let version = VersionHead { version: resolved.version, message };
    Ok(StoredSchemaBody { definition: entry(caller, &resolved.definition), version, schema: schema.clone() })
}

/// A template in one version.
///
/// # Errors
/// `internal` if it has another content.
pub(super) fn template_body(
    caller: &Caller,
    resolved: &Resolved,
    message: Option<String>,
) -> Result<StoredTemplateBody, ApiError> {
    let Content::Template(template) = &*resolved.content else {
        return Err(error::internal(&"a template has the content of a schema"));
    };
    let version = VersionHead { version: resolved.version, message };
    let definition = entry(caller, &resolved.definition);
    Ok(StoredTemplateBody { definition, version, template: template.content.clone() })
}

/// A comparison with the version `from`; `next`: the number that a new version gets.
pub(super) fn compatibility_body(
    comparison: Comparison,
    from: Option<SemanticVersion>,
    next: Option<SemanticVersion>,
) -> CompatibilityBody {
    let Comparison { breaking, warnings, change } = comparison;
    let compatible = breaking.is_empty();
    CompatibilityBody { version: from, compatible, change, next_version: next, breaking, warnings }
}
