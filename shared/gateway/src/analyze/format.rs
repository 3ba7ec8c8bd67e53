//! The data of an analysis as XML or YAML.

use hearth_wire::{ApiError, ErrorCode, native::analyze::DataFormat};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use serde_json::Value;

/// Name of the root element.
const ROOT: &str = "analysis";
/// Name of the elements of a list.
const ITEM: &str = "item";
/// Name of an element whose field has a name that XML doesn't allow: it is an attribute then.
const FIELD: &str = "field";

/// Returns the data in this format.
///
/// # Errors
/// `internal` if it can't be written, which no data is known to cause.
pub(super) fn data_in(format: DataFormat, data: Value) -> Result<Value, ApiError> {
    match format {
        DataFormat::Json => Ok(data),
        DataFormat::Xml => to_xml(&data).map(Value::String).map_err(|error| failed("XML", &error)),
        DataFormat::Yaml => {
            serde_saphyr::to_string(&data).map(Value::String).map_err(|error| failed("YAML", &error))
        }
    }
}

fn failed(format: &str, error: &dyn std::fmt::Display) -> ApiError {
    tracing::warn!(%error, format, "data can't be written");
    ApiError::new(ErrorCode::Internal, format!("the data can't be written as {format}; ask for json"))
}

fn to_xml(data: &Value) -> std::io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    write(&mut writer, BytesStart::new(ROOT), data)?;
    let mut text = String::from_utf8(writer.into_inner()).map_err(std::io::Error::other)?;
    text.push('\n');
    Ok(text)
}

/// Writes an element. The depth of an answer is limited where it is parsed.
fn write(writer: &mut Writer<Vec<u8>>, start: BytesStart<'_>, value: &Value) -> std::io::Result<()> {
    let text = match value {
        Value::Null => {
            return writer.write_event(Event::Empty(start.with_attributes([("nil", "true")])));
        }
        Value::Array(values) => {
            writer.write_event(Event::Start(start.borrow()))?;
            for value in values {
                write(writer, BytesStart::new(ITEM), value)?;
            }
            return writer.write_event(Event::End(start.to_end()));
        }
        Value::Object(fields) => {
            writer.write_event(Event::Start(start.borrow()))?;
            for (name, value) in fields {
                let element = match is_element_name(name) {
                    true => BytesStart::new(name.as_str()),
                    false => BytesStart::new(FIELD).with_attributes([("name", representable(name).as_str())]),
                };
                write(writer, element, value)?;
            }
            return writer.write_event(Event::End(start.to_end()));
        }
        Value::String(text) => representable(text),
        plain => plain.to_string(),
    };
    let end: BytesEnd<'_> = start.to_end().into_owned();
    writer.write_event(Event::Start(start))?;
    writer.write_event(Event::Text(BytesText::new(&text)))?;
    writer.write_event(Event::End(end))
}

/// A plain subset of XML's names.
fn is_element_name(name: &str) -> bool {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let is_reserved = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("xml"));
    starts && !is_reserved && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// The text without the characters that XML 1.0 has none for.
fn representable(text: &str) -> String {
    let is_missing = |c: char| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.replace(is_missing, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(format: DataFormat, data: Value) -> String {
        data_in(format, data).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn xml_has_an_element_for_each_field() {
        let data = json!({
            "intent": "a < b & \"c\"", "entities": [{"value": 1.5}, null, "x"], "2 words": true, "xmlThing": "y",
            "empty": {}, "control": "a\u{1}b",
        });
        assert_eq!(
            text(DataFormat::Xml, data),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<analysis>\n  <intent>a &lt; b &amp; &quot;c&quot;</intent>\n  \
             <entities>\n    <item>\n      <value>1.5</value>\n    </item>\n    <item nil=\"true\"/>\n    \
             <item>x</item>\n  </entities>\n  <field name=\"2 words\">true</field>\n  <field name=\"xmlThing\">y</field>\n  \
             <empty>\n  </empty>\n  <control>a\u{fffd}b</control>\n</analysis>\n"
        );
    }

    #[test]
    fn yaml_quotes_what_would_be_another_value() {
        let yaml = text(
            DataFormat::Yaml,
            json!({"country": "no", "code": "007", "total": 1.5, "list": ["a: b", ""]}),
        );
        assert!(yaml.contains("total: 1.5"), "{yaml}");
        for plain in ["country: no\n", "code: 007\n", "- a: b\n"] {
            assert!(!yaml.contains(plain), "{yaml}");
        }
    }

    #[test]
    fn json_is_unchanged() {
        assert_eq!(data_in(DataFormat::Json, json!({"a": [1]})).unwrap(), json!({"a": [1]}));
    }
}
