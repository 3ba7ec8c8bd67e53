//! The filters, tests and functions of templates. Each filter charges its work to the budget of the rendering.
//!
//! Filters whose output may be far longer than their input (`join`, `replace`, `indent`, `tojson`) are written here, with a limit;
//! the others are the engine's. Left out are those for HTML and URLs, and those that build lists of lists of any size.

#![expect(clippy::needless_pass_by_value, reason = "the engine passes the options of a filter by value")]

mod comparisons;

use std::borrow::Cow;

use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters, tests,
    value::{Kwargs, Rest, ValueKind, ValueOrKwargs},
};

use super::{OUTPUT_MAX_BYTES, charge, exceeded};

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
/// Limit of the numbers of a range.
const RANGE_MAX_COUNT: isize = 10_000;
/// Bytes that an item of a list counts as.
const ITEM_BYTES: usize = 64;
/// Width of an indentation.
const INDENT_MAX_WIDTH: usize = 32;

/// Adds the filters, tests and functions to an environment.
pub(super) fn add_to(environment: &mut Environment<'static>) {
    add_text_filters(environment);
    add_list_filters(environment);
    add_number_filters(environment);
    add_tests(environment);
    environment.add_function("range", range);
}

fn add_text_filters(environment: &mut Environment<'static>) {
    environment.add_filter("upper", upper);
    environment.add_filter("lower", lower);
    environment.add_filter("title", title);
    environment.add_filter("capitalize", capitalize);
    environment.add_filter("trim", trim);
    environment.add_filter("string", string);
    environment.add_filter("lines", lines);
    environment.add_filter("split", split);
    environment.add_filter("truncate", truncate);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    environment.add_filter("tojson", tojson);
    environment.add_filter("join", join);
}

fn upper(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.to_uppercase())
}

fn lower(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.to_lowercase())
}

fn title(value: &Value) -> Result<String, Error> {
    Ok(filters::title(text(value)?))
}

fn capitalize(value: &Value) -> Result<String, Error> {
    let text = text(value)?;
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    Ok(first.chain(letters.as_str().to_lowercase().chars()).collect())
}

fn trim(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.trim().to_owned())
}

fn string(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.into_owned())
}

fn lines(value: &Value) -> Result<Vec<String>, Error> {
    let text = text(value)?;
    charge(text.lines().count().saturating_mul(ITEM_BYTES))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// `{{ text|split(",") }}`, and without a separator at spaces.
fn split(value: &Value, separator: Option<&str>) -> Result<Vec<String>, Error> {
    let text = text(value)?;
    let parts: Vec<String> = match separator.filter(|separator| !separator.is_empty()) {
        Some(separator) => text.split(separator).map(str::to_owned).collect(),
        None => text.split_whitespace().map(str::to_owned).collect(),
    };
    charge(parts.len().saturating_mul(ITEM_BYTES))?;
    Ok(parts)
}

/// Declares filters of the engine that charge the items of their input.
macro_rules! charged_filters {
    ($($name:ident(($($state:ident: $state_type:ty)?) $value:ident: $value_type:ty $(, $argument:ident: $argument_type:ty)*) -> $result:ty;)+) => {
        $(fn $name($($state: $state_type,)? $value: $value_type $(, $argument: $argument_type)*) -> Result<$result, Error> {
            charged(&$value)?;
            filters::$name($($state,)? $value $(, $argument)*)
        })+
    };
}

charged_filters! {
    length(() value: &Value) -> usize;
    first(() value: &Value) -> Value;
    last(() value: Value) -> Value;
    reverse(() value: &Value) -> Value;
    items(() value: &Value) -> Value;
    dictsort(() value: &Value, options: Kwargs) -> Value;
    groupby(() value: Value, attribute: Option<&str>, options: Kwargs) -> Value;
    list((state: &State<'_, '_>) value: Value) -> Value;
    sort((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    unique((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    min((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    max((state: &State<'_, '_>) value: Value, options: Kwargs) -> Value;
    map((state: &mut State<'_, '_>) value: Value, arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    select((state: &mut State<'_, '_>) value: Value, test: Option<Cow<'_, str>>, arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    reject((state: &mut State<'_, '_>) value: Value, test: Option<Cow<'_, str>>, arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    selectattr((state: &mut State<'_, '_>) value: Value, attribute: Cow<'_, str>, test: Option<Cow<'_, str>>,
        arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
    rejectattr((state: &mut State<'_, '_>) value: Value, attribute: Cow<'_, str>, test: Option<Cow<'_, str>>,
        arguments: Rest<ValueOrKwargs>) -> Vec<Value>;
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
    environment.add_filter("int", filters::int);
    environment.add_filter("float", filters::float);
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

/// The text of a value, which is charged.
fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    let text = match (value.as_str(), value.kind()) {
        (Some(text), _) => Cow::Borrowed(text),
        (None, ValueKind::Undefined) => return Err(Error::from(ErrorKind::UndefinedError)),
        (None, _) => Cow::Owned(value.to_string()),
    };
    charge(text.len().saturating_add(ITEM_BYTES))?;
    Ok(text)
}

/// Charges the items of a list, or the bytes of a text.
fn charged(value: &Value) -> Result<(), Error> {
    let items = || value.len().unwrap_or(1).saturating_mul(ITEM_BYTES);
    charge(value.as_str().map_or_else(items, str::len).saturating_add(ITEM_BYTES))
}

/// Text that a filter builds, with a limit.
#[derive(Default)]
struct BoundedText(String);

impl BoundedText {
    fn push(&mut self, text: &str) -> Result<(), Error> {
        if self.0.len() + text.len() > OUTPUT_MAX_BYTES {
            return Err(exceeded("it builds a text that is too long"));
        }
        charge(text.len())?;
        self.0.push_str(text);
        Ok(())
    }
}

/// `{{ text|truncate(100) }}`: the first characters, with `end` behind them if some are left out.
fn truncate(value: &Value, length: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let (text, length) = (text(value)?, length.unwrap_or(255));
    let end: Option<&str> = options.get("end")?;
    options.assert_all_used()?;
    let mut letters = text.char_indices();
    let Some((cut, _)) = letters.nth(length) else { return Ok(text.into_owned()) };
    let mut shortened = BoundedText::default();
    shortened.push(&text[..cut])?;
    shortened.push(end.unwrap_or("..."))?;
    Ok(shortened.0)
}

/// `{{ text|replace("a", "b") }}`.
fn replace(value: &Value, from: &str, to: &str) -> Result<String, Error> {
    let text = text(value)?;
    if from.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "replace needs a text to replace"));
    }
    let mut replaced = BoundedText::default();
    for (index, part) in text.split(from).enumerate() {
        if index > 0 {
            replaced.push(to)?;
        }
        replaced.push(part)?;
    }
    Ok(replaced.0)
}

/// `{{ text|indent(4) }}`: each line but the first begins with spaces; with `first=true` that one too.
fn indent(value: &Value, width: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let (text, width) = (text(value)?, width.unwrap_or(4));
    let first: Option<bool> = options.get("first")?;
    options.assert_all_used()?;
    if width > INDENT_MAX_WIDTH {
        let message = format!("indent takes a width of at most {INDENT_MAX_WIDTH}");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let spaces = " ".repeat(width);
    let mut indented = BoundedText::default();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            indented.push("\n")?;
        }
        if !line.is_empty() && (index > 0 || first == Some(true)) {
            indented.push(&spaces)?;
        }
        indented.push(line)?;
    }
    Ok(indented.0)
}

/// `{{ value|tojson }}`: JSON, and with `indent` over several lines. It isn't escaped for HTML.
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    charged(value)?;
    let json = match indent {
        Some(width) if width > 0 => serde_json::to_string_pretty(value),
        _ => serde_json::to_string(value),
    };
    let json = json.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    // The text of a text doubles with each call.
    let mut bounded = BoundedText::default();
    bounded.push(&json)?;
    Ok(bounded.0)
}

/// `{{ list|join(", ") }}`, and with `attribute` the items' fields.
fn join(value: &Value, separator: Option<&str>, options: Kwargs) -> Result<String, Error> {
    let attribute: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    let mut joined = BoundedText::default();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            joined.push(separator.unwrap_or_default())?;
        }
        let item = match attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        joined.push(&text(&item)?)?;
    }
    Ok(joined.0)
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
