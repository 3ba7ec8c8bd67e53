//! Converts arguments in tags to a JSON object. An argument is a text or JSON, depending on its schema.

use serde_json::Value;

use super::{
    cursor::{Cursor, CursorError},
    markup::Tags,
};
use crate::engines::llama::text::partial_match_len;

/// Reader of streamed arguments in tags.
#[derive(Debug)]
pub(super) struct TaggedArguments {
    tags: Tags,
    /// The schemas of the arguments, by name.
    properties: Value,
    state: State,
    /// True if an argument has begun.
    has_arguments: bool,
}

#[derive(Debug)]
enum State {
    /// Before an argument, or at the end.
    Between,
    /// In a text.
    Text,
    /// In a value that is no text, with this schema.
    Json(Value),
}

/// Result of reading a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Consumed {
    /// Number of bytes that were read.
    pub(super) bytes: usize,
    /// True if the arguments have ended.
    pub(super) ended: bool,
}

impl TaggedArguments {
    /// A reader of arguments with this schema.
    pub(super) fn new(tags: Tags, schema: &Value) -> Self {
        let properties = schema.get("properties").cloned().unwrap_or_default();
        Self { tags, properties, state: State::Between, has_arguments: false }
    }

    /// Reads a beginning of `text` and appends it to `json`. The rest must be passed again, with more text.
    pub(super) fn consume(&mut self, text: &str, json: &mut String) -> Consumed {
        let mut read = 0;
        loop {
            let rest = &text[read..];
            let step = match &self.state {
                State::Between => self.begin_argument(rest, json),
                State::Text => Ok(self.read_text(rest, json)),
                State::Json(schema) => match rest.find(self.tags.value.1) {
                    Some(end) => {
                        json.push_str(&to_json(self.unpadded(&rest[..end]), schema));
                        self.state = State::Between;
                        Ok(end + self.tags.value.1.len())
                    }
                    None => Err(CursorError::Incomplete),
                },
            };
            match step {
                Ok(0) | Err(CursorError::Incomplete) => return Consumed { bytes: read, ended: false },
                Ok(length) => read += length,
                Err(CursorError::Mismatch) => {
                    self.finish(json);
                    return Consumed { bytes: read, ended: true };
                }
            }
        }
    }

    /// Closes the JSON object, unless an argument is incomplete.
    pub(super) fn finish(&self, json: &mut String) {
        if matches!(self.state, State::Between) {
            json.push_str(if self.has_arguments { "}" } else { "{}" });
        }
    }

    /// Reads an argument's name.
    fn begin_argument(&mut self, text: &str, json: &mut String) -> Result<usize, CursorError> {
        let Tags { key, value, padded } = self.tags;
        let mut cursor = Cursor::new(text);
        cursor.space().literal(key.0)?;
        let name = cursor.until(key.1)?.trim();
        if !value.0.is_empty() {
            cursor.space().literal(value.0)?;
        }
        if padded && cursor.peek()? == '\n' {
            cursor.next()?;
        }
        let schema = self.properties.get(name).cloned().unwrap_or_default();
        json.push(if self.has_arguments { ',' } else { '{' });
        json.push_str(&Value::from(name).to_string());
        json.push(':');
        self.has_arguments = true;
        self.state = if is_text(&schema) {
            json.push('"');
            State::Text
        } else {
            State::Json(schema)
        };
        Ok(cursor.at())
    }

    /// Reads a part of a text, without an end that may be a part of the closing tag.
    fn read_text(&mut self, text: &str, json: &mut String) -> usize {
        let end = self.tags.value.1;
        if let Some(length) = text.find(end) {
            json.push_str(&escaped(self.unpadded(&text[..length])));
            json.push('"');
            self.state = State::Between;
            return length + end.len();
        }
        let text = &text[..text.len() - partial_match_len(text, end)];
        let text = self.unpadded(text);
        json.push_str(&escaped(text));
        text.len()
    }

    fn unpadded<'a>(&self, text: &'a str) -> &'a str {
        if self.tags.padded { text.strip_suffix('\n').unwrap_or(text) } else { text }
    }
}

/// Returns whether a schema allows only strings.
pub(super) fn is_text(schema: &Value) -> bool {
    match (schema.get("type"), schema.get("enum").and_then(Value::as_array)) {
        (Some(kind), _) => kind == "string",
        (None, Some(values)) => values.iter().all(Value::is_string),
        (None, None) => false,
    }
}

/// Returns whether a schema allows strings, perhaps among other types. Any text between tags is a string then.
pub(super) fn allows_text(schema: &Value) -> bool {
    let kinds = schema.get("type").and_then(Value::as_array);
    is_text(schema) || kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"))
}

/// Converts `text` to JSON of this schema.
fn to_json(text: &str, schema: &Value) -> String {
    let json = match text.trim() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    };
    let kinds = schema.get("type").and_then(Value::as_array);
    let null = json == "null" && kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
    if null || !allows_text(schema) && serde_json::from_str::<Value>(json).is_ok() {
        json.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// `text` as in a JSON string, without the quotes.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::markup, *};

    fn schema() -> Value {
        json!({"properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["c", "f"]},
            "note": {"type": ["string", "null"]},
            "list": {"type": "array"},
        }})
    }

    fn tags(markup: &markup::Markup) -> Tags {
        match markup.body {
            markup::CallBody::Tagged { tags, .. } => tags,
            _ => unreachable!("both formats have tags"),
        }
    }

    /// Reads `text` in pieces of `size` characters. Returns the JSON and the rest of the text.
    fn read(markup: &markup::Markup, text: &str, size: usize) -> (String, String) {
        let mut arguments = TaggedArguments::new(tags(markup), &schema());
        let (mut held, mut json) = (String::new(), String::new());
        let characters: Vec<char> = text.chars().collect();
        let mut pieces = characters.chunks(size);
        for piece in pieces.by_ref() {
            held.extend(piece);
            let consumed = arguments.consume(&held, &mut json);
            held.drain(..consumed.bytes);
            if consumed.ended {
                break;
            }
        }
        held.extend(pieces.flatten());
        (json, held)
    }

    #[test]
    fn tagged_arguments_become_json_in_pieces_of_any_size() {
        let qwen = "\n<parameter=city>\nNew\n\"York\"\n</parameter>\n<parameter=days>\n3\n</parameter>\n\
            <parameter=note>\n12\n</parameter><parameter=other>[1, {\"a\": 2}]</parameter>\n<parameter=more>\nTrue\n</parameter>\n</function> rest";
        let json = r#"{"city":"New\n\"York\"","days":3,"note":"12","other":[1, {"a": 2}],"more":true}"#;
        for size in 1..qwen.len() {
            assert_eq!(
                read(&markup::QWEN_CODER, qwen, size),
                (json.into(), "\n</function> rest".into()),
                "in pieces of {size}"
            );
        }
        let glm = "<arg_key>unit</arg_key>\n<arg_value>c</arg_value>\n<arg_key>list</arg_key>\n<arg_value>[\"é\"]</arg_value>\n</tool_call>";
        for size in 1..glm.len() {
            let json = r#"{"unit":"c","list":["é"]}"#;
            assert_eq!(
                read(&markup::GLM, glm, size),
                (json.into(), "\n</tool_call>".into()),
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn text_is_streamed_and_no_arguments_are_an_empty_object() {
        let text = "<parameter=city>\nIn the middle of it\n";
        let json = r#"{"city":"In the middle of it"#;
        assert_eq!(read(&markup::QWEN_CODER, text, 7), (json.into(), "\n".into()));
        assert_eq!(read(&markup::QWEN_CODER, "</function>", 3), ("{}".into(), "</function>".into()));
        let not_json = "<parameter=days>\nthree\n</parameter>\n<";
        assert_eq!(read(&markup::QWEN_CODER, not_json, 2).0, r#"{"days":"three""#);
    }
}
