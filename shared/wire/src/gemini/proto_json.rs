//! Deserializes JSON as leniently as Google's servers (<https://protobuf.dev/programming-guides/json>): numbers may be
//! strings or have a fraction of zero, and a single value may stand for a list.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

/// Largest integer up to which an `f64` represents every integer.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Deserializes a list, an object that is the list's only item, or null.
pub(super) fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list or an object")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(items))
        }

        fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(fields)).map(|item| vec![item])
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }
    }

    from.deserialize_any(ListVisitor(PhantomData))
}

/// Deserializes an integer, or null.
pub(super) fn integer<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    struct IntegerVisitor;

    impl Visitor<'_> for IntegerVisitor {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_i64<E>(self, number: i64) -> Result<Option<i64>, E> {
            Ok(Some(number))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Option<i64>, E> {
            i64::try_from(number).map(Some).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        #[expect(clippy::cast_possible_truncation, reason = "the number is an integer within the bounds")]
        fn visit_f64<E: Error>(self, number: f64) -> Result<Option<i64>, E> {
            if number.fract() == 0.0 && number.abs() <= EXACT_INTEGER_MAX {
                return Ok(Some(number as i64));
            }
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Option<i64>, E> {
            text.trim().parse().map(Some).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }

        fn visit_unit<E>(self) -> Result<Option<i64>, E> {
            Ok(None)
        }
    }

    from.deserialize_any(IntegerVisitor)
}

/// Deserializes a number, or null.
pub(super) fn float<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
    struct FloatVisitor;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "no option needs that precision"
    )]
    impl Visitor<'_> for FloatVisitor {
        type Value = Option<f32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_i64<E>(self, number: i64) -> Result<Option<f32>, E> {
            Ok(Some(number as f32))
        }

        fn visit_u64<E>(self, number: u64) -> Result<Option<f32>, E> {
            Ok(Some(number as f32))
        }

        fn visit_f64<E>(self, number: f64) -> Result<Option<f32>, E> {
            Ok(Some(number as f32))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Option<f32>, E> {
            text.trim().parse().map(Some).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }

        fn visit_unit<E>(self) -> Result<Option<f32>, E> {
            Ok(None)
        }
    }

    from.deserialize_any(FloatVisitor)
}

/// Deserializes a list of strings, one string, or null.
pub(super) fn one_or_many_texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct TextsVisitor;

    impl<'de> Visitor<'de> for TextsVisitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of strings or a string")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(items))
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_unit<E>(self) -> Result<Vec<String>, E> {
            Ok(Vec::new())
        }
    }

    from.deserialize_any(TextsVisitor)
}
