//! Places in a body where the schema has an object with fields.

use serde_json::{Value, json};

const REFERENCE_PREFIX: &str = "#/components/schemas/";

/// A place in a body where the schema has an object with fields, and no list.
#[derive(Debug, Clone)]
pub struct NestedObject {
    steps: Vec<Step>,
    /// A value that the object's first field may have.
    pub first_value: Value,
}

#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Item,
}

impl NestedObject {
    /// A body with this value in the place, and no more.
    #[must_use]
    pub fn body(&self, value: Value) -> Value {
        self.steps.iter().rev().fold(value, |inner, step| match step {
            Step::Field(name) => json!({name: inner}),
            Step::Item => json!([inner]),
        })
    }

    /// The name of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        let names = self.steps.iter().rev().find_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item => None,
        });
        names.unwrap_or_default()
    }

    /// The path, such as `messages[0].content`.
    #[must_use]
    pub fn path(&self) -> String {
        let steps = self.steps.iter().map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Item => "[0]".to_owned(),
        });
        steps.collect::<String>().trim_start_matches('.').to_owned()
    }
}

/// The nested objects of a body's schema. An object inside itself is followed once.
pub(super) fn nested_objects(document: &Value, schema: &Value) -> Vec<NestedObject> {
    let mut search = Search { document, objects: Vec::new() };
    search.visit(schema, &mut Vec::new(), &mut Vec::new());
    search.objects
}

struct Search<'a> {
    document: &'a Value,
    objects: Vec<NestedObject>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, schema: &'a Value, steps: &mut Vec<Step>, references: &mut Vec<&'a str>) {
        let reference = schema["$ref"].as_str();
        if let Some(name) = reference {
            if references.contains(&name) {
                return;
            }
            references.push(name);
        }
        let schema = self.resolve(schema);
        for alternative in alternatives(schema) {
            self.visit(alternative, steps, references);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            self.step(Step::Field(name.clone()), field, steps, references);
        }
        if schema["items"].is_object() {
            self.step(Step::Item, &schema["items"], steps, references);
        }
        references.truncate(references.len() - usize::from(reference.is_some()));
    }

    fn step(&mut self, step: Step, schema: &'a Value, steps: &mut Vec<Step>, references: &mut Vec<&'a str>) {
        steps.push(step);
        if let Some(first_value) = self.first_value(schema).filter(|_| !self.accepts_list(schema)) {
            self.objects.push(NestedObject { steps: steps.clone(), first_value });
        }
        self.visit(schema, steps, references);
        steps.pop();
    }

    fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix(REFERENCE_PREFIX)) {
            schema = &self.document["components"]["schemas"][name];
        }
        schema
    }

    fn accepts_list(&self, schema: &'a Value) -> bool {
        let schema = self.resolve(schema);
        schema["type"] == "array"
            || schema["type"].as_array().is_some_and(|types| types.contains(&json!("array")))
            || alternatives(schema).any(|alternative| self.accepts_list(alternative))
    }

    /// A value of the first field of an object; `None` if the schema has no object with fields.
    fn first_value(&self, schema: &'a Value) -> Option<Value> {
        let schema = self.resolve(schema);
        match schema["properties"].as_object().and_then(|fields| fields.values().next()) {
            Some(field) => Some(self.plausible_value(field)),
            None => alternatives(schema).find_map(|alternative| self.first_value(alternative)),
        }
    }

    fn plausible_value(&self, schema: &'a Value) -> Value {
        let schema = self.resolve(schema);
        let candidates = [&schema["example"], &schema["default"], &schema["enum"][0]];
        if let Some(value) = candidates.into_iter().find(|value| !value.is_null()) {
            return value.clone();
        }
        let is = |name: &str| {
            schema["type"] == name
                || schema["type"].as_array().is_some_and(|types| types.contains(&json!(name)))
        };
        match () {
            () if is("boolean") => json!(true),
            () if is("integer") => json!(1),
            () if is("number") => json!(0.5),
            () if is("string") => json!("text"),
            () if is("array") => json!([]),
            () if is("object") => json!({}),
            () => {
                let mut values = alternatives(schema).map(|alternative| self.plausible_value(alternative));
                values.find(|value| !value.is_null()).unwrap_or_default()
            }
        }
    }
}

/// The schemas of which one or all hold.
fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf", "allOf"].into_iter().flat_map(|word| schema[word].as_array().into_iter().flatten())
}

#[test]
fn objects_at_every_depth_are_listed() {
    let document = json!({"components": {"schemas": {
        "Options": {"type": "object", "properties": {"temperature": {"type": ["number", "null"]}}},
        "Part": {"type": "object", "properties": {
            "kind": {"type": "string", "example": "a"},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
        }},
    }}});
    let schema = json!({"allOf": [{"type": "object", "properties": {
        "options": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Options"}]},
        "content": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/Part"}}]},
        "free": {"type": "object"},
    }}]});
    let objects = nested_objects(&document, &schema);
    let mut listed: Vec<(String, Value)> =
        objects.iter().map(|object| (object.path(), object.body(json!([object.first_value])))).collect();
    listed.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("content[0]".to_owned(), json!({"content": [["a"]]})),
        ("content[0].parts[0]".to_owned(), json!({"content": [{"parts": [["a"]]}]})),
        ("options".to_owned(), json!({"options": [0.5]})),
    ];
    assert_eq!(listed, expected);
    assert_eq!(objects[0].field(), "options");
}
