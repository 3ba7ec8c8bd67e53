//! YAML as JSON. The short forms of CloudFormation's intrinsic functions are written in their long forms: `!Ref Table` as
//! `{"Ref": "Table"}`, `!GetAtt Table.Arn` as `{"Fn::GetAtt": ["Table", "Arn"]}`.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

use crate::Error;

type Events<'a> = Parser<'a, saphyr_parser::StrInput<'a>>;

/// Reads the one document of a text.
pub(crate) fn read(text: &str) -> Result<Value, Error> {
    let mut events = Parser::new_from_str(text);
    loop {
        match next(&mut events)? {
            Event::DocumentStart(_) => {
                let first = next(&mut events)?;
                return node(&mut events, first);
            }
            Event::StreamEnd => return Err(Error::Yaml("it is empty".to_owned())),
            _ => {}
        }
    }
}

fn next<'a>(events: &mut Events<'a>) -> Result<Event<'a>, Error> {
    let event = events.next().ok_or_else(|| Error::Yaml("it ends too early".to_owned()))?;
    event.map(|(event, _)| event).map_err(|error| Error::Yaml(error.to_string()))
}

/// The value that begins with `event`.
fn node<'a>(events: &mut Events<'a>, event: Event<'a>) -> Result<Value, Error> {
    match event {
        Event::Scalar(text, style, _, tag) => {
            let is_plain = style == ScalarStyle::Plain && tag.is_none();
            with_tag(tag.as_deref(), if is_plain { plain(&text) } else { json!(text) })
        }
        Event::SequenceStart(_, tag) => {
            let mut items = Vec::new();
            loop {
                match next(events)? {
                    Event::SequenceEnd => return with_tag(tag.as_deref(), Value::Array(items)),
                    event => items.push(node(events, event)?),
                }
            }
        }
        Event::MappingStart(_, tag) => {
            let mut fields = Map::new();
            loop {
                let key = match next(events)? {
                    Event::MappingEnd => return with_tag(tag.as_deref(), Value::Object(fields)),
                    Event::Scalar(key, ..) => key.into_owned(),
                    other => return Err(Error::Yaml(format!("a key is no text: {other:?}"))),
                };
                let event = next(events)?;
                let value = node(events, event)?;
                if fields.insert(key.clone(), value).is_some() {
                    return Err(Error::Yaml(format!("the key {key} is there twice")));
                }
            }
        }
        other => Err(Error::Yaml(format!("{other:?} is not supported"))),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "true" => json!(true),
        "false" => json!(false),
        "null" | "~" | "" => Value::Null,
        _ => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

/// The long form of an intrinsic function.
fn with_tag(tag: Option<&Tag>, value: Value) -> Result<Value, Error> {
    let Some(tag) = tag else { return Ok(value) };
    if tag.is_yaml_core_schema() {
        return Ok(value);
    }
    let name = tag.suffix.as_str();
    let long = match (name, &value) {
        ("Ref" | "Condition", _) => json!({ name: value }),
        ("GetAtt", Value::String(text)) => match text.split_once('.') {
            Some((resource, attribute)) => json!({"Fn::GetAtt": [resource, attribute]}),
            None => return Err(Error::Yaml(format!("!GetAtt {text} names no attribute"))),
        },
        _ => Value::Object(Map::from_iter([(format!("Fn::{name}"), value)])),
    };
    Ok(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_long_ones() {
        let text = "\
A: { Ref: Table, Sub: !Sub \"${Table.Arn}/*\", number: 12, text: \"12\", yes: true }
B:
  - !Ref Table
  - !GetAtt Table.Arn
  - !If [Is, !Ref A, !Ref \"AWS::NoValue\"]
C: !Not [!Condition Is]
D: >-
  one
  line
";
        assert_eq!(
            read(text).unwrap(),
            json!({
                "A": {"Ref": "Table", "Sub": {"Fn::Sub": "${Table.Arn}/*"}, "number": 12, "text": "12", "yes": true},
                "B": [
                    {"Ref": "Table"},
                    {"Fn::GetAtt": ["Table", "Arn"]},
                    {"Fn::If": ["Is", {"Ref": "A"}, {"Ref": "AWS::NoValue"}]},
                ],
                "C": {"Fn::Not": [{"Condition": "Is"}]},
                "D": "one line",
            })
        );
    }

    #[test]
    fn malformed_text_is_an_error() {
        for text in ["", "a: [", "a: 1\na: 2", "[a]: 1", "a: !GetAtt b", "a: &x 1\nb: *x"] {
            read(text).unwrap_err();
        }
    }
}
