use hearth_domain::{Capability, Input, Modality, Tier, Usage};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{model_info::ModelOverride, vendor};

fn page(kind: &str, body: &Value) -> Page {
    read_page(vendor::of_kind(kind).unwrap().dialect, body)
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn one(kind: &str, model: Value) -> ListedModel {
    page(kind, &json!({"object": "list", "data": [model]})).models.remove(0)
}

fn plain(id: &str, created: Option<i64>) -> ListedModel {
    ListedModel { id: id.to_owned(), created, info: ModelOverride::default() }
}

#[test]
fn list_of_names_is_read() {
    let body = json!({"object": "list", "data": [
        {"id": "gpt-4o", "object": "model", "created": 1_715_367_049, "owned_by": "system"},
        {"id": "deepseek-chat", "object": "model", "owned_by": "deepseek"},
        {"object": "model"},
        "x",
    ]});
    let expected = [plain("gpt-4o", Some(1_715_367_049)), plain("deepseek-chat", None)];
    assert_eq!(page("openai", &body), Page { models: expected.to_vec(), next: None });
    assert_eq!(page("openai_compatible", &body["data"]).models, expected);
    for kind in ["openai", "google"] {
        for nothing in [json!({}), json!([]), json!(null), json!({"data": 7, "models": {}})] {
            assert_eq!(page(kind, &nothing), Page::default());
        }
    }
}

#[test]
fn pages_of_anthropic_are_read() {
    let body = json!({
        "data": [{"type": "model", "id": "claude-x", "display_name": "Claude X", "created_at": "2025-05-22T00:00:00Z"}],
        "first_id": "claude-x", "has_more": true, "last_id": "claude-x",
    });
    let page = page("anthropic", &body);
    assert_eq!(page.next, Some(("after_id", "claude-x".to_owned())));
    let model = &page.models[0];
    assert_eq!((model.id.as_str(), model.created), ("claude-x", Some(1_747_872_000)));
    assert_eq!(model.info.name.as_deref(), Some("Claude X"));
    let mut last = body;
    last["has_more"] = json!(false);
    assert_eq!(read_page(Dialect::Anthropic, &last).next, None);
}

#[test]
fn pages_and_modalities_of_google_are_read() {
    let model = |name: &str, method: &str| {
        json!({
            "name": format!("models/{name}"), "displayName": name, "inputTokenLimit": 1000, "outputTokenLimit": 10,
            "supportedGenerationMethods": [method, "countTokens"],
        })
    };
    let body = json!({"nextPageToken": "t 1", "models": [
        model("gemini-x", "generateContent"), model("embed-x", "embedContent"),
        model("imagen-x", "predict"), model("aqa", "generateAnswer"), {"name": 7},
    ]});
    let page = page("google", &body);
    assert_eq!(page.next, Some(("pageToken", "t 1".to_owned())));
    let modalities: Vec<_> =
        page.models.iter().map(|model| (model.id.as_str(), model.info.modality)).collect();
    let expected =
        [("gemini-x", None), ("embed-x", Some(Modality::Embedding)), ("imagen-x", Some(Modality::Image))];
    assert_eq!(modalities, expected);
    let first = &page.models[0].info;
    assert_eq!((first.context_length, first.max_output_tokens), (Some(1000), Some(10)));
}

#[test]
fn facts_of_openrouter_are_read() {
    let model = one(
        "openrouter",
        json!({
            "id": "maker/big", "name": "Maker: Big", "created": 1_741_818_122, "context_length": 131_072,
            "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0.00000125", "completion": "0.00001", "input_cache_read": "0.000000125", "request": "0"},
            "top_provider": {"context_length": 131_072, "max_completion_tokens": 8192},
            "supported_parameters": ["tools", "structured_outputs", "temperature"],
        }),
    );
    let ModelOverride { inputs, capabilities, context_length, max_output_tokens, price, tier, .. } =
        model.info;
    assert_eq!((context_length, max_output_tokens, tier), (Some(131_072), Some(8192), None));
    assert_eq!(inputs, Some(vec![Input::Text, Input::Image]));
    let can = [Capability::Chat, Capability::Tools, Capability::Vision, Capability::JsonSchema];
    assert_eq!(capabilities.as_deref(), Some(&can[..]));
    let usage = Usage { prompt_tokens: 1000, cached_tokens: 400, completion_tokens: 100, ..Usage::default() };
    assert_eq!(price.unwrap().of(&usage).unwrap().to_string(), "0.0018");

    let pricing = |prompt: &str| json!({"id": "m", "pricing": {"prompt": prompt, "completion": prompt}});
    assert_eq!(one("openrouter", pricing("0")).info.tier, Some(Tier::Free));
    assert_eq!(one("openrouter", pricing("-1")).info.price, None);
}

#[test]
fn facts_of_other_vendors_are_read() {
    let groq = json!({"id": "m", "active": true, "context_window": 131_072, "max_completion_tokens": 32_768});
    let groq = one("groq", groq).info;
    assert_eq!((groq.context_length, groq.max_output_tokens), (Some(131_072), Some(32_768)));
    assert_eq!(page("groq", &json!({"data": [{"id": "m", "active": false}]})).models, []);

    let mistral = one(
        "mistral",
        json!({
            "id": "m", "max_context_length": 128_000,
            "capabilities": {"completion_chat": true, "function_calling": true, "vision": false, "fine_tuning": true},
        }),
    );
    let can = [Capability::Chat, Capability::Tools, Capability::JsonSchema];
    assert_eq!(mistral.info.capabilities.as_deref(), Some(&can[..]));

    let routed = one(
        "huggingface",
        json!({"id": "o/m", "providers": [
            {"provider": "a", "status": "live", "context_length": 131_072, "pricing": {"input": 0.1, "output": 0.2}},
            {"provider": "b", "status": "live", "context_length": 32_768},
            {"provider": "c", "status": "error", "context_length": 1},
        ]}),
    );
    assert_eq!((routed.info.context_length, routed.info.price), (Some(32_768), None));
    for model in
        [json!({"id": "m", "max_model_len": 4096}), json!({"id": "m", "meta": {"n_ctx_train": 4096}})]
    {
        assert_eq!(one("openai_compatible", model).info.context_length, Some(4096));
    }
}

#[test]
fn stored_list_is_read_back_unchanged() {
    let all = [plain("a", None), one("groq", json!({"id": "b", "created": 7, "context_window": 9}))];
    let json = serde_json::to_string(&all).unwrap();
    assert!(json.starts_with(r#"[{"id":"a"},"#), "{json}");
    assert_eq!(serde_json::from_str::<Vec<ListedModel>>(&json).unwrap(), all);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.]{0,6}".prop_map(Value::from),
    ];
    let field = prop::sample::select(vec![
        "id",
        "name",
        "created",
        "created_at",
        "pricing",
        "prompt",
        "completion",
        "capabilities",
        "completion_chat",
        "architecture",
        "input_modalities",
        "output_modalities",
        "providers",
        "status",
        "context_length",
        "meta",
        "n_ctx",
        "models",
        "supportedGenerationMethods",
        "supported_parameters",
        "has_more",
        "last_id",
        "data",
    ]);
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((field.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_without_a_panic(body in any_json()) {
        for kind in ["openai", "google", "anthropic"] {
            let _ = page(kind, &json!({"data": [body.clone()], "models": [body.clone()]}));
            let _ = page(kind, &body);
        }
    }
}
