//! The schemas and templates that every gateway has. They can be read and used by all, and changed by nobody.
//!
//! Each has examples: answers in the schema's `examples`, and variables in the template's. The tests check that they fit.

use std::sync::{Arc, LazyLock};

use hearth_auth::sha256_hex;
use hearth_domain::{DefinitionKind, SemanticVersion};
use serde::Deserialize;
use serde_json::Value;

use super::content::{Content, NewContent};

/// A built-in definition in its one version.
#[derive(Debug)]
pub(super) struct BuiltIn {
    /// Its kind.
    pub(super) kind: DefinitionKind,
    /// Its name, which is its id too.
    pub(super) name: &'static str,
    /// Its purpose.
    pub(super) description: String,
    /// Words to find it by.
    pub(super) tags: Vec<String>,
    /// Its version.
    pub(super) version: SemanticVersion,
    /// SHA-256 of its content.
    pub(super) sha256: String,
    /// Its content.
    pub(super) content: Arc<Content>,
}

/// A file of this folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    description: String,
    tags: Vec<String>,
    version: SemanticVersion,
    content: Value,
}

const FILES: [(DefinitionKind, &str, &str); 10] = [
    (DefinitionKind::Schema, "classification", include_str!("built_in/classification.schema.json")),
    (DefinitionKind::Schema, "form", include_str!("built_in/form.schema.json")),
    (DefinitionKind::Schema, "invoice", include_str!("built_in/invoice.schema.json")),
    (DefinitionKind::Schema, "support", include_str!("built_in/support.schema.json")),
    (DefinitionKind::Schema, "translation", include_str!("built_in/translation.schema.json")),
    (DefinitionKind::Template, "classification", include_str!("built_in/classification.template.json")),
    (DefinitionKind::Template, "form", include_str!("built_in/form.template.json")),
    (DefinitionKind::Template, "invoice", include_str!("built_in/invoice.template.json")),
    (DefinitionKind::Template, "support", include_str!("built_in/support.template.json")),
    (DefinitionKind::Template, "translation", include_str!("built_in/translation.template.json")),
];

/// The built-in definitions, by kind and name. They are compiled at the first use, which may take some milliseconds.
static BUILT_IN: LazyLock<Vec<BuiltIn>> = LazyLock::new(|| FILES.into_iter().filter_map(load).collect());

/// Built-in definitions of a kind, by name.
pub(super) fn all(kind: DefinitionKind) -> impl Iterator<Item = &'static BuiltIn> {
    BUILT_IN.iter().filter(move |built_in| built_in.kind == kind)
}

/// The one with this name.
pub(super) fn named(kind: DefinitionKind, name: &str) -> Option<&'static BuiltIn> {
    all(kind).find(|built_in| built_in.name == name)
}

/// Reads a file. The tests read all of them, so one that can't be read is never built in.
fn load((kind, name, text): (DefinitionKind, &'static str, &'static str)) -> Option<BuiltIn> {
    let read = || {
        let File { description, tags, version, content } =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let json = content.to_string();
        let content = NewContent::parse(kind, &json).map_err(|error| error.to_string())?;
        let content = Arc::new(content.check_here().map_err(|error| error.message)?);
        Ok::<_, String>(BuiltIn {
            kind,
            name,
            description,
            tags,
            version,
            sha256: sha256_hex(json.as_bytes()),
            content,
        })
    };
    read().inspect_err(|problem| tracing::error!(name, problem, "a built-in definition can't be read")).ok()
}

#[cfg(test)]
mod tests {
    use hearth_domain::is_definition_name;
    use hearth_schema::AnswerSchema;

    use super::*;

    #[test]
    fn every_file_is_read_and_has_examples() {
        assert_eq!(BUILT_IN.len(), FILES.len());
        for kind in DefinitionKind::ALL {
            let names: Vec<_> = all(kind).map(|built_in| built_in.name).collect();
            assert_eq!(names, ["classification", "form", "invoice", "support", "translation"]);
            assert!(names.iter().all(|name| is_definition_name(name)));
        }
        for built_in in BUILT_IN.iter() {
            let examples = match &*built_in.content {
                Content::Schema(schema) => &schema["examples"],
                Content::Template(template) => &template.variables_schema()["examples"],
            };
            assert!(examples.as_array().is_some_and(|examples| !examples.is_empty()), "{}", built_in.name);
        }
    }

    #[test]
    fn templates_ask_for_answers_of_the_built_in_schemas() {
        for built_in in all(DefinitionKind::Template) {
            let Content::Template(template) = &*built_in.content else { panic!("a template") };
            let schema = template.content.schema_id.as_deref().unwrap();
            assert_eq!(schema, format!("{}@1", built_in.name));
            for example in template.variables_schema()["examples"].as_array().unwrap() {
                let messages = template.render(example.as_object().unwrap().clone()).unwrap();
                assert!(messages.iter().all(|message| !message.content.trim().is_empty()), "{messages:?}");
            }
        }
    }

    #[test]
    fn examples_lack_nothing_that_the_schema_describes_as_required() {
        for built_in in all(DefinitionKind::Schema) {
            let Content::Schema(schema) = &*built_in.content else { panic!("a schema") };
            let checker = AnswerSchema::parse(schema).unwrap().checker().unwrap();
            assert!(!checker.check("{}").valid, "{} accepts an empty answer", built_in.name);
            for example in schema["examples"].as_array().unwrap() {
                assert_eq!(checker.check(&example.to_string()).errors, []);
            }
        }
    }
}
