//! JSON Schemas of structured answers: limits, resolution into one document, relaxation for a grammar, and validation.
//!
//! A client's schema may be of any draft from 4 to 2020-12. [`resolve`] rewrites it to 2020-12, with each reference
//! pointing into `$defs`. [`relax`] drops the keywords that a grammar can't express, so the grammar accepts more than the
//! schema. [`check`] validates the finished answer against the whole schema, and [`lenient`] has the form for a second
//! validation. [`extract()`] finds the JSON in a text. [`normalise`] writes a schema for a provider, which gets it in one draft.

#![warn(missing_docs)]

mod built_in;
mod check;
mod document;
mod draft;
mod empty;
mod extract;
mod keywords;
mod lenient;
mod pattern;
mod relax;
mod resolve;
#[cfg(any(test, feature = "testing"))]
pub mod samples;

use serde_json::Value;

pub use check::{AnswerChecker, CheckResult, Violation};
use document::Document;
pub use extract::{ExtractedJson, extract};
pub use relax::{RelaxLevel, RelaxedSchema};

/// A client's schema, resolved into one document.
pub struct AnswerSchema {
    document: Document,
}

impl AnswerSchema {
    /// Parses a client's schema.
    ///
    /// # Errors
    /// The problem of a schema that is invalid, refers to another document, or exceeds a limit. Its subject is the schema:
    /// "is invalid", "refers to ...".
    pub fn parse(schema: &Value) -> Result<Self, String> {
        let draft = draft::detect(schema)?;
        Ok(Self { document: resolve::resolve(schema, draft, &[])? })
    }

    /// The levels to which the schema can be relaxed, the most exact first.
    pub fn levels(&self) -> &'static [RelaxLevel] {
        if self.document.has_many_properties() {
            &[RelaxLevel::Json]
        } else if self.document.intersects_many_patterns() {
            &RelaxLevel::ALL[1..]
        } else {
            RelaxLevel::ALL
        }
    }

    /// Relaxes the schema to `level`.
    pub fn relax(&self, level: RelaxLevel) -> RelaxedSchema {
        relax::relax(&self.document, level)
    }

    /// Creates a validator of the whole schema.
    ///
    /// # Errors
    /// The problem of a schema with a pattern that is invalid or too large.
    pub fn checker(&self) -> Result<AnswerChecker, String> {
        AnswerChecker::new(&self.document)
    }

    /// Creates a validator of the schema's lenient form, which keeps its shape without bounds, patterns, required properties
    /// and conditions.
    ///
    /// # Errors
    /// As [`Self::checker`].
    pub fn lenient_checker(&self) -> Result<AnswerChecker, String> {
        AnswerChecker::new(&lenient::lenient(&self.document))
    }
}

/// Annotations that a normalised schema keeps: a model reads them.
const NORMALISED_ANNOTATIONS: [&str; 2] = ["title", "description"];

/// Writes a client's schema of any draft as draft 2020-12: each reference is `#`, for the whole schema, or points into
/// `$defs`. Titles and descriptions are kept, other annotations are not.
///
/// # Errors
/// As [`AnswerSchema::parse`].
pub fn normalise(schema: &Value) -> Result<Value, String> {
    let draft = draft::detect(schema)?;
    let Document { mut definitions } = resolve::resolve(schema, draft, &NORMALISED_ANNOTATIONS)?;
    let root = document::reference(0);
    for definition in &mut definitions {
        keywords::visit_mut(definition, &mut |members| {
            if members.get("$ref").and_then(Value::as_str) == Some(root.as_str()) {
                members.insert("$ref".to_owned(), "#".into());
            }
        });
    }
    let mut rest = definitions.into_iter().enumerate();
    let mut root = rest.next().map_or(Value::Bool(true), |(_, root)| root);
    let rest: serde_json::Map<String, Value> =
        rest.map(|(number, schema)| (format!("d{number}"), schema)).collect();
    if let Value::Object(members) = &mut root
        && !rest.is_empty()
    {
        members.insert("$defs".to_owned(), rest.into());
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn normalised_schema_has_references_into_its_definitions_and_its_descriptions() {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/tree", "title": "Tree",
            "type": "object", "properties": {
                "kind": {"$ref": "#/definitions/kind"},
                "children": {"type": "array", "items": {"$ref": "#"}, "description": "Below it."},
            },
            "definitions": {"kind": {"$id": "#kind", "enum": ["a", "b"], "examples": ["a"]}},
        });
        let expected = json!({
            "title": "Tree", "type": "object", "properties": {
                "kind": {"$ref": "#/$defs/d1"},
                "children": {"type": "array", "items": {"$ref": "#"}, "description": "Below it."},
            },
            "$defs": {"d1": {"enum": ["a", "b"]}},
        });
        assert_eq!(normalise(&schema).unwrap(), expected);
    }
}
