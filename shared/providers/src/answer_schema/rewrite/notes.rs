//! Keywords that a provider doesn't enforce: they move into a description, for the model.

use serde_json::{Map, Value};

/// Largest length of a keyword's value in a description.
const VALUE_MAX_CHARS: usize = 400;

/// Keywords that move into the description of their schema.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<(String, String)>);

impl Notes {
    pub(super) fn add(&mut self, keyword: &str, value: &Value) {
        let value = value.to_string();
        let mut shown: String = value.chars().take(VALUE_MAX_CHARS).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        self.0.push((keyword.to_owned(), shown));
    }

    pub(super) fn keywords(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(keyword, _)| keyword.clone())
    }

    pub(super) fn write(self, written: &mut Map<String, Value>) {
        if self.0.is_empty() {
            return;
        }
        let notes: Vec<String> =
            self.0.iter().map(|(keyword, value)| format!("{keyword}: {value}")).collect();
        let notes = format!("{{{}}}", notes.join(", "));
        let description = match written.get("description").and_then(Value::as_str) {
            Some(text) => format!("{text}\n\n{notes}"),
            None => notes,
        };
        written.insert("description".to_owned(), description.into());
    }
}
