use hearth_domain::{
    FinishReason, Generation, Image, ImageSource, ModelId, RawPrompt, Reasoning, ReasoningEffort,
    ResponseFormat, Role, RunId, Selection, Task, TextTask, ToolCall, Usage,
};
use serde_json::{Value, json};

use super::*;
use crate::{ApiError, ErrorCode, RunEvent, RunEventBody, event::ToolCallBegin, stream::Render as _};

const PNG: &str = "iVBORw0KGgo=";

fn text(generation: Result<Generation, ApiError>) -> TextTask {
    match generation.unwrap().task {
        Task::Text(task) => task,
        other => panic!("{other:?} is no text"),
    }
}

fn chat(mut body: Value) -> Result<Generation, ApiError> {
    if body.get("messages").is_none() {
        body["messages"] = json!([{"role": "user", "content": "Hi"}]);
    }
    body["model"] = json!("tiny-chat:latest");
    let request: OllamaChatRequest = serde_json::from_value(body).unwrap();
    request.into_generation("tiny-chat".to_owned())
}

fn generate(mut body: Value) -> Result<Generation, ApiError> {
    body["model"] = json!("tiny-chat");
    let request: OllamaGenerateRequest = serde_json::from_value(body).unwrap();
    request.into_generation("tiny-chat".to_owned())
}

#[test]
fn options_become_sampling_parameters() {
    let options = json!({
        "temperature": 0, "top_p": 0.5, "top_k": 40.0, "min_p": 0.1, "seed": 7, "num_predict": 12, "stop": ["X"],
        "repeat_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": -0.5, "num_ctx": 8192, "mirostat": 1,
        "made_up": true, "num_gpu": null,
    });
    let generation = chat(json!({"options": options})).unwrap();
    assert_eq!(generation.model.as_ref().map(ModelId::as_str), Some("tiny-chat"));
    let sampling = text(Ok(generation)).sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (Some(0.0), Some(0.5), Some(40)));
    assert_eq!((sampling.seed, sampling.max_tokens, sampling.min_p), (Some(7), Some(12), Some(0.1)));
    assert_eq!((sampling.repeat_penalty, sampling.presence_penalty), (Some(1.1), Some(0.5)));
    assert_eq!((sampling.frequency_penalty, sampling.stop), (Some(-0.5), vec!["X".to_owned()]));
    let request: OllamaChatRequest =
        serde_json::from_value(json!({"model": "m", "options": options})).unwrap();
    assert_eq!(request.ignored_options(), ["mirostat", "num_ctx", "unknown"]);

    let unlimited = json!({"num_predict": -1, "seed": -1, "top_k": -1, "stop": "one", "temperature": null});
    let sampling = text(chat(json!({"options": unlimited}))).sampling;
    assert_eq!((sampling.max_tokens, sampling.seed, sampling.top_k), (None, None, Some(0)));
    assert_eq!((sampling.stop, sampling.temperature), (vec!["one".to_owned()], None));
}

#[test]
fn invalid_values_are_refused_with_the_fields_name() {
    let cases = [
        (json!({"options": {"temperature": "hot"}}), "options.temperature"),
        (json!({"options": {"temperature": 3}}), "options.temperature"),
        (json!({"options": {"num_predict": 1.5}}), "options.num_predict"),
        (json!({"options": {"stop": [1]}}), "options.stop"),
        (json!({"format": "yaml"}), "format"),
        (json!({"format": 7}), "format"),
        (json!({"think": "hard"}), "think"),
        (json!({"think": 1}), "think"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"messages": [{"role": "robot", "content": "Hi"}]}), "messages[0].role"),
        (
            json!({"messages": [{"role": "user", "images": ["https://example.org/a.png"]}]}),
            "messages[0].images[0]",
        ),
        (json!({"messages": [{"role": "user", "images": ["JVBERi0xLjQK"]}]}), "messages[0].images[0]"),
        (json!({"messages": [{"role": "system", "images": [PNG]}]}), "messages[0].images[0]"),
        (json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}), "tools[0].function.name"),
    ];
    for (body, param) in cases {
        let error = chat(body.clone()).map(drop).expect_err(&body.to_string());
        assert_eq!(
            (error.code, error.param.as_deref()),
            (ErrorCode::InvalidRequest, Some(param)),
            "{body}: {error}"
        );
    }
    for (body, param) in [
        (json!({"prompt": "a", "template": "{{ .Prompt }}"}), "template"),
        (json!({"prompt": "a", "context": [1, 2]}), "context"),
        (json!({"prompt": "a", "raw": true, "system": "b"}), "system"),
        (json!({"prompt": "a", "suffix": "b", "images": [PNG]}), "images"),
        (json!({"prompt": "a", "images": ["x"]}), "images[0]"),
    ] {
        let error = generate(body.clone()).map(drop).expect_err(&body.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
}

#[test]
fn format_and_think_reach_the_task() {
    let format = |format: Value| text(chat(json!({"format": format}))).response_format;
    assert_eq!(format(json!(null)), ResponseFormat::Text);
    assert_eq!(format(json!("")), ResponseFormat::Text);
    assert_eq!(format(json!("json")), ResponseFormat::JsonObject);
    assert_eq!(format(json!({"type": "object"})), ResponseFormat::JsonSchema(json!({"type": "object"})));
    let effort = |think: Value| text(chat(json!({"think": think}))).reasoning;
    assert_eq!(effort(json!(null)), None);
    assert_eq!(effort(json!(false)), Some(ReasoningEffort::None));
    assert_eq!(effort(json!(true)), Some(ReasoningEffort::Medium));
    assert_eq!(effort(json!("low")), Some(ReasoningEffort::Low));
    assert_eq!(effort(json!("max")), Some(ReasoningEffort::High));
}

#[test]
fn results_match_calls_without_ids() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": {"at": "Ulm"}}});
    let messages = json!([
        {"role": "tool", "content": "no call"},
        {"role": "user", "content": "Look!", "images": [PNG]},
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [call("look"), call("hear"), call("look")]},
        {"role": "tool", "tool_name": "hear", "content": "meow"},
        {"role": "tool", "content": "a cat"},
        {"role": "tool", "tool_call_id": "call_2_2", "content": "a dog"},
        {"role": "tool", "content": "too many"},
    ]);
    let task = text(chat(json!({"messages": messages})));
    let turns: Vec<_> = task
        .messages
        .iter()
        .map(|message| (message.role, message.tool_call_id.as_deref(), message.name.as_deref()))
        .collect();
    assert_eq!(
        turns,
        [
            (Role::User, None, None),
            (Role::User, None, None),
            (Role::Assistant, None, None),
            (Role::Tool, Some("call_2_1"), Some("hear")),
            (Role::Tool, Some("call_2_0"), Some("look")),
            (Role::Tool, Some("call_2_2"), Some("look")),
            (Role::User, None, None),
        ]
    );
    let png = Image {
        source: ImageSource::Data { media_type: "image/png".into(), data: PNG.into() },
        detail: None,
    };
    assert_eq!(task.messages[1].images[0].image, png);
    assert_eq!(task.messages[2].reasoning, [Reasoning { text: "Hm.".into(), ..Reasoning::default() }]);
    assert_eq!(
        task.messages[2].tool_calls[0],
        ToolCall { id: "call_2_0".into(), name: "look".into(), arguments: r#"{"at":"Ulm"}"#.into() }
    );
}

#[test]
fn prompt_becomes_a_user_message_unless_it_is_raw() {
    let task = text(generate(json!({"prompt": "Hi", "system": "Be brief.", "context": [], "template": ""})));
    let turns: Vec<_> =
        task.messages.iter().map(|message| (message.role, message.content.as_str())).collect();
    assert_eq!((turns, task.raw), (vec![(Role::System, "Be brief."), (Role::User, "Hi")], None));
    let raw = |body| text(generate(body)).raw;
    assert_eq!(raw(json!({"prompt": "Hi", "raw": true})), Some(RawPrompt::Text("Hi".into())));
    let infill = RawPrompt::Infill { prefix: "a".into(), suffix: "b".into() };
    assert_eq!(raw(json!({"prompt": "a", "suffix": "b"})), Some(infill));
}

#[test]
fn empty_requests_load_and_unload() {
    let is_empty_and_unloads = |body: Value| {
        let request: OllamaGenerateRequest = serde_json::from_value(body).unwrap();
        (request.is_empty(), request.unloads())
    };
    assert_eq!(is_empty_and_unloads(json!({"model": "m"})), (true, false));
    assert_eq!(is_empty_and_unloads(json!({"model": "m", "prompt": "", "keep_alive": 0})), (true, true));
    assert_eq!(is_empty_and_unloads(json!({"model": "m", "keep_alive": "0s"})), (true, true));
    assert_eq!(is_empty_and_unloads(json!({"model": "m", "keep_alive": "10m"})), (true, false));
    assert_eq!(is_empty_and_unloads(json!({"model": "m", "keep_alive": -1, "prompt": "Hi"})), (false, false));
    let request: OllamaChatRequest = serde_json::from_value(json!({"model": "m", "messages": []})).unwrap();
    assert!(request.is_empty() && request.streams());
    let answer = json!(request.renderer(RunId::new()).without_run("load"));
    assert_eq!(
        (&answer["done"], &answer["done_reason"], &answer["message"]["content"]),
        (&json!(true), &json!("load"), &json!(""))
    );
}

fn events(bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
    let selected = RunEventBody::Selected(Selection::example("other", "local"));
    (1..).zip(std::iter::once(selected).chain(bodies)).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn reasoning_and_calls() -> Vec<RunEvent> {
    let reasoning = |text: &str, signature: Option<&str>| RunEventBody::Reasoning {
        choice: 0,
        index: 0,
        added: Reasoning { text: text.into(), signature: signature.map(Into::into), encrypted: None },
    };
    let call = |index, begins: Option<&str>, arguments: &str| RunEventBody::ToolCall {
        choice: 0,
        index,
        begins: begins.map(|name| ToolCallBegin { id: format!("c{index}"), name: name.into() }),
        arguments: arguments.into(),
    };
    events(vec![
        RunEventBody::Started { prompt_tokens: 5 },
        reasoning("Hm", None),
        reasoning(".", Some("sig")),
        RunEventBody::text("I "),
        RunEventBody::text("look."),
        call(0, Some("look"), "{\"at\":"),
        call(0, None, "1}"),
        call(1, Some("hear"), "{\"cut"),
        RunEventBody::Usage { usage: Usage { prompt_tokens: 5, completion_tokens: 9, ..Usage::default() } },
        RunEventBody::Done { finish_reason: FinishReason::ToolCalls },
    ])
}

fn lines(request: &OllamaChatRequest, events: &[RunEvent]) -> Vec<Value> {
    let mut renderer = request.renderer(RunId::new());
    let frames: Vec<_> = events.iter().flat_map(|event| renderer.frames(event)).collect();
    assert_eq!(renderer.final_frame(), None);
    frames.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

#[test]
fn stream_has_pieces_then_calls_then_metrics() {
    let request: OllamaChatRequest = serde_json::from_value(json!({"model": "tiny:latest"})).unwrap();
    let lines = lines(&request, &reasoning_and_calls());
    let pieces: Vec<_> = lines
        .iter()
        .map(|line| (line["message"]["thinking"].clone(), line["message"]["content"].clone()))
        .collect();
    let none = json!(null);
    assert_eq!(
        pieces,
        [
            (json!("Hm"), json!("")),
            (json!("."), json!("")),
            (none.clone(), json!("I ")),
            (none.clone(), json!("look.")),
            (none.clone(), json!("")),
            (none, json!("")),
        ]
    );
    let calls = json!([
        {"id": "c0", "function": {"index": 0, "name": "look", "arguments": {"at": 1}}},
        {"id": "c1", "function": {"index": 1, "name": "hear", "arguments": {}}},
    ]);
    assert_eq!(lines[4]["message"]["tool_calls"], calls);
    assert_eq!(lines[4]["message"]["reasoning_details"][0]["signature"], "sig");
    assert!(lines[..5].iter().all(|line| line["done"] == false && line.get("eval_count").is_none()));
    let last = &lines[5];
    assert_eq!(
        (&last["done"], &last["done_reason"], &last["model"]),
        (&json!(true), &json!("stop"), &json!("tiny:latest"))
    );
    assert_eq!((&last["prompt_eval_count"], &last["eval_count"]), (&json!(5), &json!(9)));
    for duration in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
        assert!(last[duration].as_u64().is_some_and(|nanoseconds| nanoseconds > 0), "{duration}: {last}");
    }
}

#[test]
fn whole_answer_equals_the_stream() {
    let request: OllamaChatRequest = serde_json::from_value(json!({"model": "tiny"})).unwrap();
    let answer = json!(request.renderer(RunId::new()).into_answer(&reasoning_and_calls()).unwrap());
    let message = &answer["message"];
    assert_eq!((&message["content"], &message["thinking"]), (&json!("I look."), &json!("Hm.")));
    assert_eq!(
        (&message["role"], message["tool_calls"].as_array().map(Vec::len)),
        (&json!("assistant"), Some(2))
    );
    assert_eq!((&answer["done"], &answer["eval_count"]), (&json!(true), &json!(9)));

    let request: OllamaGenerateRequest =
        serde_json::from_value(json!({"model": "tiny", "prompt": "a"})).unwrap();
    let answer = json!(request.renderer(RunId::new()).into_answer(&reasoning_and_calls()).unwrap());
    assert_eq!((&answer["response"], &answer["thinking"]), (&json!("I look."), &json!("Hm.")));
    assert!(answer.get("message").is_none() && answer.get("context").is_none());
}

#[test]
fn filtered_and_failed_answers_end_differently() {
    let request: OllamaChatRequest = serde_json::from_value(json!({"model": "m"})).unwrap();
    let done = |finish_reason| events(vec![RunEventBody::Done { finish_reason }]);
    let reason = |reason| lines(&request, &done(reason)).pop().map(|line| line["done_reason"].clone());
    assert_eq!(reason(FinishReason::Length), Some(json!("length")));
    assert_eq!(reason(FinishReason::ContentFilter), Some(json!("content_filter")));
    let error = ApiError::new(ErrorCode::ProviderError, "it failed").at("x");
    let lines = lines(&request, &events(vec![RunEventBody::text("Once"), RunEventBody::Error { error }]));
    let last = &lines[1];
    assert_eq!(
        (&last["error"], &last["code"], &last["param"]),
        (&json!("it failed"), &json!("provider_error"), &json!("x"))
    );
}

#[test]
fn unknown_model_error_has_the_wording_of_ollama() {
    let error = ApiError::new(ErrorCode::ModelNotFound, "there is none");
    assert_eq!(OllamaError::with_client_wording(error, "x").message, "model 'x' not found: there is none");
    let other = ApiError::invalid("model", "no");
    assert_eq!(OllamaError::with_client_wording(other.clone(), "x"), other);
}

#[test]
fn vectors_are_sorted() {
    let request = |body: Value| serde_json::from_value::<OllamaEmbedRequest>(body).unwrap();
    assert_eq!(request(json!({"model": "m"})).into_generation("m".into()).unwrap(), None);
    assert_eq!(request(json!({"model": "m", "input": ""})).into_generation("m".into()).unwrap(), None);
    let error = request(json!({"model": "m", "input": ["a", ""]})).into_generation("m".into()).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("input[1]"));
    let wrong =
        serde_json::from_value::<OllamaEmbedRequest>(json!({"model": "m", "input": {"a": 1}})).unwrap_err();
    assert!(wrong.to_string().contains("a string or a list of strings"), "{wrong}");

    let vector = |index, number| RunEventBody::Embedding { index, vector: vec![number] };
    let usage = RunEventBody::Usage { usage: Usage { prompt_tokens: 7, ..Usage::default() } };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let events = events(vec![vector(1, 0.5), vector(0, 1.0), usage, done]);
    let answer = OllamaEmbedRenderer::new("m:latest".into()).into_answer(&events, 2).unwrap();
    assert_eq!((&answer.embeddings, answer.prompt_eval_count), (&vec![vec![1.0], vec![0.5]], 7));
    assert_eq!(OllamaEmbeddingAnswer::from(answer).embedding, [1.0]);
    assert!(OllamaEmbedRenderer::new("m".into()).into_answer(&events, 3).is_err());
    assert_eq!(
        OllamaEmbedRenderer::new("m".into()).into_answer(&[], 0).unwrap().embeddings,
        Vec::<Vec<f32>>::new()
    );
}
