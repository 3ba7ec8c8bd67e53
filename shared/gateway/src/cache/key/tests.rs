use hearth_domain::{CacheControl, HomeWait, OnDisconnect, Priority, Role, Tool, WhileLoading};
use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn request(change: impl FnOnce(&mut Generation, &mut TextTask)) -> Generation {
    let mut task = TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default());
    let mut generation = Generation::new(Some(ModelId::new("big")), task.clone());
    change(&mut generation, &mut task);
    generation.task = task.into();
    generation
}

/// The same organisation each time.
fn organisation() -> OrganisationId {
    "org_01J9ZX5V2QH8N4T6W0C3M7K1RB".parse().unwrap()
}

fn key(generation: &Generation) -> String {
    let callers = KeyCallers { organisation: organisation(), user: None, own_keys: &[], models: None };
    cache_key_of(generation, callers, "routing").unwrap().to_string()
}

fn tool(parameters: Value) -> Tool {
    Tool { name: "look".into(), description: None, parameters, strict: false }
}

#[test]
fn options_that_dont_change_the_answer_share_a_key() {
    let plain = key(&request(|_, _| ()));
    assert_eq!(plain.len(), 64);
    let same: [fn(&mut Generation); 7] = [
        |g| g.route.resume = true,
        |g| g.on_disconnect = OnDisconnect::Continue,
        |g| g.while_loading = WhileLoading::Default,
        |g| g.priority = Priority::High,
        |g| g.cache = CacheControl::Use,
        // Without passed-on fields the client's dialect is not part of the key.
        |g| g.extra.dialect = ClientDialect::Anthropic,
        |_| (),
    ];
    for change in same {
        assert_eq!(key(&request(|generation, _| change(generation))), plain);
    }
    let auto = request(|g, _| g.model = Some(ModelId::new("auto")));
    assert_eq!(key(&auto), key(&request(|g, _| g.model = None)));
}

#[test]
fn parts_that_change_the_answer_change_the_key() {
    let image = hearth_domain::PlacedImage { at: 0, image: hearth_domain::Image::at("https://a.test/1.png") };
    let different = [
        request(|_, _| ()),
        request(|g, _| g.model = None),
        request(|g, _| g.model = Some(ModelId::new("BIG"))),
        request(|g, _| g.route.provider = Some("rig".into())),
        request(|g, _| g.route.mode = SelectionMode::FreeOnly),
        request(|g, _| g.route.fallbacks = Some(Vec::new())),
        request(|g, _| g.route.preferred = Some("small".into())),
        request(|g, _| g.route.max_price = "0.6".parse().ok()),
        request(|g, _| g.route.home = Some(HomeWait::default())),
        request(|g, _| g.route.fallbacks = Some(vec!["small".into()])),
        request(|_, t| t.messages[0].content = "hi".into()),
        request(|_, t| t.messages[0].content = "Hi ".into()),
        request(|_, t| t.messages[0].role = Role::System),
        request(|_, t| t.messages[0].images.push(image)),
        request(|_, t| t.messages.push(Message::new(Role::User, "Hi"))),
        request(|_, t| t.sampling.temperature = Some(0.0)),
        request(|_, t| t.sampling.temperature = Some(1.0)),
        request(|_, t| t.sampling.seed = Some(0)),
        request(|_, t| t.sampling.max_tokens = Some(9)),
        request(|_, t| t.sampling.stop = vec!["a".into(), "b".into()]),
        request(|_, t| t.sampling.stop = vec!["ab".into()]),
        request(|_, t| t.response_format = ResponseFormat::JsonObject),
        request(|_, t| t.response_format = ResponseFormat::JsonSchema(json!({"type": "object"}))),
        request(|_, t| t.response_format = ResponseFormat::JsonSchema(json!({"type": "array"}))),
        request(|_, t| t.tools = vec![tool(json!({}))]),
        request(|_, t| t.tools = vec![tool(json!({"type": "object"}))]),
        request(|_, t| t.tool_choice = ToolChoice::Required),
        request(|_, t| t.tool_choice = ToolChoice::Named("look".into())),
        request(|_, t| t.parallel_tool_calls = false),
        request(|_, t| t.choices = 2),
        request(|_, t| t.top_logprobs = Some(0)),
        request(|_, t| t.reasoning = Some(ReasoningEffort::Low)),
        request(|g, _| g.extra = extra(ClientDialect::OpenAiChat, json!({"user": "ada"}))),
        request(|g, _| g.extra = extra(ClientDialect::OpenAiResponses, json!({"user": "ada"}))),
        request(|g, _| g.extra = extra(ClientDialect::OpenAiChat, json!({"user": "bob"}))),
        request(|g, _| g.extra.betas = vec!["one-2025-01-01".to_owned()]),
    ];
    let keys: std::collections::BTreeSet<String> = different.iter().map(key).collect();
    assert_eq!(keys.len(), different.len());
}

#[test]
fn users_organisations_and_settings_have_keys_of_their_own() {
    let (ada, bob) = (UserId::new(), UserId::new());
    let (one, two) = (OrganisationId::new(), OrganisationId::new());
    let of = |organisation, user, routing| {
        let callers = KeyCallers { organisation, user, own_keys: &[], models: None };
        cache_key_of(&request(|_, _| ()), callers, routing).unwrap()
    };
    assert_eq!(of(one, Some(ada), "a"), of(one, Some(ada), "a"));
    let keys = [
        of(one, Some(ada), "a"),
        of(one, Some(bob), "a"),
        of(one, None, "a"),
        of(one, Some(ada), "b"),
        of(two, Some(ada), "a"),
        of(two, None, "a"),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(key), "{index}");
    }
}

#[test]
fn credentials_of_other_models_have_keys_of_their_own() {
    let of = |patterns: Option<&[&str]>| {
        let patterns = patterns.map(|patterns| patterns.iter().map(|one| (*one).to_owned()).collect());
        let models = patterns.map(ModelLimits::new);
        let callers =
            KeyCallers { organisation: organisation(), user: None, own_keys: &[], models: models.as_ref() };
        cache_key_of(&request(|_, _| ()), callers, "a").unwrap()
    };
    assert_eq!(of(Some(&["local"])), of(Some(&["local"])));
    assert!(of(Some(&["local"])) != of(None) && of(Some(&["local"])) != of(Some(&["local", "a:b"])));
}

#[test]
fn callers_with_other_keys_of_providers_have_keys_of_their_own() {
    let of = |own_keys: &[CredentialId]| {
        let callers = KeyCallers { organisation: organisation(), user: None, own_keys, models: None };
        cache_key_of(&request(|_, _| ()), callers, "a").unwrap()
    };
    let (one, two) = (CredentialId::new(), CredentialId::new());
    assert_eq!(of(&[one]), of(&[one]));
    assert!(of(&[one]) != of(&[]) && of(&[one]) != of(&[two]) && of(&[one]) != of(&[one, two]));
}

#[test]
fn order_of_schema_properties_changes_the_key() {
    let of = |schema: &str| {
        let schema = serde_json::from_str(schema).unwrap();
        key(&request(|_, t| t.response_format = ResponseFormat::JsonSchema(schema)))
    };
    let schema = r#"{"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}, "b": {}}}"#;
    let same = r#"{"properties": {"a": {"maxLength": 3, "type": "string"}, "b": {}}, "type": "object"}"#;
    let other = r#"{"type": "object", "properties": {"b": {}, "a": {"type": "string", "maxLength": 3}}}"#;
    assert_eq!(of(schema), of(same));
    // The model writes `b` first.
    assert_ne!(of(schema), of(other));
}

fn extra(dialect: ClientDialect, fields: Value) -> Extra {
    match fields {
        Value::Object(fields) => Extra::new(dialect, fields),
        _ => panic!("no object"),
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c ]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The value with every object's fields in reverse.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(name, value)| (name.clone(), reversed(value))).collect())
        }
        Value::Array(values) => values.iter().map(reversed).collect(),
        plain => plain.clone(),
    }
}

proptest! {
    #[test]
    fn order_of_fields_keeps_the_key(value in json_value(), other in json_value()) {
        let with = |value: &Value| {
            let mut fields = Map::new();
            fields.insert("x".into(), value.clone());
            fields.insert("a".into(), 1.into());
            key(&request(|g, _| g.extra = Extra::new(ClientDialect::OpenAiChat, fields.clone())))
        };
        prop_assert_eq!(with(&value), with(&reversed(&value)));
        prop_assert_eq!(with(&value) == with(&other), value == other);
    }

    #[test]
    fn texts_are_compared_exactly(one in ".{0,12}", other in ".{0,12}") {
        let of = |text: &str| key(&request(|_, t| t.messages[0].content = text.to_owned()));
        prop_assert_eq!(of(&one) == of(&other), one == other);
    }
}
