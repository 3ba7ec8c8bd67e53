//! New versions of edited schemas.

use hearth_domain::Timestamp;
use hearth_schema::AnswerSchema;
use hearth_store::{StoreError, registry::SchemaVersion};
use hearth_wire::{
    ApiError, ErrorCode,
    native::model_schemas::{PutSchema, SchemaBody, SchemaQuery},
};
use serde_json::{Map, Value};

use super::{Models, build::PARAMETERS, narrowing};
use crate::{access::Caller, error};

/// Limit of the bytes of a schema.
const SCHEMA_MAX_BYTES: usize = 32 << 10;
/// Limit of the bytes of a model's id: it is a part of a key.
const ID_MAX_BYTES: usize = 800;
/// Limits of the number of texts of guidance, and of the bytes of each and of the note.
const GUIDANCE_MAX_COUNT: usize = 16;
const TEXT_MAX_BYTES: usize = 2000;
/// Limit of the versions of a model's schema: none is ever deleted.
const VERSION_MAX_COUNT: u32 = 500;
/// Attempts to store a version while others store versions of the same schema.
const PUT_ATTEMPT_MAX_COUNT: usize = 8;
/// The draft of schemas.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

impl Models {
    /// Stores the next version of the schema of a model's parameters.
    ///
    /// # Errors
    /// `model_not_found`; `invalid_request`, naming the field; `conflict` if the request names another version than the
    /// current one.
    pub(crate) async fn put_schema(
        &self,
        caller: &Caller,
        id: &str,
        request: PutSchema,
    ) -> Result<SchemaBody, ApiError> {
        let model = self.get(caller, id).await?;
        if model.id.len() > ID_MAX_BYTES {
            let message = format!("a schema is for a model with an id of at most {ID_MAX_BYTES} bytes");
            return Err(ApiError::invalid("id", message));
        }
        let request = tokio::task::spawn_blocking(move || request.checked());
        let request = request.await.map_err(|error| error::internal(&error))??;
        let store = self.store.registry(caller.organisation);
        for _ in 0..PUT_ATTEMPT_MAX_COUNT {
            let current = store.current_schema(&model.id).await.map_err(error::store)?;
            let current = current.as_ref().map_or(0, SchemaVersion::version);
            if let Some(expected) = request.version.filter(|expected| *expected != current) {
                let message = format!("the current version is {current}, and the request follows {expected}");
                let error = ApiError::new(ErrorCode::Conflict, message).at("version");
                return Err(error.with("current_version", current));
            }
            if current >= VERSION_MAX_COUNT {
                let message = format!("a schema may have at most {VERSION_MAX_COUNT} versions");
                return Err(ApiError::new(ErrorCode::Conflict, message));
            }
            let version = SchemaVersion {
                model: model.id.clone(),
                number: (current + 1).to_string(),
                schema: request.schema.clone(),
                guidance: request.guidance.clone(),
                author: caller.credential_id(),
                message: request.message.clone(),
                created_at: Timestamp::now(),
            };
            match store.push_schema(&version).await {
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error::store(error)),
                Ok(()) => {
                    self.registries.refresh(caller.organisation).await;
                    let query = SchemaQuery { model: Some(model.id), version: Some(current + 1) };
                    return self.schema(caller, &query).await;
                }
            }
        }
        let message = "others change this schema at the same time; try again";
        Err(ApiError::new(ErrorCode::Conflict, message))
    }
}

/// Checks of a request.
trait Checked: Sized {
    fn checked(self) -> Result<Self, ApiError>;
}

impl Checked for PutSchema {
    fn checked(self) -> Result<Self, ApiError> {
        if self.guidance.len() > GUIDANCE_MAX_COUNT {
            let message = format!("guidance must have at most {GUIDANCE_MAX_COUNT} texts");
            return Err(ApiError::invalid("guidance", message));
        }
        let is_bad = |text: &String| text.trim().is_empty() || text.len() > TEXT_MAX_BYTES;
        if let Some(index) = self.guidance.iter().position(is_bad) {
            let message = format!("a text of guidance must have 1 to {TEXT_MAX_BYTES} bytes");
            return Err(ApiError::invalid(format!("guidance[{index}]"), message));
        }
        if self.message.as_ref().is_some_and(is_bad) {
            return Err(ApiError::invalid(
                "message",
                format!("message must have 1 to {TEXT_MAX_BYTES} bytes"),
            ));
        }
        if let Some(schema) = &self.schema {
            check_schema(schema)
                .map_err(|problem| ApiError::invalid("schema", format!("schema {problem}")))?;
        }
        Ok(self)
    }
}

/// Checks a schema of parameters.
///
/// # Errors
/// The problem; its subject is the schema.
fn check_schema(schema: &Value) -> Result<(), String> {
    let Some(fields) = schema.as_object() else {
        return Err("must be an object".to_owned());
    };
    if schema.to_string().len() > SCHEMA_MAX_BYTES {
        return Err(format!("must have at most {SCHEMA_MAX_BYTES} bytes"));
    }
    if fields.get("$schema").is_some_and(|draft| draft.as_str() != Some(DRAFT)) {
        return Err(format!("must be of draft 2020-12: leave $schema out, or name {DRAFT}"));
    }
    if fields.get("type").is_some_and(|kind| kind != "object") {
        return Err("must have the type object: parameters are an object".to_owned());
    }
    let empty = Map::new();
    let properties = match fields.get("properties") {
        Some(Value::Object(properties)) => properties,
        Some(_) => return Err("must have properties that are an object".to_owned()),
        None => &empty,
    };
    let required = fields.get("required").and_then(Value::as_array).into_iter().flatten();
    let names = properties.keys().map(String::as_str).chain(required.filter_map(Value::as_str));
    if let Some(name) = names.into_iter().find(|name| !PARAMETERS.contains(name)) {
        return Err(format!("has the property {name:?}, which is no parameter of POST /v1/generate"));
    }
    AnswerSchema::parse(schema)?.checker()?;
    narrowing::check(properties)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schema_that_cannot_check_parameters_is_refused() {
        let long = json!({"description": "x".repeat(SCHEMA_MAX_BYTES)});
        for (schema, part) in [
            (json!([]), "an object"),
            (json!({"type": "array"}), "type object"),
            (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "2020-12"),
            (json!({"properties": {"colour": {}}}), "\"colour\""),
            (json!({"required": ["colour"]}), "\"colour\""),
            (json!({"properties": 5}), "properties"),
            (json!({"properties": {"temperature": {"type": "hot"}}}), ""),
            (json!({"properties": {"quality": {"pattern": "("}}}), ""),
            (json!({"properties": {"quality": {"$ref": "https://example.com/other"}}}), ""),
            (long, "bytes"),
        ] {
            let problem = check_schema(&schema).unwrap_err();
            assert!(problem.contains(part), "{schema}: {problem}");
        }
        check_schema(&json!({"properties": {"temperature": {"maximum": 0.5}}})).unwrap();
    }

    #[test]
    fn built_schemas_are_valid() {
        check_schema(&super::super::build::schema(None)).unwrap();
    }
}
