//! The differences of two configurations, setting by setting.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// The setting's name.
    setting: String,
    /// Its value before; none if it is new.
    before: Option<Value>,
    /// Its value after; none if it is removed.
    after: Option<Value>,
}

/// The settings that differ, by name. A list is one setting.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    collect(String::new(), before, &mut old);
    collect(String::new(), after, &mut new);
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let (before, after) = (old.get(name).cloned(), new.get(name).cloned());
        (before != after).then(|| Change { setting: name.clone(), before, after })
    };
    names.into_iter().filter_map(change).collect()
}

/// One line for each change, as in a diff: `-` before, `+` after.
pub(crate) fn lines(changes: &[Change]) -> String {
    let line = |sign: char, name: &str, value: &Value| format!("{sign} {name} = {value}\n");
    let mut text = String::new();
    for Change { setting, before, after } in changes {
        text.extend(before.iter().map(|value| line('-', setting, value)));
        text.extend(after.iter().map(|value| line('+', setting, value)));
    }
    text
}

/// Adds the settings of a value. A null is as an absent setting; an empty table, such as a provider without settings, is one.
fn collect(name: String, value: &Value, settings: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Object(fields) if name.is_empty() || !fields.is_empty() => {
            for (key, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                // An empty table of the whole configuration says nothing.
                let is_empty_table =
                    name.is_empty() && value.as_object().is_some_and(serde_json::Map::is_empty);
                if !is_empty_table {
                    collect(format!("{name}{dot}{}", quoted(key)), value, settings);
                }
            }
        }
        value => {
            settings.insert(name, value.clone());
        }
    }
}

/// A part of a name, in quotes where it has other characters than letters, digits, dashes and underscores.
fn quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { format!("{key:?}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changed_added_and_removed_settings_are_listed_by_name() {
        let before = json!({
            "aliases": {"fast": ["a"], "old": "x"},
            "providers": {"openai": {"kind": null}},
            "models": {},
        });
        let after = json!({
            "aliases": {"fast": ["a", "b"]},
            "providers": {"openai": {}},
            "models": {"openai:x.y": {"context_length": 7}},
        });
        assert_eq!(
            lines(&changes(&before, &after)),
            "- aliases.fast = [\"a\"]\n\
             + aliases.fast = [\"a\",\"b\"]\n\
             - aliases.old = \"x\"\n\
             + models.\"openai:x.y\".context_length = 7\n\
             + providers.openai = {}\n"
        );
        assert!(changes(&before, &before).is_empty());
    }
}
