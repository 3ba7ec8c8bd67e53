//! Schemas of the parameters of models: built from their metadata, or edited by an admin, and the check of requests by the edited
//! ones.
//!
//! - `build`: the schema of a model's metadata; `edit`: new versions, which narrow it (`narrowing`).

mod build;
mod edit;
mod narrowing;

use std::sync::Arc;

use hearth_domain::{ClientDialect, Generation, Modality, ModelId, Task, TextTask};
use hearth_store::registry::SchemaVersion;
use hearth_wire::{
    ApiError, ErrorCode, dialect_param,
    native::{
        model_schemas::{SchemaBody, SchemaHistory, SchemaOrigin, SchemaQuery, SchemaVersionBody},
        models::ModelBody,
        request::Parameters,
    },
};
use serde_json::{Map, Value};

use super::{Models, RegistrySnapshot};
use crate::{access::Caller, error};

/// Limit of the versions in a history.
const HISTORY_MAX_COUNT: u32 = 50;

impl Models {
    /// The schema of a model's parameters; without a model, that of the parameters of every model.
    ///
    /// # Errors
    /// `model_not_found`; `not_found` for a version that isn't stored.
    pub(crate) async fn schema(&self, caller: &Caller, query: &SchemaQuery) -> Result<SchemaBody, ApiError> {
        let Some(id) = &query.model else {
            if query.version.is_some() {
                return Err(ApiError::invalid(
                    "version",
                    "a version is one of a model's schema; name the model",
                ));
            }
            return Ok(built(None));
        };
        let model = self.get(caller, id).await?;
        let registry = self.registries.current(caller.organisation).await;
        let current = registry.schemas.get(&model.id).map(|schema| &schema.version);
        let version = match query.version {
            None => current.cloned(),
            Some(0) => None,
            Some(number) => {
                let store = self.store.registry(caller.organisation);
                let stored = store.schema_version(&model.id, number).await.map_err(error::store)?;
                Some(stored.ok_or_else(|| {
                    let message = format!("the schema of {} has no version {number}", model.id);
                    ApiError::new(ErrorCode::NotFound, message).at("version")
                })?)
            }
        };
        Ok(match version {
            None => built(Some(&model)),
            Some(version) => edited(&model, version),
        })
    }

    /// The latest versions of a model's edited schema, the newest first.
    ///
    /// # Errors
    /// `model_not_found`.
    pub(crate) async fn schema_history(&self, caller: &Caller, id: &str) -> Result<SchemaHistory, ApiError> {
        let model = self.get(caller, id).await?;
        let store = self.store.registry(caller.organisation);
        let versions = store.latest_schemas(&model.id, HISTORY_MAX_COUNT).await.map_err(error::store)?;
        let current = versions.first().filter(|version| version.schema.is_some());
        Ok(SchemaHistory {
            current: current.map_or(0, SchemaVersion::version),
            versions: versions
                .iter()
                .map(|version| SchemaVersionBody {
                    version: version.version(),
                    author: version.author.clone(),
                    created_at: version.created_at.to_string(),
                    message: version.message.clone(),
                    built: version.schema.is_none(),
                })
                .collect(),
            model: model.id,
        })
    }

    /// Checks the parameters of a request by the edited schema of the model that it names, if there is one.
    ///
    /// # Errors
    /// `invalid_request`, naming the field and the rule that it breaks.
    pub(crate) async fn check_parameters(
        &self,
        caller: &Caller,
        model: Option<&str>,
        parameters: &Parameters,
    ) -> Result<(), ApiError> {
        let registry = self.registries.current(caller.organisation).await;
        if registry.schemas.is_empty() {
            return Ok(());
        }
        let Some(name) = schema_name(&registry, model) else { return Ok(()) };
        let parameters = as_sent(parameters);
        let task =
            tokio::task::spawn_blocking(move || check(&registry, &name, &parameters, ClientDialect::Native));
        task.await.map_err(|error| error::internal(&error))?
    }

    /// Checks a text request of another dialect in the same way, by the parameters that it has of the native ones.
    ///
    /// # Errors
    /// As for [`Models::check_parameters`], with the field's name in the dialect.
    pub(crate) async fn check_generation(
        &self,
        caller: &Caller,
        generation: &Generation,
    ) -> Result<(), ApiError> {
        let (dialect, Task::Text(task)) = (generation.extra.dialect, &generation.task) else { return Ok(()) };
        let registry = self.registries.current(caller.organisation).await;
        if registry.schemas.is_empty() {
            return Ok(());
        }
        let model = generation.model.as_ref().map(ModelId::as_str);
        let Some(name) = schema_name(&registry, model) else { return Ok(()) };
        let parameters = of_task(task);
        let task = tokio::task::spawn_blocking(move || check(&registry, &name, &parameters, dialect));
        task.await.map_err(|error| error::internal(&error))?
    }
}

/// The name under which the schema of the requested model is stored, if it has one.
fn schema_name(registry: &RegistrySnapshot, model: Option<&str>) -> Option<String> {
    let model = model.or_else(|| registry.default_of(Modality::Text))?;
    let local = model.strip_prefix("local:").unwrap_or(model);
    [model, local].into_iter().find(|name| registry.schemas.contains_key(*name)).map(str::to_owned)
}

/// The parameters without those that the client has left out. Numbers are as the client wrote them: those of 32 bits have other
/// digits as numbers of 64 bits.
fn as_sent(parameters: &Parameters) -> String {
    let text = serde_json::to_string(parameters).unwrap_or_default();
    let mut fields: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    let is_left_out =
        |name: &str, value: &Value| value.is_null() || name == "ignore_eos" && *value == Value::Bool(false);
    fields.retain(|name, value| !is_left_out(name, value));
    Value::Object(fields).to_string()
}

/// The parameters of a text task that are set, by their names in the native API.
fn of_task(task: &TextTask) -> String {
    // By way of the text: numbers of 32 bits have other digits as numbers of 64 bits.
    let text = serde_json::to_string(&task.sampling).unwrap_or_default();
    let mut fields: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    fields.retain(|name, value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Array(values) => !values.is_empty() && name != "logit_bias",
        _ => true,
    });
    if task.choices > 1 {
        fields.insert("n".to_owned(), task.choices.into());
    }
    if let Some(count) = task.top_logprobs {
        fields.insert("logprobs".to_owned(), true.into());
        fields.insert("top_logprobs".to_owned(), count.into());
    }
    Value::Object(fields).to_string()
}

fn check(
    registry: &Arc<RegistrySnapshot>,
    name: &str,
    parameters: &str,
    dialect: ClientDialect,
) -> Result<(), ApiError> {
    let Some(checker) = registry.schemas.get(name).and_then(|schema| schema.checker()) else { return Ok(()) };
    let result = checker.check(parameters);
    let Some(error) = result.errors.first().filter(|_| !result.valid) else { return Ok(()) };
    let problem = &error.reason;
    let param = match error.path.strip_prefix('/') {
        Some(path) => {
            let parameter = path.split('/').next().unwrap_or(path);
            let of_dialect = dialect_param(dialect, parameter).filter(|_| dialect != ClientDialect::Native);
            of_dialect.unwrap_or_else(|| format!("parameters.{}", path.replace('/', ".")))
        }
        None => "parameters".to_owned(),
    };
    let message =
        format!("{param} doesn't fit the schema of {name}: {problem}; GET /v1/schema?model={name} shows it");
    Err(ApiError::invalid(param, message))
}

fn built(model: Option<&ModelBody>) -> SchemaBody {
    SchemaBody {
        model: model.map(|model| model.id.clone()),
        version: 0,
        origin: SchemaOrigin::Built,
        schema: build::schema(model),
        guidance: build::guidance(model),
        example: build::example(model),
        message: None,
        created_at: None,
    }
}

fn edited(model: &ModelBody, version: SchemaVersion) -> SchemaBody {
    let number = version.version();
    let Some(schema) = version.schema else {
        return SchemaBody {
            version: number,
            message: version.message,
            created_at: Some(version.created_at.to_string()),
            ..built(Some(model))
        };
    };
    let guidance = if version.guidance.is_empty() { build::guidance(Some(model)) } else { version.guidance };
    SchemaBody {
        model: Some(model.id.clone()),
        version: number,
        origin: SchemaOrigin::Edited,
        schema,
        guidance,
        example: build::example(Some(model)),
        message: version.message,
        created_at: Some(version.created_at.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_checked_as_they_were_sent() {
        let parameters: Parameters =
            serde_json::from_value(json!({"temperature": 0.7, "max_tokens": 5, "stop": "x"})).unwrap();
        let sent: Value = serde_json::from_str(&as_sent(&parameters)).unwrap();
        assert_eq!(sent, json!({"temperature": 0.7, "max_tokens": 5, "stop": "x"}));
    }
}
