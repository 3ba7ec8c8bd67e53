//! The filters of texts, and those that build a text of other values. What they build has a limit.

use std::{borrow::Cow, io};

use minijinja::{
    Environment, Error, ErrorKind, Value, filters,
    value::{Kwargs, ValueKind},
};

use super::{
    super::{OUTPUT_MAX_BYTES, exceeded, print},
    ITEM_BYTES, charge, charged,
};

/// Width of an indentation.
const INDENT_MAX_WIDTH: usize = 32;

/// Adds the filters to an environment.
pub(super) fn add_to(environment: &mut Environment<'static>) {
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
    charge(separator.map_or(0, str::len))?;
    let parts: Vec<String> = match separator.filter(|separator| !separator.is_empty()) {
        Some(separator) => text.split(separator).map(str::to_owned).collect(),
        None => text.split_whitespace().map(str::to_owned).collect(),
    };
    charge(parts.len().saturating_mul(ITEM_BYTES))?;
    Ok(parts)
}

/// The text of a value, which is charged.
pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    let text = match (value.as_str(), value.kind()) {
        (Some(text), _) => {
            charge(text.len())?;
            Cow::Borrowed(text)
        }
        (None, ValueKind::Undefined) => return Err(Error::from(ErrorKind::UndefinedError)),
        (None, _) => {
            let mut printed = BoundedText::default();
            print(value, |part| printed.push(part))?;
            Cow::Owned(printed.0)
        }
    };
    charge(ITEM_BYTES)?;
    Ok(text)
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

/// Writes JSON into a text with a limit.
struct JsonWriter {
    text: BoundedText,
    /// The reason for which a write failed.
    error: Option<Error>,
}

impl io::Write for JsonWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.text.push(part).map_err(|error| {
            self.error = Some(error);
            io::Error::other("the text is too long")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
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
    charge(from.len())?;
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
    // The text of a text doubles with each call, and a list may have the same text many times.
    let mut writer = JsonWriter { text: BoundedText::default(), error: None };
    let json = match indent {
        Some(width) if width > 0 => serde_json::to_writer_pretty(&mut writer, value),
        _ => serde_json::to_writer(&mut writer, value),
    };
    match (json, writer.error) {
        (Ok(()), _) => Ok(writer.text.0),
        (Err(_), Some(reason)) => Err(reason),
        (Err(error), None) => Err(Error::new(ErrorKind::BadSerialization, error.to_string())),
    }
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
