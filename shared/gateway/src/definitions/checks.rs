//! Checks of definitions before they are stored: names, texts, labels, visibility, and the schemas of templates.

use hearth_domain::{
    DefinitionKind, DefinitionReference, DefinitionSubject, SemanticVersion, TeamId, Visibility,
    definition::LABEL_MAX_CHARS, is_label,
};
use hearth_store::definitions::DefinitionRecord;
use hearth_wire::{ApiError, ErrorCode};

use super::{
    Definitions,
    access::is_admin,
    content::{Content, NewContent},
    resolve::{Definition, parse},
};
use crate::{access::Caller, error};

/// Limits of a definition.
const TEXT_MAX_CHARS: usize = 1_000;
const TAG_MAX_COUNT: usize = 16;
const TAG_MAX_CHARS: usize = 40;

impl Definitions {
    /// Checks a content for a definition. The reference of a template to its schema is replaced by the schema's id: a name means
    /// different schemas to different callers.
    pub(super) async fn checked(
        &self,
        caller: &Caller,
        content: NewContent,
        record: &DefinitionRecord,
    ) -> Result<Content, ApiError> {
        let mut content = content;
        if let NewContent::Template(template) = &mut content
            && let Some(reference) = &template.schema_id
        {
            let param = "template.schema_id";
            let parsed = parse(DefinitionKind::Schema, reference, param)?;
            let resolved = self.resolve(caller, DefinitionKind::Schema, reference).await;
            let schema = resolved.map_err(|error| error.at(param))?.definition;
            require_shared(&schema, record, param)?;
            template.schema_id = Some(match reference.split_once('@') {
                Some(_) => format!("{}@{}", schema.id(), parsed.selector),
                None => schema.id(),
            });
        }
        content.check().await
    }

    /// Checks that everybody who may see a template may see the schema of its latest version.
    pub(super) async fn check_schema_is_shared(
        &self,
        caller: &Caller,
        after: &DefinitionRecord,
    ) -> Result<(), ApiError> {
        if after.id.kind() == DefinitionKind::Schema {
            return Ok(());
        }
        let content = self.content(after.id, after.latest).await?;
        let Content::Template(template) = &*content else { return Ok(()) };
        let Some(reference) = &template.content.schema_id else { return Ok(()) };
        let schema = self.resolve(caller, DefinitionKind::Schema, reference).await?;
        require_shared(&schema.definition, after, "visibility")
    }

    /// Notes that a template names a schema, so that the schema isn't deleted.
    pub(super) async fn note_use(
        &self,
        record: &DefinitionRecord,
        content: &Content,
    ) -> Result<(), ApiError> {
        let Content::Template(template) = content else { return Ok(()) };
        let Some(reference) = &template.content.schema_id else { return Ok(()) };
        let parsed = DefinitionReference::parse(DefinitionKind::Schema, reference);
        let Ok(DefinitionReference { subject: DefinitionSubject::Id(schema), .. }) = parsed else {
            return Ok(());
        };
        let store = self.store.definitions();
        let schema: Option<DefinitionRecord> = store.get(schema).await.map_err(error::store)?;
        if let Some(schema) = schema.filter(|schema| schema.organisation == record.organisation) {
            store.note_use(schema.id, record.id).await.map_err(error::store)?;
        }
        Ok(())
    }

    /// Checks that the caller may give a definition this visibility.
    pub(super) async fn check_visibility(
        &self,
        caller: &Caller,
        visibility: Visibility,
        team: Option<TeamId>,
    ) -> Result<(), ApiError> {
        match (visibility, team) {
            (Visibility::Team, None) => {
                Err(ApiError::invalid("team", "team is missing: visibility team needs one"))
            }
            (Visibility::Team, Some(team)) => {
                let store = self.store.organisations();
                let exists = store.team(caller.organisation, team).await.map_err(error::store)?.is_some();
                if exists && (caller.teams.contains(&team) || is_admin(caller)) {
                    return Ok(());
                }
                let message = "there is no such team of which you are a member";
                Err(ApiError::new(ErrorCode::NotFound, message).at("team"))
            }
            (_, Some(_)) => Err(ApiError::invalid("team", "team goes with visibility team; leave it out")),
            (Visibility::Public, None) if !is_admin(caller) => {
                let message = "only an owner or an admin of the organisation may make a definition public";
                Err(ApiError::new(ErrorCode::Forbidden, message).at("visibility"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the name of a definition is free in its scope.
    pub(super) async fn check_name(&self, record: &DefinitionRecord) -> Result<(), ApiError> {
        let store = self.store.definitions();
        let named =
            store.named(record.id.kind(), record.scope(), &record.name).await.map_err(error::store)?;
        match named.filter(|named| named.id != record.id) {
            Some(_) => Err(name_is_taken(record)),
            None => Ok(()),
        }
    }
}

/// Checks that a template's schema is visible to everybody who sees the template.
fn require_shared(schema: &Definition, template: &DefinitionRecord, param: &str) -> Result<(), ApiError> {
    let Definition::Stored(schema) = schema else { return Ok(()) };
    let is_shared = match (template.visibility, schema.visibility) {
        (_, Visibility::Public) | (Visibility::Private, _) => true,
        (Visibility::Team, Visibility::Team) => schema.team == template.team,
        (Visibility::Team | Visibility::Organisation, Visibility::Organisation) => true,
        _ => false,
    };
    if is_shared {
        return Ok(());
    }
    let message = format!(
        "the template is visible to {}, and its schema {} is {}; share the schema first",
        template.visibility.as_str(),
        schema.name,
        schema.visibility.as_str()
    );
    Err(ApiError::invalid(param, message))
}

pub(super) fn expect_label(
    label: &str,
    current: Option<SemanticVersion>,
    expected: Option<SemanticVersion>,
) -> Result<(), ApiError> {
    if current == expected {
        return Ok(());
    }
    let shown =
        |version: Option<SemanticVersion>| version.map_or("no version".to_owned(), |one| one.to_string());
    let message = format!("{label} points to {}, and not to {}", shown(current), shown(expected));
    let error = ApiError::new(ErrorCode::Conflict, message).at("expected");
    Err(error.with("current", current.map(|version| version.to_string())))
}

pub(super) fn check_label(label: &str) -> Result<(), ApiError> {
    if is_label(label) {
        return Ok(());
    }
    let message = format!(
        "a label has 1 to {LABEL_MAX_CHARS} characters: a lower case letter first, then letters, digits, - and _; it isn't latest"
    );
    Err(ApiError::invalid("label", message))
}

/// Checks a description; an empty one is none.
pub(super) fn check_description(text: String) -> Result<Option<String>, ApiError> {
    if text.chars().count() > TEXT_MAX_CHARS {
        let message = format!("description must have at most {TEXT_MAX_CHARS} characters");
        return Err(ApiError::invalid("description", message));
    }
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

pub(super) fn check_message(message: Option<String>) -> Result<Option<String>, ApiError> {
    match message {
        Some(text) if text.chars().count() > TEXT_MAX_CHARS => Err(ApiError::invalid(
            "message",
            format!("message must have at most {TEXT_MAX_CHARS} characters"),
        )),
        message => Ok(message.filter(|text| !text.trim().is_empty())),
    }
}

pub(super) fn check_tags(tags: Vec<String>) -> Result<Vec<String>, ApiError> {
    if tags.len() > TAG_MAX_COUNT {
        return Err(ApiError::invalid("tags", format!("tags must be at most {TAG_MAX_COUNT}")));
    }
    let is_good = |tag: &String| {
        let length = tag.chars().count();
        (1..=TAG_MAX_CHARS).contains(&length) && !tag.contains([',', '\n']) && tag.trim() == tag
    };
    if let Some(index) = tags.iter().position(|tag| !is_good(tag)) {
        let message = format!("a tag must have 1 to {TAG_MAX_CHARS} characters, without commas");
        return Err(ApiError::invalid(format!("tags[{index}]"), message));
    }
    Ok(tags)
}

pub(super) fn name_is_taken(record: &DefinitionRecord) -> ApiError {
    let message = format!(
        "there is a {} {} of this visibility already; add a version to it, or choose another name",
        record.id.kind().as_str(),
        record.name
    );
    ApiError::new(ErrorCode::Conflict, message).at("name")
}
