//! Adds versions to definitions, and compares changed contents with stored ones.

use std::sync::Arc;

use hearth_auth::sha256_hex;
use hearth_domain::{SemanticVersion, Timestamp, VersionChange};
use hearth_store::{
    StoreError,
    definitions::{DefinitionRecord, DefinitionVersion},
};
use hearth_wire::{
    ApiError, ErrorCode,
    native::definitions::{
        CheckSchema, CheckTemplate, CompatibilityBody, NewVersion, StoredSchemaBody, StoredTemplateBody,
        UpdateSchema, UpdateTemplate,
    },
};

use super::{
    Definitions,
    access::may_change,
    body::{compatibility_body, schema_body, template_body},
    change::{CHANGE_MAX_ATTEMPTS, busy},
    checks::check_message,
    compatibility::{Comparison, compare},
    content::{Content, NewContent},
    resolve::{Definition, Resolved, parse},
};
use crate::{access::Caller, error};

/// Limit of the versions of a definition: none is ever deleted alone.
const VERSION_MAX_COUNT: u32 = 500;

impl Definitions {
    /// Stores a new version of a schema. Where nothing has changed, the latest one is returned.
    ///
    /// # Errors
    /// `not_found`, `forbidden`; `invalid_request`, naming the field, also for a number that is too small for the change;
    /// `conflict` if the latest version isn't the expected one.
    #[crate::boxed_future]
    pub async fn update_schema(
        &self,
        caller: &Caller,
        reference: &str,
        request: UpdateSchema,
    ) -> Result<StoredSchemaBody, ApiError> {
        let (schema, version) = request.into_parts();
        let message = version.message.clone();
        let resolved = self.update(caller, reference, NewContent::Schema(schema), version).await?;
        schema_body(caller, &resolved, message)
    }

    /// Stores a new version of a template.
    ///
    /// # Errors
    /// As [`Definitions::update_schema`].
    #[crate::boxed_future]
    pub async fn update_template(
        &self,
        caller: &Caller,
        reference: &str,
        request: UpdateTemplate,
    ) -> Result<StoredTemplateBody, ApiError> {
        let (template, version) = request.into_parts();
        let message = version.message.clone();
        let content = NewContent::Template(Box::new(template));
        let resolved = self.update(caller, reference, content, version).await?;
        template_body(caller, &resolved, message)
    }

    /// Compares a schema with a stored version, and stores nothing.
    ///
    /// # Errors
    /// `not_found`; `invalid_request`, naming the field.
    #[crate::boxed_future]
    pub async fn check_schema(
        &self,
        caller: &Caller,
        reference: &str,
        request: CheckSchema,
    ) -> Result<CompatibilityBody, ApiError> {
        self.check(caller, reference, NewContent::Schema(request.schema)).await
    }

    /// Compares a template with a stored version, and stores nothing.
    ///
    /// # Errors
    /// As [`Definitions::check_schema`].
    #[crate::boxed_future]
    pub async fn check_template(
        &self,
        caller: &Caller,
        reference: &str,
        request: CheckTemplate,
    ) -> Result<CompatibilityBody, ApiError> {
        self.check(caller, reference, NewContent::Template(Box::new(request.template))).await
    }

    async fn update(
        &self,
        caller: &Caller,
        reference: &str,
        content: NewContent,
        new: NewVersion,
    ) -> Result<Resolved, ApiError> {
        let kind = content.kind();
        let message = check_message(new.message.clone())?;
        let record = self.changeable(caller, kind, reference).await?;
        let content = Arc::new(self.checked(caller, content, &record).await?);
        let json = content.to_json().to_string();
        for _ in 0..CHANGE_MAX_ATTEMPTS {
            let before = self.changeable(caller, kind, reference).await?;
            if let Some(expected) = new.expected_version.filter(|expected| *expected != before.latest) {
                let message =
                    format!("the latest version is {}, and the change follows {expected}", before.latest);
                let error = ApiError::new(ErrorCode::Conflict, message).at("expected_version");
                return Err(error.with("latest_version", before.latest.to_string()));
            }
            let latest = self.content(before.id, before.latest).await?;
            let comparison = self.compare(latest, Arc::clone(&content)).await?;
            let Some(change) = comparison.change else {
                let version = before.latest;
                let definition = Definition::Stored(Box::new(before));
                return Ok(Resolved { definition, version, content });
            };
            if before.version_count >= VERSION_MAX_COUNT {
                let message = format!("a {} may have at most {VERSION_MAX_COUNT} versions", kind.as_str());
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
            let version = next_version(&new, before.latest, change, &comparison)?;
            let stored = version_of(caller, version, message.clone(), &json);
            let after = DefinitionRecord {
                latest: version,
                version_count: before.version_count + 1,
                updated_at: stored.created_at,
                ..before.clone()
            };
            self.note_use(&before, &content).await?;
            match self.store.definitions().update(&before, after, Some((&stored, &json))).await {
                Ok(record) => {
                    let definition = Definition::Stored(Box::new(record));
                    return Ok(Resolved { definition, version, content });
                }
                Err(StoreError::Conflict) => {}
                Err(failure) => return Err(error::store(failure)),
            }
        }
        Err(busy(kind))
    }

    async fn check(
        &self,
        caller: &Caller,
        reference: &str,
        content: NewContent,
    ) -> Result<CompatibilityBody, ApiError> {
        let kind = content.kind();
        let definition = self.definition(caller, kind, reference).await?;
        let version = self.select(&definition, &parse(kind, reference, "id")?.selector).await?;
        let before = self.load(definition.clone(), version).await?.content;
        let content = match &definition {
            Definition::Stored(record) if may_change(caller, record) => {
                self.checked(caller, content, record).await?
            }
            _ => content.check().await?,
        };
        let comparison = self.compare(before, Arc::new(content)).await?;
        let next = comparison.change.and_then(|change| definition.latest().after(change));
        Ok(compatibility_body(comparison, Some(version), next))
    }

    async fn compare(&self, before: Arc<Content>, after: Arc<Content>) -> Result<Comparison, ApiError> {
        let compared = tokio::task::spawn_blocking(move || compare(&before, &after));
        compared.await.map_err(|error| error::internal(&error))
    }
}

/// The number of a new version.
///
/// # Errors
/// `invalid_request` if the given one isn't later than the latest one, or is too small for the change.
fn next_version(
    new: &NewVersion,
    latest: SemanticVersion,
    needed: VersionChange,
    comparison: &Comparison,
) -> Result<SemanticVersion, ApiError> {
    let (given, param) = match (new.version, new.change) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid("version", "send version or change, not both"));
        }
        (Some(version), None) => match version.change_since(latest) {
            Some(_) => (version.change_since(latest), "version"),
            None => {
                let message = format!("version must be later than the latest one, which is {latest}");
                return Err(ApiError::invalid("version", message));
            }
        },
        (None, change) => (change, "change"),
    };
    if let Some(given) = given
        && given < needed
        && !new.force
    {
        let reason =
            comparison.breaking.first().map(|finding| format!(" ({}: {})", finding.path, finding.problem));
        let message = format!(
            "{param} is {} and the change needs {}{}; leave {param} out, or send force: true",
            given.as_str(),
            needed.as_str(),
            reason.unwrap_or_default()
        );
        let breaking: Vec<String> = comparison
            .breaking
            .iter()
            .map(|finding| format!("{}: {}", finding.path, finding.problem))
            .collect();
        return Err(ApiError::invalid(param, message).with("breaking", breaking));
    }
    let next = match new.version {
        Some(version) => Some(version),
        None => latest.after(given.unwrap_or(needed)),
    };
    next.ok_or_else(|| ApiError::new(ErrorCode::Conflict, "there is no larger version number"))
}

pub(super) fn version_of(
    caller: &Caller,
    version: SemanticVersion,
    message: Option<String>,
    json: &str,
) -> DefinitionVersion {
    DefinitionVersion {
        version,
        message,
        author: caller.credential_id(),
        sha256: sha256_hex(json.as_bytes()),
        created_at: Timestamp::now(),
    }
}
