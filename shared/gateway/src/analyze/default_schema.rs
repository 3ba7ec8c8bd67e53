//! The schema of an analysis that has none of its own.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// Field of the language that the model names.
pub(super) const ORIGINAL_LANGUAGE: &str = "original_language";

/// The schema. Its texts and lists are bounded, so that every model comes to an end.
pub(super) static DEFAULT_SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": {
            "intent": {
                "type": "string", "minLength": 1, "maxLength": 60,
                "description": "What the author wants, in a few words, such as request_refund",
            },
            "subject": {
                "type": "string", "maxLength": 100,
                "description": "The thing that the text is about",
            },
            "entities": {
                "type": "array", "maxItems": 12,
                "description": "Names, dates, numbers, places and other facts in the text",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": {
                            "type": "string", "minLength": 1, "maxLength": 30,
                            "description": "Kind of the entity, such as person, date or order_number",
                        },
                        "value": {
                            "type": "string", "minLength": 1, "maxLength": 60,
                            "description": "The entity as it stands in the text",
                        },
                    },
                    "required": ["type", "value"],
                    "additionalProperties": false,
                },
            },
            "output_format": {
                "enum": ["text", "list", "table", "json", "code", "other"],
                "description": "The form of answer that the author asks for; text if there is no wish",
            },
            ORIGINAL_LANGUAGE: {
                "type": "string", "pattern": "^[a-z]{2,3}$",
                "description": "Language of the text as a code of ISO 639, such as en",
            },
        },
        "required": ["intent", "subject", "entities", "output_format", ORIGINAL_LANGUAGE],
        "additionalProperties": false,
    })
});

#[cfg(test)]
mod tests {
    use hearth_schema::AnswerSchema;

    use super::*;

    #[test]
    fn schema_accepts_a_complete_analysis_alone() {
        let checker = AnswerSchema::parse(&DEFAULT_SCHEMA).unwrap().checker().unwrap();
        let analysis = json!({
            "intent": "request_replacement", "subject": "kettle", "output_format": "text", "original_language": "en",
            "entities": [{"type": "order_number", "value": "4711"}],
        });
        assert!(checker.check(&analysis.to_string()).valid);
        let mut other = analysis.clone();
        other["original_language"] = json!("English");
        assert!(!checker.check(&other.to_string()).valid);
        let mut partial = analysis;
        partial.as_object_mut().unwrap().remove("entities");
        assert!(!checker.check(&partial.to_string()).valid);
    }
}
