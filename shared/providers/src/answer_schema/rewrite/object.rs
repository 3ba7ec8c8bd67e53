//! Rewrites the properties of an object.

use serde_json::{Map, Value, json};

use super::{Rewriter, notes::Notes};

impl Rewriter<'_> {
    /// Adds an object's properties.
    pub(super) fn object(
        &mut self,
        members: &Map<String, Value>,
        depth: usize,
        written: &mut Map<String, Value>,
        notes: &mut Notes,
    ) -> Result<(), String> {
        self.counts.depth = self.counts.depth.max(depth + 1);
        let empty = Map::new();
        let properties = members.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = members
            .get("required")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).collect());
        let mut rewritten = Map::new();
        for (name, schema) in properties {
            // A property that may not be there.
            if *schema == Value::Bool(false) && !required.contains(&name.as_str()) {
                notes.add("properties", &json!({name: false}));
                continue;
            }
            let mut property = self.schema(schema, depth + 1)?;
            if !required.contains(&name.as_str()) {
                self.counts.optional_properties += 1;
                if self.profile.all_required && !self.document.accepts_null(schema) {
                    make_nullable(&mut property);
                    self.has_nulls = true;
                }
            }
            self.counts.chars += name.len();
            rewritten.insert(name.clone(), property);
        }
        self.counts.properties += rewritten.len();
        let additional = members.get("additionalProperties");
        if self.profile.closed_objects {
            if let Some(name) = required.iter().find(|name| !properties.contains_key(**name)) {
                return Err(format!("requires the property {name:?} without a schema of its own"));
            }
            let is_open =
                additional != Some(&Value::Bool(false)) || members.contains_key("patternProperties");
            if properties.is_empty() && is_open {
                return Err("has an object with properties of any name".to_owned());
            }
            let narrowed = [
                ("additionalProperties", additional),
                ("patternProperties", members.get("patternProperties")),
            ];
            for (keyword, value) in narrowed {
                if value.is_some_and(Value::is_object) {
                    self.described.insert(keyword.to_owned());
                }
            }
            written.insert("additionalProperties".to_owned(), false.into());
        } else {
            if let Some(pattern) = members.get("patternProperties") {
                notes.add("patternProperties", pattern);
            }
            if let Some(additional) = additional.filter(|_| !members.contains_key("patternProperties")) {
                let additional = match additional {
                    Value::Object(_) => self.schema(additional, depth + 1)?,
                    other => other.clone(),
                };
                written.insert("additionalProperties".to_owned(), additional);
            }
        }
        let required: Vec<&str> = match self.profile.all_required {
            true => rewritten.keys().map(String::as_str).collect(),
            false => required,
        };
        if !required.is_empty() {
            written.insert("required".to_owned(), json!(required));
        }
        if !rewritten.is_empty() {
            written.insert("properties".to_owned(), rewritten.into());
        }
        // The properties in the order of most schemas.
        if self.profile.all_required && !written.contains_key("properties") {
            written.insert("properties".to_owned(), json!({}));
            written.insert("required".to_owned(), json!([]));
        }
        Ok(())
    }
}

/// Makes a rewritten schema accept null.
fn make_nullable(schema: &mut Value) {
    let null_schema = || json!({"type": "null"});
    if let Some(members) = schema.as_object_mut() {
        if let Some(Value::Array(branches)) = members.get_mut("anyOf") {
            branches.push(null_schema());
            return;
        }
        if !members.contains_key("const") {
            let kinds = match members.get("type") {
                Some(Value::String(kind)) => Some(json!([kind, "null"])),
                Some(Value::Array(kinds)) => Some(kinds.iter().cloned().chain([json!("null")]).collect()),
                _ => None,
            };
            if let Some(kinds) = kinds {
                members.insert("type".to_owned(), kinds);
                if let Some(Value::Array(values)) = members.get_mut("enum") {
                    values.push(Value::Null);
                }
                return;
            }
        }
    }
    *schema = json!({"anyOf": [schema.take(), null_schema()]});
}
