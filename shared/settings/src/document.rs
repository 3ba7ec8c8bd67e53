//! The part of the settings that a gateway keeps in its table for all of its processes: routing, without keys.

use std::collections::BTreeMap;

use hearth_domain::{Strategy, objects_only::ObjectsOnly};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::{
    Alias, InvalidSetting, ModelOverride, ProviderSettings, Rule, SelectionSettings, Settings, errors,
    routing,
};

/// Providers, aliases, fallbacks, selection and overrides of models, in the form of the settings file. Each process lays
/// it over the settings of its own, name by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoutingDocument {
    /// Providers, by the names that clients use for them.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Names that stand for models.
    pub aliases: BTreeMap<String, Alias>,
    /// Models to try in place of a model, or an alias, that can't serve.
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// The choice of a model where a request leaves it open.
    pub selection: SelectionChanges,
    /// Facts of providers' models beyond the catalog, by `PROVIDER:MODEL`.
    pub models: BTreeMap<String, ModelOverride>,
}

/// The table `selection`, of which a document sets a part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelectionChanges {
    strategy: Option<Strategy>,
    free_when_out_of_credit: Option<bool>,
    intent_words: Option<bool>,
    home_wait_seconds: Option<u64>,
    rules: Option<Vec<Rule>>,
}

impl SelectionChanges {
    /// Replaces the settings that the document sets.
    pub fn apply(&self, selection: &mut SelectionSettings) {
        selection.strategy = self.strategy.unwrap_or(selection.strategy);
        selection.free_when_out_of_credit =
            self.free_when_out_of_credit.unwrap_or(selection.free_when_out_of_credit);
        selection.intent_words = self.intent_words.unwrap_or(selection.intent_words);
        selection.home_wait_seconds = self.home_wait_seconds.unwrap_or(selection.home_wait_seconds);
        if let Some(rules) = &self.rules {
            selection.rules.clone_from(rules);
        }
    }
}

impl RoutingDocument {
    /// The names of the tables of a document.
    pub const TABLES: [&str; 5] = ["providers", "aliases", "fallbacks", "selection", "models"];

    /// Reads a document, and checks all that the settings file's check covers, except for providers and overrides of
    /// models: `hearth_gateway::Routing` checks these, since it has the vendors and the catalog.
    ///
    /// # Errors
    /// The first setting that is unknown, has a wrong type, is out of bounds, or is a key.
    pub fn parse(json: &Value) -> Result<Self, InvalidSetting> {
        let Some(tables) = json.as_object() else {
            let tables = Self::TABLES.join(", ");
            return Err(InvalidSetting::new(format!("it must be an object with the tables {tables}")));
        };
        for table in tables.keys().filter(|table| !Self::TABLES.contains(&table.as_str())) {
            check_table(table)?;
        }
        let document: Self = serde_path_to_error::deserialize(ObjectsOnly(json)).map_err(|error| {
            let (path, message) = (name_of(error.path()), errors::in_words(&error.inner().to_string()));
            InvalidSetting::new(if path.is_empty() { message } else { format!("{path}: {message}") })
        })?;
        document.check_keys()?;
        routing::validate_aliases(&document.aliases)?;
        let mut selection = SelectionSettings::default();
        document.selection.apply(&mut selection);
        selection.validate()?;
        Ok(document)
    }

    /// Refuses keys: the table is read by more people and programs than the secret that has them.
    fn check_keys(&self) -> Result<(), InvalidSetting> {
        match self.providers.iter().find(|(_, provider)| provider.api_key.is_some()) {
            Some((name, _)) => Err(InvalidSetting::new(format!(
                "{}: the configuration may have no key; store it with `hearth key set {name}`",
                join(&["providers", name, "api_key"])
            ))),
            None => Ok(()),
        }
    }
}

/// The error of a table that no document has.
fn check_table(table: &str) -> Result<(), InvalidSetting> {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    if defaults.get(table).is_none() {
        // The parser finds it, and names the most similar table.
        return Ok(());
    }
    let tables = RoutingDocument::TABLES.join(", ");
    Err(InvalidSetting::new(format!(
        "{table}: this is a setting of one process, in its hearth.toml or its environment; the configuration that all \
         processes share has the tables {tables}"
    )))
}

/// The name of a setting, as messages have it: `selection.rules[0].model`.
fn name_of(path: &Path) -> String {
    let mut name = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => name.push_str(&format!("[{index}]")),
            Segment::Map { key } => {
                let dot = if name.is_empty() { "" } else { "." };
                name.push_str(&format!("{dot}{}", quoted(key)));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    name
}

fn join(segments: &[&str]) -> String {
    segments.iter().map(|segment| quoted(segment)).collect::<Vec<_>>().join(".")
}

/// A segment of a name as TOML has it.
fn quoted(segment: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !segment.is_empty() && segment.chars().all(is_bare) {
        true => segment.to_owned(),
        false => format!("{segment:?}"),
    }
}

/// The setting's name at the beginning of a message about its value, such as `providers."a.b".max_tokens`; none if the
/// message begins with something else.
#[must_use]
pub fn setting_name(message: &str) -> Option<&str> {
    let mut is_quoted = false;
    let end = message.find(|c| {
        is_quoted ^= c == '"';
        !is_quoted && matches!(c, ' ' | ':' | ',')
    })?;
    let name = message.get(..end)?;
    errors::first_name(message).is_some().then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn document_sets_a_part_of_the_selection() {
        let json = json!({"aliases": {"fast": "a"}, "selection": {"strategy": "cost"}});
        let document = RoutingDocument::parse(&json).unwrap();
        let mut selection = SelectionSettings { intent_words: false, ..SelectionSettings::default() };
        document.selection.apply(&mut selection);
        assert_eq!((selection.strategy, selection.intent_words), (Strategy::Cost, false));
        assert_eq!(document.aliases["fast"].targets.len(), 1);
    }

    #[test]
    fn invalid_document_names_the_setting() {
        for (json, name, word) in [
            (json!({"aliases": {"a": []}}), Some("aliases.a"), "stands for no model"),
            (json!({"aliases": {"a": 7}}), Some("aliases.a"), "expected models' names"),
            (
                json!({"selection": {"rules": [{"words": ["x"]}]}}),
                Some("selection.rules[0].model"),
                "name the model",
            ),
            (
                json!({"selection": {"rules": [{"word": ["x"]}]}}),
                Some("selection.rules[0].word"),
                "did you mean `words`",
            ),
            (json!({"models": {"openai:x.y": {"prize": 1}}}), Some("models.\"openai:x.y\".prize"), "`prize`"),
            (
                json!({"models": {"a:b": {"context_length": -1}}}),
                Some("models.\"a:b\".context_length"),
                "invalid value",
            ),
            (
                json!({"providers": {"openai": {"api_key": "sk-secret"}}}),
                Some("providers.openai.api_key"),
                "hearth key set openai",
            ),
            (json!({"port": 1}), Some("port"), "setting of one process"),
            (json!({"alias": {}}), Some("alias"), "did you mean `aliases`?"),
            (json!([]), None, "must be an object"),
            (json!({"selection": ["cost"]}), Some("selection"), "expected a table, not a list"),
            (
                json!({"selection": {"rules": [[["x"], null, null, null, null, "m"]]}}),
                Some("selection.rules[0]"),
                "expected a table, not a list",
            ),
            (json!({"providers": {"openai": []}}), Some("providers.openai"), "expected a table, not a list"),
            (json!({"aliases": {"a": [["b", 3]]}}), Some("aliases.a"), "expected models' names"),
            (json!({"aliases": {"a": [["b", "c"], "cost"]}}), Some("aliases.a"), "expected models' names"),
            (json!({"aliases": {"a": {"models": [["b", 3]]}}}), Some("aliases.a"), "expected models' names"),
        ] {
            let error = RoutingDocument::parse(&json).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("sk-secret"), "{json} gave {error:?}");
            // An unknown table is in no list of settings.
            let wanted = name.filter(|name| *name != "alias");
            assert_eq!(setting_name(&error), wanted, "{json} gave {error:?}");
        }
    }
}
