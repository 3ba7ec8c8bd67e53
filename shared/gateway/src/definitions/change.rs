//! Changes, labels and deletes definitions.

use hearth_domain::{DefinitionKind, SemanticVersion, Timestamp, Visibility};
use hearth_store::{StoreError, definitions::DefinitionRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::definitions::{ChangeDefinition, DefinitionDeleted, DefinitionEntry, MoveLabel},
};

use super::{
    Definitions,
    access::{may_see, require_change},
    body::stored_entry,
    checks::{check_description, check_label, check_tags, expect_label},
    resolve::Definition,
};
use crate::{access::Caller, error};

const LABEL_MAX_COUNT: usize = 20;
/// Attempts at a change while others change the same definition.
pub(super) const CHANGE_MAX_ATTEMPTS: usize = 8;
/// Templates that the refusal of a deletion names.
const USERS_MAX_COUNT: usize = 5;

impl Definitions {
    /// Changes the fields of a definition that have no versions.
    ///
    /// # Errors
    /// `not_found`, `forbidden`; `invalid_request`, naming the field; `conflict` if its name is taken in its new scope.
    #[crate::boxed_future]
    pub async fn change(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        request: ChangeDefinition,
    ) -> Result<DefinitionEntry, ApiError> {
        let description = request.description.map(check_description).transpose()?;
        let tags = request.tags.map(check_tags).transpose()?;
        let (description, tags) = (description.as_ref(), tags.as_ref());
        let record = self
            .retry(caller, kind, reference, |before| async move {
                let mut after = before.clone();
                if let Some(description) = description {
                    after.description.clone_from(description);
                }
                if let Some(tags) = tags {
                    after.tags.clone_from(tags);
                }
                if request.visibility.is_some() || request.team.is_some() {
                    after.visibility = request.visibility.unwrap_or(before.visibility);
                    after.team =
                        request.team.or(before.team).filter(|_| after.visibility == Visibility::Team);
                    self.check_visibility(caller, after.visibility, after.team).await?;
                    if after.visibility == Visibility::Private && before.owner != caller.user {
                        let message = "only its author can make it private: nobody else would see it";
                        return Err(ApiError::new(ErrorCode::Forbidden, message).at("visibility"));
                    }
                    self.check_schema_is_shared(caller, &after).await?;
                    if after.scope() != before.scope() {
                        self.check_name(&after).await?;
                    }
                }
                after.updated_at = Timestamp::now();
                Ok((before, after))
            })
            .await?;
        Ok(stored_entry(caller, &record))
    }

    /// Has a label point to a version.
    ///
    /// # Errors
    /// `not_found`, `forbidden`; `invalid_request` for a bad label, and one too many; `conflict` if it doesn't point to the
    /// expected version.
    #[crate::boxed_future]
    pub async fn move_label(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        label: &str,
        request: &MoveLabel,
    ) -> Result<DefinitionEntry, ApiError> {
        check_label(label)?;
        let record = self
            .retry(caller, kind, reference, |before| async move {
                let current = before.labels.get(label).copied();
                if let Some(expected) = request.expected {
                    expect_label(label, current, expected)?;
                }
                if current.is_none() && before.labels.len() >= LABEL_MAX_COUNT {
                    let message = format!("a {} may have at most {LABEL_MAX_COUNT} labels", kind.as_str());
                    return Err(ApiError::new(ErrorCode::Conflict, message));
                }
                let version = self.store.definitions().version(before.id, request.version).await;
                if version.map_err(error::store)?.is_none() {
                    let message =
                        format!("there is no version {}; the latest is {}", request.version, before.latest);
                    return Err(ApiError::new(ErrorCode::NotFound, message).at("version"));
                }
                let mut after = before.clone();
                after.labels.insert(label.to_owned(), request.version);
                after.updated_at = Timestamp::now();
                Ok((before, after))
            })
            .await?;
        Ok(stored_entry(caller, &record))
    }

    /// Removes a label.
    ///
    /// # Errors
    /// `not_found`, `forbidden`; `conflict` if it doesn't point to the expected version.
    #[crate::boxed_future]
    pub async fn remove_label(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        label: &str,
        expected: Option<SemanticVersion>,
    ) -> Result<DefinitionEntry, ApiError> {
        let record = self
            .retry(caller, kind, reference, |before| async move {
                let Some(current) = before.labels.get(label).copied() else {
                    let message = format!("{} has no such label", before.name);
                    return Err(ApiError::new(ErrorCode::NotFound, message));
                };
                if expected.is_some() {
                    expect_label(label, Some(current), expected)?;
                }
                let mut after = before.clone();
                after.labels.remove(label);
                after.updated_at = Timestamp::now();
                Ok((before, after))
            })
            .await?;
        Ok(stored_entry(caller, &record))
    }

    /// Deletes a definition with its versions. One that is in use is refused: one with a label, and a schema that a template of
    /// its organisation names.
    ///
    /// # Errors
    /// `not_found`, `forbidden`; `conflict`, with the labels or the templates.
    #[crate::boxed_future]
    pub async fn delete(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
    ) -> Result<DefinitionDeleted, ApiError> {
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let record = self.changeable(caller, kind, reference).await?;
            if !record.labels.is_empty() {
                let labels: Vec<&str> = record.labels.keys().map(String::as_str).collect();
                let message = format!(
                    "{} has labels, by which requests use it: {}; remove them first",
                    record.name,
                    labels.join(", ")
                );
                return Err(ApiError::new(ErrorCode::Conflict, message).with("labels", labels));
            }
            let store = self.store.definitions();
            if kind == DefinitionKind::Schema {
                let users = store.users_of(record.id, USERS_MAX_COUNT).await.map_err(error::store)?;
                if !users.is_empty() {
                    // A template that the caller doesn't see is counted, and not named.
                    let seen = users.iter().filter(|user| may_see(caller, user));
                    let names: Vec<&str> = seen.map(|user| user.name.as_str()).collect();
                    let message = format!(
                        "{} is the schema of templates ({}); delete them first",
                        record.name,
                        if names.is_empty() { "of other users".to_owned() } else { names.join(", ") }
                    );
                    return Err(ApiError::new(ErrorCode::Conflict, message).with("templates", names));
                }
            }
            match store.delete(&record).await {
                Ok(()) => return Ok(DefinitionDeleted { id: record.id.to_string(), deleted: true }),
                Err(StoreError::Conflict) => {}
                Err(failure) => return Err(error::store(failure)),
            }
        }
        Err(busy(kind))
    }

    /// The stored definition that a reference of a path leads to, if the caller may change it.
    pub(super) async fn changeable(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
    ) -> Result<DefinitionRecord, ApiError> {
        match self.definition(caller, kind, reference).await? {
            Definition::BuiltIn(built_in) => {
                let message = format!(
                    "{} is built in, and can't be changed; create one of your own from it",
                    built_in.name
                );
                Err(ApiError::new(ErrorCode::Forbidden, message))
            }
            Definition::Stored(record) => {
                require_change(caller, &record)?;
                // A copy in a list has the same fields.
                Ok(*record)
            }
        }
    }

    /// Stores what `change` makes of a record. It may be called several times, as others change the record too.
    async fn retry<F>(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        change: impl Fn(DefinitionRecord) -> F,
    ) -> Result<DefinitionRecord, ApiError>
    where
        F: Future<Output = Result<(DefinitionRecord, DefinitionRecord), ApiError>>,
    {
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let record = self.changeable(caller, kind, reference).await?;
            let (before, after) = change(record).await?;
            match self.store.definitions().update(&before, after, None).await {
                Ok(record) => return Ok(record),
                Err(StoreError::Conflict) => {}
                Err(failure) => return Err(error::store(failure)),
            }
        }
        Err(busy(kind))
    }
}

pub(super) fn busy(kind: DefinitionKind) -> ApiError {
    let message = format!("others change this {} at the same time; try again", kind.as_str());
    ApiError::new(ErrorCode::Conflict, message)
}
