use super::*;

fn template(content: Value) -> Result<Template, ApiError> {
    Template::compile(serde_json::from_value(content).unwrap())
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn values(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn refused(template: &Template, variables: Value) -> ApiError {
    template.render(values(variables)).unwrap_err()
}

#[test]
fn template_without_a_schema_requires_each_of_its_variables() {
    let template = template(json!({"messages": user("{{ a }} {{ b }}")})).unwrap();
    assert_eq!(template.variables_schema()["required"], json!(["a", "b"]));
    assert_eq!(template.render(values(json!({"a": 1, "b": "x"}))).unwrap()[0].content, "1 x");
    let error = refused(&template, json!({"a": 1}));
    assert_eq!(error.param.as_deref(), Some("variables.b"));
    let error = refused(&template, json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!(error.param.as_deref(), Some("variables.c"));
    assert!(error.message.contains("a, b"), "{}", error.message);
}

#[test]
fn variables_have_types_defaults_and_required_values() {
    let variables = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 2},
            "style": {"enum": ["short", "long"], "default": "short"},
            "note": {"type": "string"},
            "lines": {"type": "array", "items": {"type": "object", "required": ["n"]}},
        },
        "required": ["text"],
    });
    let messages = json!([
        {"role": "system", "content": "Be {{ style }}."},
        {"role": "user", "content": "{{ text }}{% if note is defined %} ({{ note }}){% endif %}"},
    ]);
    let template = template(json!({"messages": messages, "variables": variables})).unwrap();
    let rendered = template.render(values(json!({"text": "Hi"}))).unwrap();
    let texts: Vec<_> = rendered.iter().map(|message| (message.role, message.content.as_str())).collect();
    assert_eq!(texts, [(Role::System, "Be short."), (Role::User, "Hi")]);
    for (variables, param) in [
        (json!({}), "variables.text"),
        (json!({"text": 1}), "variables.text"),
        (json!({"text": "H"}), "variables.text"),
        (json!({"text": "Hi", "style": "odd"}), "variables.style"),
        (json!({"text": "Hi", "lines": [{"n": 1}, {}]}), "variables.lines.1"),
        (json!({"text": "Hi", "notes": "x"}), "variables.notes"),
        (json!({"text": "x".repeat(VALUES_MAX_BYTES)}), "variables"),
    ] {
        let error = refused(&template, variables);
        assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
    }
}

#[test]
fn optional_variable_without_a_value_is_named() {
    let variables = json!({"properties": {"a": {}, "b": {}}, "required": ["a"]});
    let template = template(json!({"messages": user("{{ a }} {{ b }}"), "variables": variables})).unwrap();
    assert_eq!(refused(&template, json!({"a": 1})).param.as_deref(), Some("variables.b"));
}

#[test]
fn check_of_the_values_and_the_messages_share_one_deadline() {
    let patterns: Map<String, Value> = (0..100).map(|n| (format!("^(a+)+\\1x{n}$"), json!({}))).collect();
    let variables = json!({"type": "object", "patternProperties": patterns});
    let template = template(json!({"messages": user("a"), "variables": variables})).unwrap();
    let names: Map<String, Value> =
        (0..1000).map(|n| (format!("{}{n}b", "a".repeat(40)), json!(1))).collect();
    let began = Instant::now();
    let error = template.render(names).unwrap_err();
    assert!(error.message.contains("took too long"), "{}", error.message);
    assert!(began.elapsed() < RENDER_TIMEOUT * 2, "{:?}", began.elapsed());
    let ended_at = Instant::now().checked_sub(RENDER_TIMEOUT).unwrap();
    let error = template.render_until(Map::new(), ended_at).unwrap_err();
    assert!(error.message.contains("too long"), "{}", error.message);
}

#[test]
fn template_that_cannot_be_used_is_refused_with_the_field() {
    let turn = |role: &str, text: &str| json!({"role": role, "content": text});
    for (content, param) in [
        (json!({"messages": []}), "template.messages"),
        (json!({"messages": vec![turn("user", "x"); 21]}), "template.messages"),
        (json!({"messages": user(&"x".repeat(65 << 10))}), "template.messages"),
        (json!({"messages": [turn("user", "x"), turn("system", "y")]}), "template.messages[1].role"),
        (json!({"messages": [turn("tool", "x")]}), "template.messages[0].role"),
        (json!({"messages": user("")}), "template.messages[0].content"),
        (json!({"messages": user("{{ a ~ b }}")}), "template.messages[0].content"),
        (
            json!({"messages": user("{{ a }}"), "variables": {"properties": {"b": {}}}}),
            "template.messages[0].content",
        ),
        (json!({"messages": user("a"), "variables": {"type": "array"}}), "template.variables"),
        (
            json!({"messages": user("a"), "variables": {"properties": {"b": {"type": "hot"}}}}),
            "template.variables",
        ),
        (json!({"messages": user("a"), "variables": 1}), "template.variables"),
        (json!({"messages": user("a"), "schema_id": "No Name"}), "template.schema_id"),
        (json!({"messages": user("a"), "model": ""}), "template.model"),
        (json!({"messages": user("a"), "parameters": {"temperature": 9}}), "template.parameters.temperature"),
        (
            json!({"messages": user("{{ a }}"), "variables": {"properties": {"a": {}}, "required": ["a"], "examples": [{}]}}),
            "template.variables.examples[0]",
        ),
    ] {
        let error = template(content.clone()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{content}: {}", error.message);
    }
}

#[test]
fn schema_that_cannot_check_answers_is_refused() {
    for (schema, param) in [
        (json!([]), "schema"),
        (json!({"type": "hot"}), "schema"),
        (json!({"$ref": "https://example.com/other"}), "schema"),
        (json!({"pattern": "("}), "schema"),
        (json!({"description": "x".repeat(200 << 10)}), "schema"),
        (json!({"type": "integer", "examples": [1, "two"]}), "schema.examples[1]"),
    ] {
        let error = check_schema(schema).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
    }
    check_schema(json!({"type": "integer", "examples": [1, 2]})).unwrap();
}
