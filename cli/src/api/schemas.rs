//! Schemas as generators of clients read them.
//!
//! utoipa writes the values of `Default` as defaults: to openapi-typescript a property with a default is a required one. An object
//! without properties is a free one, which openapi-typescript takes for an empty object, unless the schema says that it has more.
//! Bytes are a list of numbers to utoipa, whatever the media type. The formats of integers are in [`super::integers`].

use utoipa::openapi::{
    Content, PathItem, RefOr, Schema,
    schema::{
        AdditionalProperties, ArrayItems, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type,
    },
};

use super::integers;

/// Removes defaults, marks free objects, and writes the formats of integers.
pub(super) fn refine(schema: &mut RefOr<Schema>) {
    refine_member(schema, false);
}

/// The same for the schemas of a path's bodies that aren't among the components.
pub(super) fn refine_bodies(path: &mut PathItem) {
    let operations = [&mut path.get, &mut path.post, &mut path.put, &mut path.patch, &mut path.delete];
    for operation in operations.into_iter().flatten() {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.content.iter_mut().for_each(refine_content);
        }
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                response.content.iter_mut().for_each(refine_content);
            }
        }
    }
}

fn refine_content((media_type, content): (&String, &mut RefOr<Content>)) {
    if let RefOr::T(content) = content
        && let Some(schema) = &mut content.schema
    {
        if !media_type.ends_with("json")
            && matches!(schema, RefOr::T(Schema::Array(array)) if integers::are_bytes(array))
        {
            let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
            *schema = ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into();
        }
        refine(schema);
    }
}

fn refine_member(schema: &mut RefOr<Schema>, describes: bool) {
    match schema {
        RefOr::Ref(reference) => reference.default = None,
        RefOr::T(schema) => refine_schema(schema, describes),
    }
}

/// `describes`: a member of an `allOf`, whose object without properties has the description of the others alone.
fn refine_schema(schema: &mut Schema, describes: bool) {
    match schema {
        Schema::Object(object) => {
            object.default = None;
            integers::bound(object);
            object.properties.values_mut().for_each(refine);
            if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
                refine(values);
            }
            if is_free(object) && !describes {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
            }
        }
        Schema::Array(array) => {
            array.default = None;
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                refine(items);
            }
            array.prefix_items.iter_mut().for_each(|item| refine_schema(item, false));
        }
        Schema::OneOf(one) => {
            one.default = None;
            one.items.iter_mut().for_each(refine);
        }
        Schema::AnyOf(any) => {
            any.default = None;
            any.items.iter_mut().for_each(refine);
        }
        Schema::AllOf(all) => {
            all.default = None;
            all.items.iter_mut().for_each(|item| refine_member(item, true));
        }
        _ => {}
    }
}

fn is_free(object: &Object) -> bool {
    let is_object = match &object.schema_type {
        SchemaType::Type(kind) => *kind == Type::Object,
        SchemaType::Array(kinds) => kinds.contains(&Type::Object),
        SchemaType::AnyValue => false,
    };
    is_object && object.properties.is_empty() && object.additional_properties.is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn defaults_are_removed_and_free_objects_marked() {
        let schema = json!({
            "type": "object",
            "properties": {
                "limit": {"type": ["integer", "null"], "default": null},
                "tags": {"type": "array", "items": {"type": "object"}, "default": []},
                "options": {"type": ["object", "null"]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "lifecycle": {"$ref": "#/components/schemas/Lifecycle", "default": {}},
                "kind": {"allOf": [{"type": "string"}, {"type": "object", "description": "d"}]},
            },
        });
        let mut schema: RefOr<Schema> = serde_json::from_value(schema).unwrap();
        refine(&mut schema);
        let refined = serde_json::to_value(schema).unwrap();
        let property = |name: &str| refined["properties"][name].clone();
        assert_eq!(property("limit"), json!({"type": ["integer", "null"]}));
        assert_eq!(property("lifecycle"), json!({"$ref": "#/components/schemas/Lifecycle"}));
        assert_eq!(property("tags")["items"]["additionalProperties"], true);
        assert_eq!(property("tags")["default"], Value::Null);
        assert_eq!(property("options")["additionalProperties"], true);
        assert_eq!(property("labels")["additionalProperties"]["type"], "string");
        assert!(property("kind")["allOf"][1]["additionalProperties"].is_null());
        assert!(refined["additionalProperties"].is_null());
    }
}
