use hearth_domain::{Capability, Modality, Tier, Usage};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::vendor;

fn overrides(json: serde_json::Value) -> BTreeMap<String, ModelOverride> {
    serde_json::from_value(json).unwrap()
}

fn info(kind: &str, model: &str) -> Option<ModelInfo> {
    ModelInfoTable::builtin().info(kind, kind, model).map(Cow::into_owned)
}

/// The price of 100,000 tokens each way.
fn price(info: &ModelInfo) -> Option<String> {
    let usage = Usage { prompt_tokens: 100_000, completion_tokens: 100_000, ..Usage::default() };
    info.price.as_ref()?.of(&usage).map(|cost| cost.to_string())
}

#[test]
fn builtin_file_is_consistent() {
    let file = ModelInfoFile::parse(BUILTIN).unwrap();
    assert_eq!(file.as_of.len(), "2026-02".len());
    for (kind, source) in file.sources() {
        assert!(vendor::of_kind(kind).is_some(), "{kind} is no vendor");
        assert!(source.starts_with("https://"), "{source}");
        let mut names: Vec<&str> = file.names_of(kind).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{kind} has a model twice");
        for name in names {
            let info = file.info(kind, name).unwrap();
            assert!(!file.is_unsupported(kind, name), "{kind}:{name} is listed as unsupported too");
            let (context, output) = (info.context_length, info.max_output_tokens);
            assert!(context.zip(output).is_none_or(|(context, output)| output <= context), "{kind}:{name}");
            if let Some(price) = &info.price {
                assert!(price.cached_input.is_none_or(|cached| Some(cached) <= price.input), "{kind}:{name}");
                assert!(price.long.is_none_or(|long| Some(long.input) >= price.input), "{kind}:{name}");
            }
        }
    }
    // Each vendor is in the file, but for the kind of which any server may be.
    let listed: Vec<&str> = file.sources().map(|(kind, _)| kind).collect();
    let missing = vendor::ALL.iter().map(|vendor| vendor.kind).filter(|kind| !listed.contains(kind));
    assert_eq!(missing.collect::<Vec<_>>(), ["openai_compatible"]);
}

#[test]
fn most_specific_pattern_wins() {
    let cases = [
        ("openai", "gpt-4o", Some("GPT-4o")),
        ("openai", "gpt-4o-2024-08-06", Some("GPT-4o")),
        ("openai", "gpt-4o-2024-05-13", Some("GPT-4o of May 2024")),
        ("openai", "gpt-4o-mini-2024-07-18", Some("GPT-4o mini")),
        ("openai", "gpt-99", None),
        ("azure", "gpt-4o-mini", Some("GPT-4o mini")),
        ("anthropic", "claude-sonnet-4-20250514", Some("Claude Sonnet 4")),
        ("anthropic", "claude-sonnet-4-5-20250929", Some("Claude Sonnet 4.5")),
        ("openrouter", "anthropic/claude-sonnet-4.5", Some("Claude Sonnet 4.5")),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", Some("Claude Sonnet 4.5")),
        ("google", "models/gemini-2.5-flash", Some("Gemini 2.5 Flash")),
        ("openai_compatible", "gpt-4o", None),
    ];
    for (kind, model, name) in cases {
        assert_eq!(info(kind, model).and_then(|info| info.name).as_deref(), name, "{kind}:{model}");
    }
}

#[test]
fn builtin_info_is_of_the_vendor() {
    let gpt = info("openai", "gpt-4o").unwrap();
    assert_eq!((gpt.context_length, gpt.max_output_tokens), (Some(128_000), Some(16_384)));
    assert!(gpt.can(Capability::Vision) && !gpt.can(Capability::Reasoning));
    assert_eq!(price(&gpt).as_deref(), Some("1.25"));
    assert_eq!(info("openai", "text-embedding-3-small").unwrap().modality, Modality::Embedding);
    // Amazon's prices depend on the region.
    assert_eq!(info("bedrock", "eu.anthropic.claude-haiku-4-5-x").unwrap().price, None);
    assert_eq!(
        price(&info("bedrock", "global.anthropic.claude-haiku-4-5-x").unwrap()).as_deref(),
        Some("0.6")
    );
    let free = info("openrouter", "meta-llama/llama-3.3-70b-instruct:free").unwrap();
    assert_eq!((free.tier, price(&free).as_deref()), (Tier::Free, Some("0")));
    assert_eq!(info("ollama", "qwen3:8b").unwrap().tier, Tier::Free);
    assert_eq!(info("ollama", "gpt-oss:120b-cloud").unwrap().tier, Tier::Commercial);
    let table = ModelInfoTable::builtin();
    assert!(table.is_unsupported("openai", "whisper-1") && !table.is_unsupported("openai", "gpt-5"));
    let listed = table.models_of("mine", "anthropic");
    assert!(listed.iter().all(|(name, info)| !name.contains('*') && info.name.is_some()), "{listed:?}");
}

#[test]
fn overrides_change_info_and_add_models() {
    let table = ModelInfoTable::with_overrides(&overrides(json!({
        "openai:gpt-4o": {"context_length": 1000, "price": {"input": 1, "output": "2.5"}},
        "openai:gpt-*": {"tier": "free"},
        "rig:qwen3-32b": {"capabilities": ["chat", "tools"], "price": {"input": 0, "output": 0}},
        "work:chat": {"like": "openai:gpt-4o-mini", "name": "Ours"},
    })))
    .unwrap();
    let info =
        |provider: &str, kind: &str, model: &str| table.info(provider, kind, model).unwrap().into_owned();
    let gpt = info("openai", "openai", "gpt-4o");
    assert_eq!((gpt.name.as_deref(), gpt.context_length, gpt.tier), (Some("GPT-4o"), Some(1000), Tier::Free));
    assert_eq!(price(&gpt).as_deref(), Some("0.35"));
    assert_eq!(info("openai", "openai", "gpt-99").tier, Tier::Free);
    // Overrides are of one provider, not of its kind.
    assert_eq!(info("second", "openai", "gpt-4o").context_length, Some(128_000));
    let rig = info("rig", "openai_compatible", "qwen3-32b");
    assert_eq!((rig.can(Capability::Tools), price(&rig).as_deref()), (true, Some("0")));
    let work = info("work", "azure", "chat");
    assert_eq!((work.name.as_deref(), price(&work).as_deref()), (Some("Ours"), Some("0.075")));
    assert_eq!(table.models_of("rig", "openai_compatible").len(), 1);
}

#[test]
fn invalid_override_is_named() {
    let cases = [
        (json!({"gpt-4o": {}}), "models.\"gpt-4o\": name it"),
        (json!({"local:tiny-chat": {}}), "models.\"local:tiny-chat\""),
        (json!({"openai:x": {"context_length": 0}}), "models.\"openai:x\".context_length"),
        (json!({"openai:x": {"max_output_tokens": 0}}), "models.\"openai:x\".max_output_tokens"),
        (json!({"openai:x": {"price": {}}}), "models.\"openai:x\".price: "),
        (
            json!({"openai:x": {"price": {"input": 1, "long": {"above": 1, "input": 1, "output": 1}}}}),
            "models.\"openai:x\".price.long",
        ),
        (json!({"openai:x": {"like": "openai:gpt-99"}}), "models.\"openai:x\".like"),
    ];
    for (invalid, begins) in cases {
        let error = ModelInfoTable::with_overrides(&overrides(invalid)).unwrap_err().to_string();
        assert!(error.starts_with(begins), "{error}");
    }
    for invalid in [
        json!({"a:b": {"prize": 1}}),
        json!({"a:b": {"price": {"input": -1}}}),
        json!({"a:b": {"tier": "x"}}),
    ] {
        assert!(
            serde_json::from_value::<BTreeMap<String, ModelOverride>>(invalid.clone()).is_err(),
            "{invalid}"
        );
    }
    let later = BUILTIN.replacen("\"version\": 1", "\"version\": 2", 1);
    assert!(matches!(ModelInfoFile::parse(&later), Err(FileError::Version(2))));
    let unknown = r#"{"version": 1, "as_of": "x", "vendors": {"a": {"source": "", "like": [{"prefix": "", "vendor": "b"}], "models": []}}}"#;
    assert!(matches!(ModelInfoFile::parse(unknown), Err(FileError::Vendor(_))));
}

proptest! {
    #[test]
    fn info_of_any_name_is_returned(kind in "[a-z]{0,8}", model in ".{0,40}") {
        let table = ModelInfoTable::with_overrides(&overrides(json!({"x:*": {"tier": "free"}}))).unwrap();
        prop_assert_eq!(table.info("x", &kind, &model).unwrap().tier, Tier::Free);
        for vendor in vendor::ALL {
            let _ = table.info("y", vendor.kind, &model);
        }
    }
}

#[test]
fn only_whole_names_name_a_model() {
    let json = json!({"rig:box-model": {"context_length": 7}, "rig:box-*": {"context_length": 8}});
    let table = ModelInfoTable::with_overrides(&serde_json::from_value(json).unwrap()).unwrap();
    assert!(table.names_model("rig", "box-model"));
    // These have information by a pattern, which any number of names match.
    assert!(!table.names_model("rig", "box-other") && !table.names_model("other", "box-model"));
    let (name, _) = table.models_of("openai", "openai").remove(0);
    assert!(
        table.names_model("openai", &name) && !table.names_model("openai", &format!("{name}-2099-01-01"))
    );
}
