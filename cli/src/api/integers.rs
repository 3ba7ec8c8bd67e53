//! Formats of integers. OpenAPI has `int32` and `int64` alone, so an unsigned number has the next larger one, with its bounds.

use utoipa::{
    Number,
    openapi::{
        RefOr, Schema,
        schema::{Array, ArrayItems, KnownFormat, Object, SchemaFormat},
    },
};

/// Writes the format and the bounds of an unsigned integer.
pub(super) fn bound(schema: &mut Object) {
    let (format, maximum) = match &schema.format {
        Some(SchemaFormat::KnownFormat(KnownFormat::UInt8)) => (KnownFormat::Int32, Some(u8::MAX.into())),
        Some(SchemaFormat::KnownFormat(KnownFormat::UInt16)) => (KnownFormat::Int32, Some(u16::MAX.into())),
        Some(SchemaFormat::KnownFormat(KnownFormat::UInt32)) => (KnownFormat::Int64, Some(u32::MAX.into())),
        // Its largest number is above that of the format.
        Some(SchemaFormat::KnownFormat(KnownFormat::UInt64)) => (KnownFormat::Int64, None),
        _ => return,
    };
    schema.format = Some(SchemaFormat::KnownFormat(format));
    schema.minimum.get_or_insert(Number::UInt(0));
    schema.maximum = schema.maximum.take().or(maximum);
}

/// True for a list of bytes.
pub(super) fn are_bytes(array: &Array) -> bool {
    let ArrayItems::RefOrSchema(items) = &array.items else { return false };
    matches!(
        &**items,
        RefOr::T(Schema::Object(Object { format: Some(SchemaFormat::KnownFormat(KnownFormat::UInt8)), .. }))
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::openapi::schema::{ObjectBuilder, Type};

    use super::*;

    #[test]
    fn unsigned_integer_has_a_format_that_holds_it_and_its_bounds() {
        let object = |format: KnownFormat| {
            let format = Some(SchemaFormat::KnownFormat(format));
            ObjectBuilder::new().schema_type(Type::Integer).format(format)
        };
        let page = object(KnownFormat::UInt32).minimum(Some(1)).maximum(Some(200));
        for (schema, format, minimum, maximum) in [
            (object(KnownFormat::UInt32), "int64", json!(0), json!(u32::MAX)),
            (page, "int64", json!(1), json!(200)),
            (object(KnownFormat::UInt16), "int32", json!(0), json!(u16::MAX)),
            (object(KnownFormat::UInt8), "int32", json!(0), json!(u8::MAX)),
            (object(KnownFormat::UInt64), "int64", json!(0), Value::Null),
            (object(KnownFormat::Int32), "int32", Value::Null, Value::Null),
        ] {
            let mut schema = schema.build();
            bound(&mut schema);
            let schema = serde_json::to_value(schema).unwrap();
            let bounds = (&schema["minimum"], &schema["maximum"]);
            assert_eq!((&schema["format"], bounds), (&json!(format), (&minimum, &maximum)));
        }
    }

    #[test]
    fn document_has_no_format_of_its_own() {
        let document = crate::api::document().unwrap();
        for format in ["int8", "int16", "uint", "u-int"] {
            assert!(!document.contains(&format!("\"format\": \"{format}")), "{format}");
        }
        let document: Value = serde_json::from_str(&document).unwrap();
        let limit = &document["components"]["schemas"]["Limits"]["properties"]["requests_per_minute"];
        assert_eq!((&limit["format"], &limit["maximum"]), (&json!("int64"), &json!(u32::MAX)), "{limit}");
    }
}
