use hearth_domain::{EmbeddingTask, ImageTask, Message, Role, Sampling, TextTask};
use serde_json::json;

use super::*;

#[derive(Debug, Deserialize)]
struct Request {
    #[expect(dead_code, reason = "only parsed")]
    model: String,
    #[serde(flatten)]
    options: RunOptions,
    #[serde(flatten)]
    sampling: SamplingOptions,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

fn options(json: Value) -> RunOptions {
    serde_json::from_value(json).unwrap()
}

#[test]
fn options_are_no_unknown_fields() {
    let body = json!({
        "model": "m", "other": 1, "on_disconnect": "continue", "whileLoading": "default", "priority": null,
        "fallback": false, "resume": true, "selectionMode": "free_only", "top_k": 3, "ignore_eos": true,
        "prefer": "home", "deadline": 5, "maxPrice": 0.6, "maxAttempts": 2, "allow_relaxed": true,
        "bypassValidation": false,
    });
    let request: Request = serde_json::from_value(body).unwrap();
    assert_eq!(Value::Object(request.extra), json!({"other": 1}));
    let expected = RunOptions {
        on_disconnect: Some(OnDisconnect::Continue),
        while_loading: Some(WhileLoading::Default),
        priority: None,
        fallback: Some(Fallback::None(false)),
        resume: Some(true),
        selection_mode: Some(SelectionMode::FreeOnly),
        prefer: Some(Prefer::Home),
        deadline: Some(Deadline::Seconds(5.0)),
        max_price: "0.6".parse().ok(),
        schema_id: None,
        template_id: None,
        variables: None,
        max_attempts: Some(2),
        allow_relaxed: Some(true),
        bypass_validation: Some(false),
    };
    assert_eq!(request.options, expected);
    assert_eq!((request.sampling.top_k, request.sampling.ignore_eos), (Some(3), Some(true)));
}

#[test]
fn an_error_names_the_option() {
    for (name, value) in [
        ("on_disconnect", json!("stay")),
        ("whileLoading", json!(1)),
        ("priority", json!("urgent")),
        ("fallback", json!(["a"])),
        ("resume", json!("yes")),
        ("selection_mode", json!("cheap")),
        ("prefer", json!("cloud")),
        ("deadline", json!("soon")),
        ("max_price", json!(-1)),
        ("schema_id", json!(1)),
        ("variables", json!([])),
        ("max_attempts", json!("many")),
        ("allowRelaxed", json!(1)),
        ("bypass_validation", json!("no")),
        ("min_p", json!("a")),
    ] {
        let text = json!({"model": "m", name: value}).to_string();
        let error = serde_json::from_str::<Request>(&text).unwrap_err().to_string();
        let (option, problem) = option_error(&error).unwrap();
        assert_eq!(option, name);
        assert!(problem.contains("expected"), "{error}");
    }
    let other = serde_json::from_str::<Request>("{\"model\": 1}").unwrap_err().to_string();
    assert_eq!(option_error(&other), None);
}

#[test]
fn an_option_that_the_task_cannot_obey_is_refused() {
    let vectors = || Generation::new(None, EmbeddingTask { inputs: Vec::new(), dimensions: None });
    let image = || Generation::new(None, ImageTask::new("a fox"));
    let text = || {
        let messages = vec![Message::new(Role::User, "Hi")];
        Generation::new(None, TextTask::new(messages, Sampling::default()))
    };
    let refused = |body: Value, generation| options(body).apply(generation).unwrap_err().param;
    assert_eq!(refused(json!({"resume": true}), vectors()).as_deref(), Some("resume"));
    assert_eq!(refused(json!({"resume": true}), image()).as_deref(), Some("resume"));
    assert_eq!(refused(json!({"on_disconnect": "continue"}), vectors()).as_deref(), Some("on_disconnect"));
    for seconds in [0, OnDisconnect::CONTINUE_FOR_MAX_SECONDS + 1] {
        let param = refused(json!({"on_disconnect": {"continue_for": seconds}}), text());
        assert_eq!(param.as_deref(), Some("on_disconnect.continue_for"), "{seconds}");
    }
    assert_eq!(refused(json!({"fallback": true}), text()).as_deref(), Some("fallback"));
    for attempts in [0, StructuredOptions::ATTEMPTS_MAX_COUNT + 1] {
        let param = refused(json!({"max_attempts": attempts}), text());
        assert_eq!(param.as_deref(), Some("max_attempts"), "{attempts}");
    }
    assert_eq!(refused(json!({"allow_relaxed": true}), vectors()).as_deref(), Some("allow_relaxed"));
    assert_eq!(refused(json!({"max_attempts": 2}), image()).as_deref(), Some("max_attempts"));
    assert_eq!(refused(json!({"max_price": 1}), image()).as_deref(), Some("max_price"));
    assert_eq!(refused(json!({"deadline": 5}), text()).as_deref(), Some("deadline"));
    let many = json!({"fallback": {"models": vec!["m"; FALLBACKS_MAX_COUNT + 1]}});
    assert_eq!(refused(many, text()).as_deref(), Some("fallback.models"));
    for generation in [vectors(), image()] {
        let harmless = json!({"resume": false, "on_disconnect": "cancel"});
        assert!(options(harmless).apply(generation).is_ok());
    }
    assert!(options(json!({"resume": true})).apply(text()).unwrap().route.resume);
}

/// A conversion of a dialect's request to a generation.
type Convert = fn(Value) -> Generation;

fn parse<T: serde::de::DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

/// Every dialect's route, with a request and its conversion.
fn routes() -> Vec<(&'static str, Value, Convert)> {
    use crate::{anthropic, gemini, native, ollama, openai};
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let contents = json!([{"parts": [{"text": "Hi"}]}]);
    vec![
        ("generate", json!({"input": {"prompt": "Hi"}}), |body| {
            parse::<native::request::GenerateRequest>(body).into_generation().unwrap()
        }),
        ("chat", json!({"model": "m", "messages": messages}), |body| {
            parse::<openai::chat::ChatRequest>(body).into_generation().unwrap()
        }),
        ("completions", json!({"model": "m", "prompt": "Hi"}), |body| {
            let request: openai::completions::CompletionRequest = parse(body);
            request.into_generations(hearth_domain::RunId::new()).unwrap().remove(0).0
        }),
        ("responses", json!({"model": "m", "input": "Hi"}), |body| {
            parse::<openai::responses::ResponsesRequest>(body).into_turn(Vec::new()).unwrap().generation
        }),
        ("messages", json!({"model": "m", "max_tokens": 9, "messages": messages}), |body| {
            parse::<anthropic::MessagesRequest>(body).into_generation().unwrap()
        }),
        ("embeddings", json!({"model": "m", "input": "Hi"}), |body| {
            parse::<openai::embeddings::EmbeddingRequest>(body).into_generation().unwrap()
        }),
        ("images", json!({"model": "m", "prompt": "a fox"}), |body| {
            parse::<openai::images::ImageRequest>(body).into_generation().unwrap()
        }),
        ("api/chat", json!({"model": "m", "messages": messages}), |body| {
            parse::<ollama::OllamaChatRequest>(body).into_generation("m".into()).unwrap()
        }),
        ("api/generate", json!({"model": "m", "prompt": "Hi"}), |body| {
            parse::<ollama::OllamaGenerateRequest>(body).into_generation("m".into()).unwrap()
        }),
        ("api/embed", json!({"model": "m", "input": "Hi"}), |body| {
            parse::<ollama::OllamaEmbedRequest>(body).into_generation("m".into()).unwrap().unwrap()
        }),
        ("api/embeddings", json!({"model": "m", "prompt": "Hi"}), |body| {
            parse::<ollama::OllamaEmbeddingRequest>(body).into_generation("m".into()).unwrap().unwrap()
        }),
        ("generateContent", json!({"contents": contents}), |body| {
            parse::<gemini::GenerateContentRequest>(body).into_generation("m".into()).unwrap()
        }),
        ("embedContent", json!({"content": contents[0]}), |body| {
            parse::<gemini::EmbedContentRequest>(body).into_generation("m".into()).unwrap()
        }),
        ("batchEmbedContents", json!({"requests": [{"content": contents[0]}]}), |body| {
            parse::<gemini::BatchEmbedContentsRequest>(body).into_generation("m".into()).unwrap()
        }),
    ]
}

#[test]
fn every_option_reaches_the_generation_in_every_dialect() {
    for (route, body, convert) in routes() {
        let with = |options: Value| {
            let mut body = body.clone();
            body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
            convert(body)
        };
        let of = with(json!({
            "while_loading": "default", "priority": "high", "selection_mode": "free_only",
            "fallback": {"models": ["other"]}, "prefer": "home", "deadline": 60,
        }));
        assert_eq!((of.while_loading, of.priority), (WhileLoading::Default, Priority::High), "{route}");
        assert_eq!(of.route.mode, SelectionMode::FreeOnly, "{route}");
        assert_eq!(of.route.fallbacks, Some(vec!["other".to_owned()]), "{route}");
        assert!(of.route.home.is_some_and(|wait| wait.until.is_some()), "{route}");
        if !matches!(of.task, Task::Image(_)) {
            assert_eq!(with(json!({"max_price": 0.6})).route.max_price, "0.6".parse().ok(), "{route}");
        }
        let is_text = matches!(of.task, Task::Text(_));
        if is_text {
            let of = with(json!({"on_disconnect": {"continue_for": 60}}));
            assert_eq!(of.on_disconnect, OnDisconnect::ContinueFor(60), "{route}");
            let of = with(json!({"resume": true, "on_disconnect": "continue"}));
            assert_eq!((of.route.resume, of.on_disconnect), (true, OnDisconnect::Continue), "{route}");
        }
        let of = with(json!({}));
        assert_eq!((of.route.home, of.route.max_price), (None, None), "{route}");
        assert_eq!((of.while_loading, of.priority), (WhileLoading::Wait, Priority::Normal), "{route}");
    }
}

#[test]
fn the_provider_of_a_route_stays() {
    let generation = Generation::new(None, ImageTask::new("a fox"));
    let route = Route { provider: Some("rig".into()), ..Route::default() };
    let applied = options(json!({"selection_mode": "model"})).apply(Generation { route, ..generation });
    let route = applied.unwrap().route;
    assert_eq!((route.provider.as_deref(), route.mode), (Some("rig"), SelectionMode::Model));
}
