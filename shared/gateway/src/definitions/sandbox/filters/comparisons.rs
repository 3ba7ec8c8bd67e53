//! The tests that compare two values. Each charges the whole of both: the engine counts a comparison as one step.

use minijinja::{Error, State, Value, tests, value::ValueKind};

use super::{ITEM_BYTES, charge, texts::text};

/// Declares tests of the engine that charge both values.
macro_rules! charged_tests {
    ($($name:ident)+) => {
        $(pub(super) fn $name(value: &Value, other: &Value) -> Result<bool, Error> {
            charge_whole(value)?;
            charge_whole(other)?;
            Ok(tests::$name(value, other))
        })+
    };
}

charged_tests! { is_eq is_ne is_lt is_le is_gt is_ge }

pub(super) fn is_in(state: &State<'_, '_>, value: &Value, container: &Value) -> Result<bool, Error> {
    charge_whole(value)?;
    charge_whole(container)?;
    tests::is_in(state, value, container)
}

pub(super) fn starts_with(value: &Value, start: &Value) -> Result<bool, Error> {
    let (text, start) = (text(value)?, text(start)?);
    Ok(text.starts_with(&*start))
}

pub(super) fn ends_with(value: &Value, end: &Value) -> Result<bool, Error> {
    let (text, end) = (text(value)?, text(end)?);
    Ok(text.ends_with(&*end))
}

/// Charges a value and the values in it.
pub(super) fn charge_whole(value: &Value) -> Result<(), Error> {
    charge(value.as_str().map_or(0, str::len).saturating_add(ITEM_BYTES))?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|item| charge_whole(&item)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| {
            charge_whole(&key)?;
            charge_whole(&value.get_item(&key)?)
        }),
        _ => Ok(()),
    }
}
