//! Parameters as Swagger UI and generators of clients read them.
//!
//! Swagger UI fills the example of every parameter into its form, those of optional ones too: a request with nothing changed would be
//! one with every option.

use serde_json::Value;
use utoipa::openapi::{
    PathItem, RefOr, Required, Schema,
    path::{Parameter, ParameterBuilder},
    schema::{SchemaType, Type},
};

/// Moves the examples of a path's optional parameters into their descriptions, and leaves null out of their types: a parameter that isn't
/// sent is absent.
pub(super) fn refine(path: &mut PathItem) {
    let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.patch, &mut path.delete];
    for operation in operations.into_iter().flatten() {
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter {
                if let Some(schema) = &mut parameter.schema {
                    super::schemas::refine(schema);
                }
                if parameter.required != Required::True {
                    refine_optional(parameter);
                }
            }
        }
    }
}

fn refine_optional(parameter: &mut Parameter) {
    if let Some(schema) = &mut parameter.schema {
        leave_null_out(schema);
    }
    let Some(example) = example(parameter) else { return };
    let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
    let description = parameter.description.clone().unwrap_or_default();
    let described = match has_choices(parameter) || description.contains(&format!("`{text}`")) {
        true => description,
        false => format!("{} For example `{text}`.", description.trim_end()).trim_start().to_owned(),
    };
    let builder = ParameterBuilder::from(parameter.clone());
    *parameter = builder.description(Some(described)).example(None).build();
}

/// Removes and returns the example of a parameter's schema, or returns that of the parameter, whose field is private.
fn example(parameter: &mut Parameter) -> Option<Value> {
    let of_schema = match &mut parameter.schema {
        Some(RefOr::T(Schema::Object(schema))) => schema.example.take(),
        _ => None,
    };
    let of_parameter = serde_json::to_value(&*parameter).ok()?.get_mut("example").map(Value::take);
    of_parameter.or(of_schema)
}

/// True if the schema lists the values.
fn has_choices(parameter: &Parameter) -> bool {
    matches!(&parameter.schema, Some(RefOr::T(Schema::Object(schema))) if schema.enum_values.is_some())
}

fn leave_null_out(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [kind] = &types[..] {
                    object.schema_type = SchemaType::Type(kind.clone());
                }
            }
        }
        RefOr::T(Schema::OneOf(one)) => {
            one.items.retain(|item| !is_null(item));
            if let [item] = &one.items[..] {
                *schema = item.clone();
            }
        }
        _ => {}
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::openapi::PathItem;

    fn refined(parameter: &Value) -> Value {
        let item = json!({"get": {"responses": {}, "parameters": [parameter]}});
        let mut item: PathItem = serde_json::from_value(item).unwrap();
        super::refine(&mut item);
        serde_json::to_value(item).unwrap()["get"]["parameters"][0].take()
    }

    #[test]
    fn example_of_an_optional_parameter_is_in_its_description() {
        let parameter = |required: bool, description: &str, schema: Value| {
            json!({
                "name": "state", "in": "query", "description": description, "required": required, "schema": schema,
                "example": "queued,running",
            })
        };
        let text = json!({"type": ["string", "null"]});
        let plain = refined(&parameter(false, "States.", text.clone()));
        assert_eq!(plain["description"], "States. For example `queued,running`.");
        assert_eq!((&plain["example"], &plain["schema"]), (&Value::Null, &json!({"type": "string"})));
        let has_it = refined(&parameter(false, "Such as `queued,running`.", text.clone()));
        assert_eq!(has_it["description"], "Such as `queued,running`.");
        let of_schema = refined(&json!({
            "name": "limit", "in": "query", "required": false, "schema": {"type": "integer", "example": 20},
        }));
        assert_eq!(
            (&of_schema["description"], &of_schema["schema"]),
            (&json!("For example `20`."), &json!({"type": "integer"}))
        );
        assert_eq!(refined(&parameter(true, "States.", text))["example"], "queued,running");
        let choice = json!({"oneOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]});
        assert_eq!(
            refined(&parameter(false, "States.", choice))["schema"],
            json!({"type": "string", "enum": ["a", "b"]})
        );
    }

    /// Swagger UI fills examples and defaults into its form.
    #[test]
    fn no_optional_parameter_has_an_example() {
        let document: Value = serde_json::from_str(&crate::api::document().unwrap()).unwrap();
        let mut filled = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let (name, schema) = (&parameter["name"], &parameter["schema"]);
                    let words = ["example", "examples", "default"];
                    if parameter["required"] != true
                        && words.iter().any(|word| !parameter[*word].is_null() || !schema[*word].is_null())
                    {
                        filled.push(format!("{method} {path}: {name}"));
                    }
                }
            }
        }
        assert!(filled.is_empty(), "{filled:#?}");
        let prefer = &document["paths"]["/v1/chat/completions"]["post"]["parameters"][0];
        assert!(prefer["description"].as_str().unwrap().contains("`respond-async`"), "{prefer}");
    }

    /// It is the one that Swagger UI shows.
    #[test]
    fn first_example_of_a_body_is_the_question() {
        let document = crate::api::document().unwrap();
        let document: Value = serde_json::from_str(&document).unwrap();
        let mut firsts = Vec::new();
        for item in document["paths"].as_object().unwrap().values() {
            let examples = &item["post"]["requestBody"]["content"]["application/json"]["examples"];
            firsts.extend(examples.as_object().and_then(|examples| examples.keys().next().cloned()));
        }
        assert!(!firsts.is_empty() && firsts.iter().all(|first| first == "question"), "{firsts:?}");
    }
}
