//! Definitions: named schemas of answers and templates of prompts, in immutable versions.
//!
//! - `resolve`: a reference such as `invoice@production` to a version that the caller may use; `access`: which those are.
//! - `apply`: applies the schema and the template of a request to its task, before the cache is looked up.
//! - `create`, `update`, `change`: creates definitions, adds versions, changes, labels and deletes; `checks`: before they are stored.
//! - `listing`: lists, versions and differences; `body`: forms of answers.
//! - `content`: checks a content, and compiles it; `sandbox`: renders templates of users within bounds.
//! - `compatibility`: compares two contents, from which the number of a new version follows; `diff`: their differences.
//! - `built_in`: the definitions that every gateway has.
//!
//! The versions of a definition never change, so they are cached in compiled form. Its record, with the latest version and the
//! labels, is read for each request.

mod access;
mod apply;
mod body;
mod built_in;
mod change;
mod checks;
mod compatibility;
mod content;
mod create;
mod diff;
mod listing;
mod resolve;
mod sandbox;
mod update;

use std::{sync::Arc, time::Duration};

use hearth_domain::{
    AppliedDefinition, DefinitionId, DefinitionKind, Generation, Message, Sampling, SemanticVersion,
};
use hearth_store::Store;
use hearth_wire::{ApiError, ErrorCode};
use serde_json::{Map, Value};

use crate::{access::Caller, error, keys::GatewayKeys, timed_cache::TimedCache};
use content::Content;

pub(crate) use apply::RenderedUse;

/// Time for which a compiled version is cached.
const VERSION_TTL: Duration = Duration::from_secs(600);
/// Limit of the compiled versions in memory.
const VERSION_MAX_COUNT: usize = 128;

/// Schemas and templates.
#[derive(Debug)]
pub struct Definitions {
    store: Store,
    keys: Arc<GatewayKeys>,
    /// Compiled versions.
    versions: TimedCache<(DefinitionId, SemanticVersion), Arc<Content>>,
}

/// A schema that a reference leads to.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedSchema {
    /// The version.
    pub(crate) definition: AppliedDefinition,
    /// The purpose of the schema.
    pub(crate) description: Option<String>,
    /// The JSON Schema.
    pub(crate) schema: Value,
}

/// A template that is rendered with the variables of a request.
#[derive(Debug, Clone)]
pub(crate) struct RenderedTemplate {
    /// The version.
    pub(crate) definition: AppliedDefinition,
    /// The messages, system messages first.
    pub(crate) messages: Vec<Message>,
    /// Reference to the schema of the answer.
    pub(crate) schema: Option<String>,
    /// Model for a request that names none.
    pub(crate) model: Option<String>,
    /// Parameters for a request that doesn't have them.
    pub(crate) sampling: Sampling,
}

impl Definitions {
    /// The definitions in `store`.
    pub(crate) fn new(store: Store, keys: Arc<GatewayKeys>) -> Self {
        Self { store, keys, versions: TimedCache::new(VERSION_TTL, VERSION_MAX_COUNT) }
    }

    /// Applies the schema and the template of a request to its task, with the template's messages before the message with the
    /// number `at`, or the first one that is no system message. Returns those that were added behind the system messages.
    ///
    /// # Errors
    /// `not_found` or `invalid_request`, naming the field.
    #[crate::boxed_future]
    pub async fn apply_at(
        &self,
        caller: &Caller,
        generation: &mut Generation,
        at: Option<usize>,
    ) -> Result<Vec<Message>, ApiError> {
        self.apply(caller, generation, RenderedUse::Messages(at)).await
    }

    /// The schema that a reference leads to.
    ///
    /// # Errors
    /// `not_found` or `invalid_request`, at `schema_id`.
    pub(crate) async fn schema(&self, caller: &Caller, reference: &str) -> Result<ResolvedSchema, ApiError> {
        let resolved = self.resolve(caller, DefinitionKind::Schema, reference).await?;
        let definition = resolved.applied();
        let description = resolved.definition.description().map(str::to_owned);
        match &*resolved.content {
            Content::Schema(schema) => Ok(ResolvedSchema { definition, description, schema: schema.clone() }),
            Content::Template(_) => Err(error::internal(&"a schema has the content of a template")),
        }
    }

    /// The schema that a run has begun with, also if the caller may not use it any more; none if it is deleted.
    ///
    /// # Errors
    /// `internal` if the store can't be read.
    pub(crate) async fn applied_schema(
        &self,
        applied: &AppliedDefinition,
    ) -> Result<Option<Value>, ApiError> {
        let content = match applied.id.parse::<DefinitionId>() {
            Ok(id) => match self.content(id, applied.version).await {
                Ok(content) => content,
                Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(error),
            },
            Err(_) => match built_in::named(DefinitionKind::Schema, &applied.id) {
                Some(built_in) if built_in.version == applied.version => Arc::clone(&built_in.content),
                _ => return Ok(None),
            },
        };
        match &*content {
            Content::Schema(schema) => Ok(Some(schema.clone())),
            Content::Template(_) => Err(error::internal(&"a schema has the content of a template")),
        }
    }

    /// Renders the template that a reference leads to.
    ///
    /// # Errors
    /// `not_found` or `invalid_request`, at `template_id`; `invalid_request` at `variables.<name>` for a variable that is missing,
    /// unknown, or doesn't fit.
    pub(crate) async fn render(
        &self,
        caller: &Caller,
        reference: &str,
        variables: Map<String, Value>,
    ) -> Result<RenderedTemplate, ApiError> {
        let resolved = self.resolve(caller, DefinitionKind::Template, reference).await?;
        let definition = resolved.applied();
        let content = Arc::clone(&resolved.content);
        let rendered = tokio::task::spawn_blocking(move || match &*content {
            Content::Template(template) => {
                let messages = template.render(variables)?;
                let (schema, model) = (template.content.schema_id.clone(), template.content.model.clone());
                Ok(RenderedTemplate { definition, messages, schema, model, sampling: template.sampling() })
            }
            Content::Schema(_) => Err(error::internal(&"a template has the content of a schema")),
        });
        rendered.await.map_err(|error| error::internal(&error))?
    }
}
