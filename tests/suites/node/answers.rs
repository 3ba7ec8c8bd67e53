//! Answers of a real model: several per run, log-probabilities, JSON Schemas, tool calls.

use std::collections::BTreeSet;

use hearth_domain::{FinishReason, ResponseFormat, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::RunEventBody;
use serde_json::{Value, json};

use crate::in_process::{Answer, InProcessNode, greedy, user_task};

/// Sampling with a high temperature and without top-k, top-p and min-p: tokens that the model would hardly choose.
fn wild(seed: u32) -> Sampling {
    Sampling {
        temperature: Some(1.3),
        top_k: Some(0),
        top_p: Some(1.0),
        min_p: Some(0.0),
        seed: Some(seed),
        max_tokens: Some(600),
        ..Sampling::default()
    }
}

#[tokio::test]
async fn several_answers_share_one_prompt() {
    let node = InProcessNode::start(|config| config.settings.slots = 2).await;
    // The model has learnt its stories by heart; these parameters make it vary them.
    let sampling = Sampling {
        seed: Some(7),
        temperature: Some(1.5),
        top_k: Some(0),
        top_p: Some(1.0),
        min_p: Some(0.0),
        ..Sampling::default()
    };
    let mut task = user_task("Tell me a short story about a robot.", sampling);
    let alone = node.run(task.clone()).await.answer().await.usage();
    task.choices = 3;
    let answer = node.run(task).await.answer().await;

    let ends: Vec<u32> = answer.events.iter().filter_map(choice_done).collect();
    assert_eq!(ends.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]));
    assert_eq!(ends.len(), 3, "{ends:?}");
    let texts: BTreeSet<String> = (0..3).map(|choice| answer.text(choice)).collect();
    assert!(texts.iter().all(|text| text.len() > 20), "{texts:?}");
    assert!(texts.len() > 1, "all answers are equal: {texts:?}");
    let usage = answer.usage();
    assert_eq!(usage.prompt_tokens, alone.prompt_tokens, "the prompt counts once");
    assert!(usage.completion_tokens > alone.completion_tokens, "{usage:?}");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let started = answer.events.iter().filter(|event| matches!(event, RunEventBody::Started { .. }));
    assert_eq!(started.count(), 1);
    node.stop().await;
}

fn choice_done(event: &RunEventBody) -> Option<u32> {
    match event {
        RunEventBody::ChoiceDone { choice, .. } => Some(*choice),
        _ => None,
    }
}

#[tokio::test]
async fn log_probabilities_are_returned_for_each_token() {
    let node = InProcessNode::start(|_| ()).await;
    let mut task = user_task("What is the capital of France?", greedy());
    task.top_logprobs = Some(5);
    let answer = node.run(task.clone()).await.answer().await;
    let logprobs = answer.events.iter().flat_map(|event| match event {
        RunEventBody::Delta { logprobs, .. } => logprobs.as_slice(),
        _ => &[],
    });
    let logprobs: Vec<_> = logprobs.collect();
    // The token that ends the turn has no text, and isn't counted.
    assert_eq!(logprobs.len(), answer.usage().completion_tokens as usize);
    for token in &logprobs {
        assert!(token.token.logprob <= 0.0 && token.token.logprob.is_finite(), "{token:?}");
        assert_eq!(token.top.len(), 5, "{token:?}");
        assert!(token.top.is_sorted_by(|a, b| a.logprob >= b.logprob), "{token:?}");
        assert_eq!(token.top[0], token.token, "the most probable token was not chosen");
        let sum: f32 = token.top.iter().map(|other| other.logprob.exp()).sum();
        assert!(sum <= 1.0001, "{token:?}");
    }
    let bytes: Vec<u8> = logprobs.iter().flat_map(|token| token.token.bytes.clone()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), answer.text(0));

    task.top_logprobs = Some(0);
    let answer = node.run(task).await.answer().await;
    let without_alternatives = |event: &RunEventBody| match event {
        RunEventBody::Delta { logprobs, .. } => logprobs.iter().all(|token| token.top.is_empty()),
        _ => true,
    };
    assert!(answer.events.iter().all(without_alternatives), "{answer:?}");
    node.stop().await;
}

#[tokio::test]
async fn answer_fits_its_schema_at_any_sampling() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 24},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "mood": {"enum": ["calm", "curious", null]},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{2,6}$"}, "maxItems": 3},
            "nested": {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/point"}]},
        },
        "required": ["name", "age", "mood", "tags", "nested"],
        "additionalProperties": false,
        "$defs": {"point": {
            "type": "object",
            "properties": {"x": {"type": "integer", "minimum": -9, "maximum": 9}},
            "required": ["x"],
            "additionalProperties": false,
        }},
    });
    let node = InProcessNode::start(|_| ()).await;
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let mut task = user_task("Give me JSON with name and age for Ada.", wild(seed));
        task.response_format = ResponseFormat::JsonSchema(schema.clone());
        let answer = node.run(task).await.answer().await;
        let text = answer.text(0);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(answer.finish_reason, FinishReason::Stop, "{text:?}");
        assert_fits(&value);
        seen.insert(text);
    }
    assert!(seen.len() > 6, "too few different answers: {seen:?}");
    node.stop().await;
}

fn assert_fits(value: &Value) {
    let members = value.as_object().unwrap();
    let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["name", "age", "mood", "tags", "nested"]), "{value}");
    let length = value["name"].as_str().unwrap().chars().count();
    assert!((1..=24).contains(&length), "{value}");
    assert!((0..=150).contains(&value["age"].as_i64().unwrap()), "{value}");
    assert!([json!("calm"), json!("curious"), Value::Null].contains(&value["mood"]), "{value}");
    let tags = value["tags"].as_array().unwrap();
    let letters =
        |tag: &str| tag.bytes().all(|byte| byte.is_ascii_lowercase()) && (2..=6).contains(&tag.len());
    assert!(tags.len() <= 3 && tags.iter().all(|tag| letters(tag.as_str().unwrap())), "{value}");
    let nested = &value["nested"];
    let point = nested["x"].as_i64().is_some_and(|x| x.abs() <= 9) && nested.as_object().unwrap().len() == 1;
    assert!(nested.is_boolean() || point, "{value}");
}

#[tokio::test]
async fn json_object_format_yields_an_object() {
    let node = InProcessNode::start(|_| ()).await;
    let mut ended = 0;
    for (seed, question) in
        [(0, "Give me JSON with name and age for Ada."), (1, "Hello!"), (2, "Count to ten.")]
    {
        for sampling in [Sampling { max_tokens: Some(600), ..greedy() }, wild(seed)] {
            let mut task = user_task(question, sampling);
            task.response_format = ResponseFormat::JsonObject;
            let answer = node.run(task).await.answer().await;
            let text = answer.text(0);
            assert!(text.starts_with('{'), "{text:?}");
            match serde_json::from_str::<Value>(&text) {
                Ok(value) => assert!(value.is_object(), "{text:?}"),
                // A wild answer may reach its token limit, but it is valid up to there.
                Err(error) => {
                    assert!(
                        error.is_eof() && answer.finish_reason == FinishReason::Length,
                        "{error}: {text:?}"
                    );
                    continue;
                }
            }
            assert_eq!(answer.finish_reason, FinishReason::Stop, "{text:?}");
            ended += 1;
        }
    }
    assert!(ended >= 2, "{ended}");
    node.stop().await;
}

/// Adds two tools to a task.
fn with_tools(mut task: TextTask, choice: ToolChoice) -> TextTask {
    let tool = |name: &str, description: &str, parameter: &str| Tool {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        parameters: json!({
            "type": "object",
            "properties": {parameter: {"type": "string", "maxLength": 40}},
            "required": [parameter],
            "additionalProperties": false,
        }),
        strict: false,
    };
    task.tools = vec![
        tool("get_weather", "Get the weather for a city", "city"),
        tool("play_song", "Play a song", "title"),
    ];
    task.tool_choice = choice;
    task
}

/// Asserts that all calls name a tool on offer with valid arguments. Returns the names.
fn assert_calls(answer: &Answer) -> Vec<String> {
    let calls = answer.calls();
    assert!(!calls.is_empty(), "{answer:?}");
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls, "{answer:?}");
    let names = calls.into_iter().map(|(name, arguments)| {
        let arguments: Value =
            serde_json::from_str(&arguments).unwrap_or_else(|error| panic!("{error}: {arguments:?}"));
        let parameter = if name == "get_weather" { "city" } else { "title" };
        assert!(arguments[parameter].is_string(), "{name}({arguments})");
        assert_eq!(arguments.as_object().unwrap().len(), 1, "{name}({arguments})");
        name
    });
    names.collect()
}

#[tokio::test]
async fn required_tool_choice_yields_calls() {
    let node = InProcessNode::start(|_| ()).await;
    let task = user_task("What is the weather in Paris?", greedy());
    let answer = node.run(with_tools(task.clone(), ToolChoice::Required)).await.answer().await;
    assert_eq!(assert_calls(&answer), ["get_weather"]);
    assert!(answer.calls()[0].1.contains("Paris"), "{answer:?}");
    assert_eq!(answer.text(0).trim(), "");

    for seed in 0..4 {
        let wild = user_task("Hello!", wild(seed));
        let answer = node.run(with_tools(wild.clone(), ToolChoice::Required)).await.answer().await;
        assert_calls(&answer);
        let named = ToolChoice::Named("play_song".to_owned());
        let answer = node.run(with_tools(wild, named)).await.answer().await;
        assert!(assert_calls(&answer).iter().all(|name| name == "play_song"), "{answer:?}");
    }
    let answer = node.run(with_tools(task, ToolChoice::None)).await.answer().await;
    assert!(answer.calls().is_empty() && !answer.text(0).is_empty(), "{answer:?}");
    node.stop().await;
}
