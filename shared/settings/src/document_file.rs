//! Files with a routing document, as TOML or JSON.

use std::path::Path;

use serde_json::Value;

use crate::{Layers, RoutingDocument, SettingsError};

/// A checked routing document of a file.
#[derive(Debug, Clone)]
pub struct DocumentFile {
    /// The document as the file has it.
    pub json: Value,
    /// The document.
    pub document: RoutingDocument,
    source: Source,
}

/// The text that settings are located in.
#[derive(Debug, Clone)]
enum Source {
    /// A file in the form of the settings file.
    Toml(Layers),
    /// A file with a JSON object, by its name.
    Json(String),
}

impl DocumentFile {
    /// Parses a file's text. A text that begins with a brace is JSON.
    ///
    /// # Errors
    /// The first setting that is invalid; the error names the file, and the line of a TOML file.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let name = path.display().to_string();
        if text.trim_start().starts_with('{') {
            let json: Value = serde_json::from_str(text)
                .map_err(|error| SettingsError::new(format!("{name}: it is not valid JSON: {error}")))?;
            return Self::check(json, Source::Json(name));
        }
        let layers = Layers::of_file(path, text);
        layers.check(&layers.read()?)?;
        let json = toml::from_str(text).map_err(|error| SettingsError::new(format!("{name}: {error}")))?;
        Self::check(json, Source::Toml(layers))
    }

    /// Adds the place of a setting to an error about its value, which begins with the setting's name.
    #[must_use]
    pub fn locate(&self, message: &str) -> SettingsError {
        self.source.locate(message)
    }

    fn check(json: Value, source: Source) -> Result<Self, SettingsError> {
        let document = RoutingDocument::parse(&json).map_err(|error| source.locate(&error.to_string()))?;
        Ok(Self { json, document, source })
    }
}

impl Source {
    fn locate(&self, message: &str) -> SettingsError {
        match self {
            Self::Toml(layers) => layers.locate(message),
            Self::Json(name) => SettingsError::new(format!("{name}: {message}")),
        }
    }
}

impl RoutingDocument {
    /// Writes a document as TOML.
    ///
    /// # Errors
    /// A value that TOML cannot express.
    pub fn json_to_toml(json: &Value) -> Result<String, SettingsError> {
        let mut json = json.clone();
        remove_nulls(&mut json);
        toml::to_string_pretty(&json).map_err(|error| {
            SettingsError::new(format!("the configuration can't be written as TOML: {error}"))
        })
    }
}

/// Removes the fields that are null, which TOML has no value for. An absent field means the same.
fn remove_nulls(json: &mut Value) {
    if let Value::Object(fields) = json {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(remove_nulls);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<DocumentFile, String> {
        DocumentFile::parse(Path::new("/c/routing.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn toml_and_json_are_the_same_document() {
        let toml = "[aliases]\nfast = ['a', {model = 'b', weight = 3}]\n[models.'openai:x.y']\nprice = {input = 0.5}\n";
        let json = json!({
            "aliases": {"fast": ["a", {"model": "b", "weight": 3}]},
            "models": {"openai:x.y": {"price": {"input": 0.5}}},
        });
        let (of_toml, of_json) = (parse(toml).unwrap(), parse(&json.to_string()).unwrap());
        assert_eq!(of_toml.json, json);
        assert_eq!(of_toml.document, of_json.document);
        let written = RoutingDocument::json_to_toml(&json).unwrap();
        assert_eq!(parse(&written).unwrap().json, json, "{written}");
    }

    #[test]
    fn null_is_left_out_of_toml() {
        let json = json!({"providers": {"openai": {"kind": null}}, "selection": {"strategy": "cost"}});
        let written = RoutingDocument::json_to_toml(&json).unwrap();
        let expected = json!({"providers": {"openai": {}}, "selection": {"strategy": "cost"}});
        assert_eq!(parse(&written).unwrap().json, expected, "{written}");
    }

    #[test]
    fn invalid_setting_is_named_with_its_place() {
        for (text, words) in [
            ("[aliases]\n\nfast = []\n", "/c/routing.toml, line 3: aliases.fast: it stands for no model"),
            (
                "[selection]\nstrategy = 'best'\n",
                "/c/routing.toml, line 2: selection.strategy: unknown variant",
            ),
            ("port = 1\n", "/c/routing.toml, line 1: port: this is a setting of one process"),
            ("[alias]\n", "did you mean `aliases`?"),
            (
                "[providers.openai]\napi_key = 'sk-secret'\n",
                "line 2: providers.openai.api_key: the configuration may",
            ),
            ("{\"aliases\": {\"fast\": []}}", "/c/routing.toml: aliases.fast: it stands for no model"),
            ("{\"aliases\":", "/c/routing.toml: it is not valid JSON"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words) && !error.contains("sk-secret"), "{text:?} gave {error:?}");
        }
    }
}
