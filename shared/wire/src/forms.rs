//! Deserializes a value that has several forms, such as a text or a list, by its type in JSON.
//!
//! serde's derived form of an untagged enum buffers the value and tries the variants in turn. Its error names no field inside
//! the value, and it takes a list for an object, which [`hearth_domain::objects_only`] refuses elsewhere.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

/// A type with several forms. A form that it lacks is refused.
pub(crate) trait Forms<'de>: Sized {
    /// The forms, in the words of an error: "a string or a list of strings".
    const EXPECTED: &'static str;

    /// Converts a text, unless it is none of the accepted ones.
    fn from_text(text: String) -> Result<Self, String> {
        Err(text)
    }

    /// Converts a boolean.
    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    /// Deserializes a list.
    ///
    /// # Errors
    /// The error of an item.
    fn from_list<A: SeqAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(Error::invalid_type(Unexpected::Seq, &Self::EXPECTED))
    }

    /// Deserializes an object.
    ///
    /// # Errors
    /// The error of a field.
    fn from_object<A: MapAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(Error::invalid_type(Unexpected::Map, &Self::EXPECTED))
    }
}

/// Deserializes one of the forms.
///
/// # Errors
/// `T::EXPECTED` for another form; the error of a field or an item.
pub(crate) fn deserialize<'de, T: Forms<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct FormVisitor<T>(PhantomData<T>);

    impl<'de, T: Forms<'de>> Visitor<'de> for FormVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            self.visit_string(text.to_owned())
        }

        fn visit_string<E: Error>(self, text: String) -> Result<T, E> {
            T::from_text(text).map_err(|text| E::invalid_value(Unexpected::Str(&text), &T::EXPECTED))
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
            T::from_bool(value).ok_or_else(|| E::invalid_type(Unexpected::Bool(value), &T::EXPECTED))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
            T::from_list(items)
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
            T::from_object(fields)
        }
    }

    from.deserialize_any(FormVisitor(PhantomData))
}

/// Deserializes the items of a list.
///
/// # Errors
/// The error of an item.
pub(crate) fn items<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(items: A) -> Result<Vec<T>, A::Error> {
    Vec::deserialize(SeqAccessDeserializer::new(items))
}

/// Deserializes a value from the fields of an object.
///
/// # Errors
/// The error of a field.
pub(crate) fn object<'de, T: Deserialize<'de>, A: MapAccess<'de>>(fields: A) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(fields))
}
