//! Creates definitions, reads them, and renders templates without calling a model.

use std::{collections::BTreeMap, sync::Arc};

use hearth_domain::{
    DefinitionId, DefinitionKind, RevisionId, SemanticVersion, Timestamp,
    definition::DEFINITION_NAME_MAX_CHARS, is_definition_name,
};
use hearth_store::{StoreError, definitions::DefinitionRecord};
use hearth_wire::{
    ApiError, ErrorCode,
    native::definitions::{
        CreateSchema, CreateTemplate, DefinitionEntry, NewDefinition, RenderTemplate, RenderedBody,
        RenderedMessage, StoredSchemaBody, StoredTemplateBody, TemplateParameters,
    },
};

use super::{
    Definitions,
    body::{entry, schema_body, template_body},
    built_in,
    checks::{check_description, check_message, check_tags, name_is_taken},
    content::{Content, NewContent},
    resolve::{Definition, Resolved, parse},
    update::version_of,
};
use crate::{access::Caller, error};

/// Limit of the definitions of a kind in a scope.
const DEFINITION_MAX_COUNT: u32 = 500;

impl Definitions {
    /// Creates a schema.
    ///
    /// # Errors
    /// `invalid_request`, naming the field; `conflict` if the name is taken; `forbidden` for a visibility that the caller may not
    /// give.
    #[crate::boxed_future]
    pub async fn create_schema(
        &self,
        caller: &Caller,
        request: CreateSchema,
    ) -> Result<StoredSchemaBody, ApiError> {
        let (schema, definition) = request.into_parts();
        let message = definition.message.clone();
        let resolved = self.create(caller, NewContent::Schema(schema), definition).await?;
        schema_body(caller, &resolved, message)
    }

    /// Creates a template.
    ///
    /// # Errors
    /// As [`Definitions::create_schema`].
    #[crate::boxed_future]
    pub async fn create_template(
        &self,
        caller: &Caller,
        request: CreateTemplate,
    ) -> Result<StoredTemplateBody, ApiError> {
        let (template, definition) = request.into_parts();
        let message = definition.message.clone();
        let resolved = self.create(caller, NewContent::Template(Box::new(template)), definition).await?;
        template_body(caller, &resolved, message)
    }

    /// A schema, in the version of the reference or in `version`.
    ///
    /// # Errors
    /// `not_found`; `invalid_request` for a bad reference.
    #[crate::boxed_future]
    pub async fn get_schema(
        &self,
        caller: &Caller,
        reference: &str,
        version: Option<&str>,
    ) -> Result<StoredSchemaBody, ApiError> {
        let (resolved, message) = self.get(caller, DefinitionKind::Schema, reference, version).await?;
        schema_body(caller, &resolved, message)
    }

    /// A template, in the version of the reference or in `version`.
    ///
    /// # Errors
    /// As [`Definitions::get_schema`].
    #[crate::boxed_future]
    pub async fn get_template(
        &self,
        caller: &Caller,
        reference: &str,
        version: Option<&str>,
    ) -> Result<StoredTemplateBody, ApiError> {
        let (resolved, message) = self.get(caller, DefinitionKind::Template, reference, version).await?;
        template_body(caller, &resolved, message)
    }

    /// A definition without its content.
    ///
    /// # Errors
    /// `not_found`.
    #[crate::boxed_future]
    pub async fn entry(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
    ) -> Result<DefinitionEntry, ApiError> {
        Ok(entry(caller, &self.definition(caller, kind, reference).await?))
    }

    /// Renders a template without calling a model.
    ///
    /// # Errors
    /// `not_found`; `invalid_request`, naming the variable.
    #[crate::boxed_future]
    pub async fn render_only(
        &self,
        caller: &Caller,
        reference: &str,
        request: RenderTemplate,
    ) -> Result<RenderedBody, ApiError> {
        let definition = self.definition(caller, DefinitionKind::Template, reference).await?;
        let version = match &request.version {
            Some(version) => self.version_of(&definition, Some(version), "version").await?,
            None => {
                self.select(&definition, &parse(DefinitionKind::Template, reference, "id")?.selector).await?
            }
        };
        let pinned = format!("{}@{version}", definition.id());
        let rendered = self.render(caller, &pinned, request.variables).await?;
        let schema_id = match &rendered.schema {
            Some(schema) => Some(self.schema(caller, schema).await?.definition.to_string()),
            None => None,
        };
        let resolved = self.load(definition, version).await?;
        let parameters = match &*resolved.content {
            Content::Template(template) => template.content.parameters.clone(),
            Content::Schema(_) => TemplateParameters::default(),
        };
        let messages = rendered.messages.into_iter();
        Ok(RenderedBody {
            id: rendered.definition.id,
            name: rendered.definition.name,
            version,
            messages: messages
                .map(|message| RenderedMessage { role: message.role, content: message.content })
                .collect(),
            schema_id,
            model: rendered.model,
            parameters,
        })
    }

    async fn create(
        &self,
        caller: &Caller,
        content: NewContent,
        new: NewDefinition,
    ) -> Result<Resolved, ApiError> {
        let kind = content.kind();
        if !is_definition_name(&new.name) {
            let message = format!(
                "name must be 1 to {DEFINITION_NAME_MAX_CHARS} characters: lower case letters and digits, and between them -, _ and ."
            );
            return Err(ApiError::invalid("name", message));
        }
        if built_in::named(kind, &new.name).is_some() {
            let message = format!("{} is the name of a built-in {}; choose another", new.name, kind.as_str());
            return Err(ApiError::new(ErrorCode::Conflict, message).at("name"));
        }
        if new.name.parse::<DefinitionId>().is_ok() {
            return Err(ApiError::invalid("name", "name must not be an id"));
        }
        let now = Timestamp::now();
        let description = new.description.map(check_description).transpose()?.flatten();
        let version = new.version.unwrap_or(SemanticVersion::FIRST);
        let record = DefinitionRecord {
            id: DefinitionId::new(kind),
            owner: caller.user,
            organisation: caller.organisation,
            name: new.name,
            description,
            tags: check_tags(new.tags)?,
            visibility: new.visibility,
            team: new.team,
            latest: version,
            version_count: 1,
            labels: BTreeMap::new(),
            created_at: now,
            updated_at: now,
            revision: RevisionId::new(),
            deleted: false,
        };
        self.check_visibility(caller, record.visibility, record.team).await?;
        let content = self.checked(caller, content, &record).await?;
        self.check_name(&record).await?;
        let store = self.store.definitions();
        let count = store.count(kind, record.scope(), DEFINITION_MAX_COUNT).await.map_err(error::store)?;
        if count >= DEFINITION_MAX_COUNT {
            let message = format!(
                "there are {DEFINITION_MAX_COUNT} {}s of this visibility already; delete some first",
                kind.as_str()
            );
            return Err(ApiError::new(ErrorCode::Conflict, message));
        }
        let json = content.to_json().to_string();
        let stored = version_of(caller, version, check_message(new.message)?, &json);
        match store.create(&record, &stored, &json).await {
            Err(StoreError::Conflict) => return Err(name_is_taken(&record)),
            result => result.map_err(error::store)?,
        }
        self.note_use(&record, &content).await?;
        Ok(Resolved { definition: Definition::Stored(Box::new(record)), version, content: Arc::new(content) })
    }

    async fn get(
        &self,
        caller: &Caller,
        kind: DefinitionKind,
        reference: &str,
        version: Option<&str>,
    ) -> Result<(Resolved, Option<String>), ApiError> {
        let definition = self.definition(caller, kind, reference).await?;
        let version = match version {
            Some(version) => self.version_of(&definition, Some(version), "version").await?,
            None => self.select(&definition, &parse(kind, reference, "id")?.selector).await?,
        };
        let resolved = self.load(definition, version).await?;
        let message = match &resolved.definition {
            Definition::BuiltIn(_) => None,
            Definition::Stored(record) => {
                let stored = self.store.definitions().version(record.id, version).await;
                stored.map_err(error::store)?.and_then(|stored| stored.message)
            }
        };
        Ok((resolved, message))
    }
}
