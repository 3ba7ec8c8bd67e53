//! The filters, tests and functions of templates. Each filter charges its work to the budget of the rendering.
//!
//! Filters whose output may be far longer than their input (`join`, `replace`, `indent`, `tojson`) are written in [`texts`], with a
//! limit; the others are the engine's. Left out are those for HTML and URLs, and those that build lists of lists of any size.

#![expect(clippy::needless_pass_by_value, reason = "the engine passes the options of a filter by value")]

mod comparisons;
mod texts;

use std::borrow::Cow;

use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters, tests,
    value::{Kwargs, Rest, ValueKind, ValueOrKwargs},
};

use super::charge;
use comparisons::charge_whole;

/// The names of the filters.
pub(super) const FILTERS: [&str; 39] = [
    "abs",
    "attr",
    "bool",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
];
/// The names of the tests.
pub(super) const TESTS: [&str; 28] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "==",
    "!=",
];
/// Names of the filters that metering adds. Templates may not use them.
pub(super) const METERED: &str = "metered";
pub(super) const METERED_WHOLE: &str = "metered_whole";
pub(super) const COLLECTED: &str = "collected";
/// Limit of the numbers of a range.
const RANGE_MAX_COUNT: isize = 10_000;
/// Bytes that an item of a list counts as.
pub(super) const ITEM_BYTES: usize = 64;

/// Adds the filters, tests and functions to an environment.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    texts::add_to(environment);
    add_list_filters(environment);
    add_number_filters(environment);
    add_tests(environment);
    environment.add_filter(METERED, metered);
    environment.add_filter(METERED_WHOLE, metered_whole);
    environment.add_filter(COLLECTED, collected);
    environment.add_function("range", range);
}

/// Declares filters of the engine that charge their input.
macro_rules! charged_filters {
    ($charge:ident: $($name:ident(($($state:ident: $state_type:ty)?) $value:ident: $value_type:ty $(, $argument:ident: $argument_type:ty)*) -> $result:ty;)+) => {
        $(fn $name($($state: $state_type,)? $value: $value_type $(, $argument: $argument_type)*) -> Result<$result, Error> {
            $charge(&$value)?;
            filters::$name($($state,)? $value $(, $argument)*)
        })+
    };
}

charged_filters! {
    charged:
    length(() value: &Value) -> usize;
    first(() value: &Value) -> Value;
    last(() value: Value) -> Value;
    reverse(() value: &Value) -> Value;
    int((state: &State<'_, '_>) value: &Value, default: Option<Value>, base: Option<u32>, options: Kwargs) -> Value;
    float((state: &State<'_, '_>) value: &Value, default: Option<Value>, options: Kwargs) -> Value;
}

charged_filters! {
    charge_items:
    items(() value: &Value) -> Value;
    list((state: &State<'_, '_>) value: Value) -> Value;
    map((state: &mut State<'_, '_>) value: Value, arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    select((state: &mut State<'_, '_>) value: Value, test: Option<Cow<'_, str>>, arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    reject((state: &mut State<'_, '_>) value: Value, test: Option<Cow<'_, str>>, arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    selectattr((state: &mut State<'_, '_>) value: Value, attribute: Cow<'_, str>, test: Option<Cow<'_, str>>,
        arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    rejectattr((state: &mut State<'_, '_>) value: Value, attribute: Cow<'_, str>, test: Option<Cow<'_, str>>,
        arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
}

charged_filters! {
    charge_compared:
    dictsort(() value: &Value, options: Kwargs) -> Value;
    groupby(() value: Value, attribute: Option<&str>, options: Kwargs) -> Value;
    sort((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    unique((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    min((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    max((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
}

/// Charges a value that a step of the engine reads: a text, or a list that isn't in memory. `item_bytes`: what each of its items
/// counts as beside that.
fn metered(value: Value, item_bytes: Option<usize>) -> Result<Value, Error> {
    let read = match value.kind() {
        ValueKind::String => value.as_str().map_or(0, str::len),
        ValueKind::Iterable => item_count(&value).saturating_mul(ITEM_BYTES),
        _ => 0,
    };
    let items = item_bytes.map_or(0, |bytes| item_count(&value).saturating_mul(bytes));
    charge(read.saturating_add(items).saturating_add(ITEM_BYTES))?;
    Ok(value)
}

/// Charges a value that is compared with another one.
fn metered_whole(value: Value) -> Result<Value, Error> {
    charge_whole(&value)?;
    Ok(value)
}

/// A list that isn't in memory, such as a slice, as one that is.
fn collected(value: Value) -> Result<Value, Error> {
    if value.kind() != ValueKind::Iterable {
        return Ok(value);
    }
    charge_items(&value)?;
    Ok(value.try_iter()?.collect::<Vec<Value>>().into())
}

fn add_list_filters(environment: &mut Environment<'static>) {
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("first", first);
    environment.add_filter("last", last);
    environment.add_filter("reverse", reverse);
    environment.add_filter("items", items);
    environment.add_filter("dictsort", dictsort);
    environment.add_filter("groupby", groupby);
    environment.add_filter("list", list);
    environment.add_filter("sort", sort);
    environment.add_filter("unique", unique);
    environment.add_filter("min", min);
    environment.add_filter("max", max);
    environment.add_filter("map", map);
    environment.add_filter("select", select);
    environment.add_filter("reject", reject);
    environment.add_filter("selectattr", selectattr);
    environment.add_filter("rejectattr", rejectattr);
    environment.add_filter("attr", filters::attr);
    environment.add_filter("default", filters::default);
    environment.add_filter("d", filters::default);
}

fn add_number_filters(environment: &mut Environment<'static>) {
    environment.add_filter("abs", filters::abs);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("round", filters::round);
    environment.add_filter("bool", filters::bool);
}

fn add_tests(environment: &mut Environment<'static>) {
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("true", tests::is_true);
    environment.add_test("false", tests::is_false);
    environment.add_test("number", tests::is_number);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("float", tests::is_float);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("even", tests::is_even);
    environment.add_test("divisibleby", tests::is_divisibleby);
    environment.add_test("string", tests::is_string);
    environment.add_test("startingwith", comparisons::starts_with);
    environment.add_test("endingwith", comparisons::ends_with);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("iterable", tests::is_iterable);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("in", comparisons::is_in);
    for name in ["eq", "equalto", "=="] {
        environment.add_test(name, comparisons::is_eq);
    }
    for name in ["ne", "!="] {
        environment.add_test(name, comparisons::is_ne);
    }
    environment.add_test("lt", comparisons::is_lt);
    environment.add_test("le", comparisons::is_le);
    environment.add_test("gt", comparisons::is_gt);
    environment.add_test("ge", comparisons::is_ge);
}

/// Charges the items of a list, or the bytes of a text.
fn charged(value: &Value) -> Result<(), Error> {
    let items = || item_count(value).saturating_mul(ITEM_BYTES);
    charge(value.as_str().map_or_else(items, str::len).saturating_add(ITEM_BYTES))
}

/// Charges the items of a list, or the characters of a text, which become values of their own.
fn charge_items(value: &Value) -> Result<(), Error> {
    charge(item_count(value).saturating_add(1).saturating_mul(ITEM_BYTES))
}

/// Charges the items of a list that are compared with each other, with the values in them.
fn charge_compared(value: &Value) -> Result<(), Error> {
    charge_items(value)?;
    charge_whole(value)
}

fn item_count(value: &Value) -> usize {
    let iterated = || value.try_iter().map_or(0, Iterator::count);
    value.len().unwrap_or_else(iterated)
}

/// `range(3)`, `range(1, 4)`, `range(0, 10, 2)`.
fn range(first: isize, end: Option<isize>, step: Option<isize>) -> Result<Vec<isize>, Error> {
    let (first, end) = end.map_or((0, first), |end| (first, end));
    let step = usize::try_from(step.unwrap_or(1)).ok().filter(|step| *step > 0);
    let Some(step) = step else {
        return Err(Error::new(ErrorKind::InvalidOperation, "range takes a step of at least 1"));
    };
    if end.saturating_sub(first) > RANGE_MAX_COUNT {
        let message = format!("range gives at most {RANGE_MAX_COUNT} numbers");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    charge(usize::try_from(end.saturating_sub(first)).unwrap_or_default().saturating_mul(ITEM_BYTES))?;
    Ok((first..end).step_by(step).collect())
}
