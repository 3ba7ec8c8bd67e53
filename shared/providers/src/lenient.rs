//! Deserializers for fields of providers' answers that may be missing, null or of another type than documented.
//!
//! Servers and proxies differ in such fields, and an answer must not fail because of an unimportant one. Each function is
//! for `#[serde(deserialize_with = ...)]` in a struct with `#[serde(default)]`: a value of another type counts as missing.
//! Required values are checked where they are used. The functions don't buffer their input.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

/// Reads a text; `None` for other types.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    scalar(from).map(|value| match value {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

/// Reads an id: a text, or a number as text; `None` for an empty one.
pub(crate) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let id = scalar(from).map(|value| match value {
        Scalar::Text(text) => Some(text),
        Scalar::Integer(number) => Some(number.to_string()),
        _ => None,
    });
    id.map(|id| id.filter(|id| !id.is_empty()))
}

/// Reads a count: an integer, also in a text. A number that is too large becomes the largest, a negative one `None`.
pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let whole = |number: f64| {
        let fits = number.is_finite() && number >= 0.0;
        fits.then_some(number as u32)
    };
    scalar(from).map(|value| match value {
        Scalar::Integer(number) => {
            u64::try_from(number).ok().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
        }
        Scalar::Number(number) => whole(number),
        Scalar::Text(text) => text.trim().parse().ok().and_then(whole),
        Scalar::Flag(_) | Scalar::Other => None,
    })
}

/// Reads a number; `None` for other types.
pub(crate) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
    scalar(from).map(|value| match value {
        Scalar::Integer(number) => Some(number as f32),
        Scalar::Number(number) => Some(number as f32),
        _ => None,
    })
}

/// Reads a flag; false for anything but `true`.
pub(crate) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    scalar(from).map(|value| matches!(value, Scalar::Flag(true)))
}

/// Reads an object; `None` for other types.
pub(crate) fn object<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    from.deserialize_any(ObjectVisitor(PhantomData))
}

/// Reads the objects of a list, and ignores other values in it. A single object becomes a list of one.
pub(crate) fn objects<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    from.deserialize_any(ObjectsVisitor(PhantomData))
}

/// Reads a tool call's arguments as JSON text, which most servers send; some send the object itself.
pub(crate) fn json_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Null => None,
        value => Some(value.to_string()),
    })
}

/// Reads a list of numbers as bytes; `None` if one isn't a byte.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let Value::Array(numbers) = Value::deserialize(from)? else { return Ok(None) };
    Ok(numbers.iter().map(|number| u8::try_from(number.as_u64()?).ok()).collect())
}

/// Returns whether a value isn't empty: not null, `false`, an empty text, list or object.
pub(crate) fn is_present(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn scalar<'de, D: Deserializer<'de>>(from: D) -> Result<Scalar, D::Error> {
    from.deserialize_any(ScalarVisitor)
}

enum Scalar {
    Text(String),
    Integer(i128),
    Number(f64),
    Flag(bool),
    /// Null, a list, an object.
    Other,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Scalar::Other)
    }
}

/// Visitor methods that return the default for every value that is neither a list nor an object.
macro_rules! ignore_scalars {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Default::default())
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Default::default())
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Default::default())
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Default::default())
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Default::default())
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Default::default())
        }
    };
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    ignore_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Option<T>, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
        from.deserialize_any(self)
    }
}

struct ObjectsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectsVisitor<T> {
    type Value = Vec<T>;

    ignore_scalars!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut objects = Vec::new();
        while let Some(object) = list.next_element_seed(ObjectVisitor(PhantomData))? {
            objects.extend(object);
        }
        Ok(objects)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| vec![object])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Fields {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "id")]
        id: Option<String>,
        #[serde(deserialize_with = "count")]
        count: Option<u32>,
        #[serde(deserialize_with = "number")]
        number: Option<f32>,
        #[serde(deserialize_with = "flag")]
        flag: bool,
        #[serde(deserialize_with = "object")]
        object: Option<Box<Fields>>,
        #[serde(deserialize_with = "objects")]
        objects: Vec<Fields>,
        #[serde(deserialize_with = "json_text")]
        json_text: Option<String>,
        #[serde(deserialize_with = "bytes")]
        bytes: Option<Vec<u8>>,
    }

    const NAMES: [&str; 9] =
        ["text", "id", "count", "number", "flag", "object", "objects", "json_text", "bytes"];

    fn read(value: &Value) -> Fields {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn value_of_any_type_is_read_in_every_field() {
        let values = [
            json!(null),
            json!(true),
            json!(-3),
            json!(u64::MAX),
            json!(1.5),
            json!("x"),
            json!([1, {"a": [null]}]),
            json!({"b": {"c": [1]}}),
        ];
        for value in &values {
            let fields: Value = NAMES.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
            read(&fields);
        }
        let nulls: Value = NAMES.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        assert_eq!(read(&nulls), Fields::default());
        assert_eq!(read(&json!({})), Fields::default());
    }

    #[test]
    fn values_are_read_in_the_forms_that_servers_send() {
        let fields = read(&json!({
            "text": "a", "id": 7, "count": "12", "number": 2, "flag": true, "object": {"count": 1e12},
            "objects": [null, {"text": "b"}, 3], "json_text": {"a": [1]}, "bytes": [1, 255],
        }));
        assert_eq!(
            (fields.text.as_deref(), fields.id.as_deref(), fields.count),
            (Some("a"), Some("7"), Some(12))
        );
        assert_eq!((fields.number, fields.flag), (Some(2.0), true));
        assert_eq!(fields.object.unwrap().count, Some(u32::MAX));
        assert_eq!((fields.objects.len(), fields.objects[0].text.as_deref()), (1, Some("b")));
        assert_eq!((fields.json_text.as_deref(), fields.bytes), (Some("{\"a\":[1]}"), Some(vec![1, 255])));
        assert_eq!(read(&json!({"objects": {"text": "c"}})).objects.len(), 1);
        assert_eq!((read(&json!({"count": -1})).count, read(&json!({"id": ""})).id), (None, None));
    }
}
