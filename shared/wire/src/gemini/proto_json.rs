//! JSON as Google's servers read it (<https://protobuf.dev/programming-guides/json>): numbers may be strings or have a
//! fraction of zero, and one value may stand for a list of one.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        Error, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

/// The largest whole number that a `f64` has exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A list, an object that is the list's only item, or null.
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

/// A whole number, or null.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    struct WholeVisitor;

    impl Visitor<'_> for WholeVisitor {
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

        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and within the bounds")]
        fn visit_f64<E: Error>(self, number: f64) -> Result<Option<i64>, E> {
            if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
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

    from.deserialize_any(WholeVisitor)
}

/// A number, or null.
pub(super) fn float<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f32>, D::Error> {
    struct FloatVisitor;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "no setting is that exact"
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

/// A list of texts, one text, or null.
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
