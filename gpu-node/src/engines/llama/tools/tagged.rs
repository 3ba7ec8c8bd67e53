//! Arguments in tags, each a text or JSON by what its schema says, to a JSON object.

use serde_json::Value;

use super::{
    json::{Cursor, Stop},
    markup::Tags,
};

/// Reads arguments in tags as they come.
#[derive(Debug)]
pub(super) struct TaggedArguments {
    tags: Tags,
    /// The schemas of the arguments, by name.
    properties: Value,
    state: State,
    any: bool,
}

#[derive(Debug)]
enum State {
    /// Before an argument, or at the end.
    Between,
    /// In a text.
    Text,
    /// In a value of another kind, whose schema this is.
    Other(Value),
}

/// How far some text led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fed {
    /// How much of it was read, in bytes.
    pub(super) read: usize,
    /// Whether the arguments have ended.
    pub(super) end: bool,
}

impl TaggedArguments {
    /// For arguments of this schema.
    pub(super) fn new(tags: Tags, schema: &Value) -> Self {
        let properties = schema.get("properties").cloned().unwrap_or_default();
        Self { tags, properties, state: State::Between, any: false }
    }

    /// Reads what it can of `text`, and writes it to `json`. What it left must come again, with more.
    pub(super) fn feed(&mut self, text: &str, json: &mut String) -> Fed {
        let mut read = 0;
        loop {
            let rest = &text[read..];
            let step = match &self.state {
                State::Between => self.begin(rest, json),
                State::Text => Ok(self.text(rest, json)),
                State::Other(schema) => match rest.find(self.tags.value.1) {
                    Some(end) => {
                        json.push_str(&value(self.unpadded(&rest[..end]), schema));
                        self.state = State::Between;
                        Ok(end + self.tags.value.1.len())
                    }
                    None => Err(Stop::More),
                },
            };
            match step {
                Ok(0) | Err(Stop::More) => return Fed { read, end: false },
                Ok(length) => read += length,
                Err(Stop::Other) => {
                    self.finish(json);
                    return Fed { read, end: true };
                }
            }
        }
    }

    /// Ends the arguments, unless one of them is in its middle.
    pub(super) fn finish(&self, json: &mut String) {
        if matches!(self.state, State::Between) {
            json.push_str(if self.any { "}" } else { "{}" });
        }
    }

    /// Reads an argument's name.
    fn begin(&mut self, text: &str, json: &mut String) -> Result<usize, Stop> {
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
        json.push(if self.any { ',' } else { '{' });
        json.push_str(&Value::from(name).to_string());
        json.push(':');
        self.any = true;
        self.state = if is_text(&schema) {
            json.push('"');
            State::Text
        } else {
            State::Other(schema)
        };
        Ok(cursor.at())
    }

    /// Reads on in a text, and holds back what may be its end.
    fn text(&mut self, text: &str, json: &mut String) -> usize {
        let end = self.tags.value.1;
        if let Some(length) = text.find(end) {
            json.push_str(&escaped(self.unpadded(&text[..length])));
            json.push('"');
            self.state = State::Between;
            return length + end.len();
        }
        let text = &text[..text.len() - longest_beginning(text, end)];
        let text = self.unpadded(text);
        json.push_str(&escaped(text));
        text.len()
    }

    fn unpadded<'a>(&self, text: &'a str) -> &'a str {
        if self.tags.padded { text.strip_suffix('\n').unwrap_or(text) } else { text }
    }
}

/// The length of the longest ending of `text` that begins `marker`, and isn't all of it.
pub(in crate::engines::llama) fn longest_beginning(text: &str, marker: &str) -> usize {
    let longest = marker.len().saturating_sub(1).min(text.len());
    let ends = |length: &usize| marker.is_char_boundary(*length) && text.ends_with(&marker[..*length]);
    (1..=longest).rev().find(ends).unwrap_or(0)
}

/// Whether a schema takes texts and nothing else.
pub(super) fn is_text(schema: &Value) -> bool {
    match (schema.get("type"), schema.get("enum").and_then(Value::as_array)) {
        (Some(kind), _) => kind == "string",
        (None, Some(values)) => values.iter().all(Value::is_string),
        (None, None) => false,
    }
}

/// Whether a schema takes texts, perhaps among others. Any text between tags is then one.
pub(super) fn takes_text(schema: &Value) -> bool {
    let kinds = schema.get("type").and_then(Value::as_array);
    is_text(schema) || kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "string"))
}

/// `text` as JSON of this schema.
fn value(text: &str, schema: &Value) -> String {
    let json = match text.trim() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    };
    let kinds = schema.get("type").and_then(Value::as_array);
    let null = json == "null" && kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
    if null || !takes_text(schema) && serde_json::from_str::<Value>(json).is_ok() {
        json.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// `text` as it stands in a JSON string.
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
            markup::Body::Tagged { tags, .. } => tags,
            _ => unreachable!("both formats have tags"),
        }
    }

    /// Feeds `text` in pieces of `size` characters; gives the JSON and what was left.
    fn read(markup: &markup::Markup, text: &str, size: usize) -> (String, String) {
        let mut arguments = TaggedArguments::new(tags(markup), &schema());
        let (mut held, mut json) = (String::new(), String::new());
        let characters: Vec<char> = text.chars().collect();
        let mut pieces = characters.chunks(size);
        for piece in pieces.by_ref() {
            held.extend(piece);
            let fed = arguments.feed(&held, &mut json);
            held.drain(..fed.read);
            if fed.end {
                break;
            }
        }
        held.extend(pieces.flatten());
        (json, held)
    }

    #[test]
    fn tags_become_json_however_they_are_cut() {
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
    fn texts_go_out_before_they_end_and_nothing_is_an_object_too() {
        let text = "<parameter=city>\nIn the middle of it\n";
        let json = r#"{"city":"In the middle of it"#;
        assert_eq!(read(&markup::QWEN_CODER, text, 7), (json.into(), "\n".into()));
        assert_eq!(read(&markup::QWEN_CODER, "</function>", 3), ("{}".into(), "</function>".into()));
        let not_json = "<parameter=days>\nthree\n</parameter>\n<";
        assert_eq!(read(&markup::QWEN_CODER, not_json, 2).0, r#"{"days":"three""#);
    }
}
