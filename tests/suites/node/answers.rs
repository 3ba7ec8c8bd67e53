//! What a model is held to: several answers, log-probabilities, forms, calls of tools.

use std::collections::BTreeSet;

use hearth_domain::{FinishReason, ResponseFormat, Sampling, TextTask, Tool, ToolChoice};
use hearth_wire::RunEventBody;
use serde_json::{Value, json};

use crate::inside::{Answer, Inside, greedy, said};

/// As far from what the model knows as a request may go.
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
    let node = Inside::start(|config| config.limits.slots = 2).await;
    // The model knows its stories by heart: without cuts it may err.
    let sampling = Sampling {
        seed: Some(7),
        temperature: Some(1.5),
        top_k: Some(0),
        top_p: Some(1.0),
        min_p: Some(0.0),
        ..Sampling::default()
    };
    let mut task = said("Tell me a short story about a robot.", sampling);
    let alone = node.run(task.clone()).await.answer().await.usage();
    task.choices = 3;
    let answer = node.run(task).await.answer().await;

    let ends: Vec<u32> = answer.events.iter().filter_map(choice_done).collect();
    assert_eq!(ends.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]));
    assert_eq!(ends.len(), 3, "{ends:?}");
    let texts: BTreeSet<String> = (0..3).map(|choice| answer.text(choice)).collect();
    assert!(texts.iter().all(|text| text.len() > 20), "{texts:?}");
    assert!(texts.len() > 1, "all say the same: {texts:?}");
    let usage = answer.usage();
    assert_eq!(usage.prompt_tokens, alone.prompt_tokens, "the prompt counts once");
    assert!(usage.completion_tokens > alone.completion_tokens, "{usage:?}");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let begun = answer.events.iter().filter(|event| matches!(event, RunEventBody::Started { .. }));
    assert_eq!(begun.count(), 1);
    node.stop().await;
}

fn choice_done(event: &RunEventBody) -> Option<u32> {
    match event {
        RunEventBody::ChoiceDone { choice, .. } => Some(*choice),
        _ => None,
    }
}

#[tokio::test]
async fn each_token_tells_how_likely_it_was() {
    let node = Inside::start(|_| ()).await;
    let mut task = said("What is the capital of France?", greedy());
    task.top_logprobs = Some(5);
    let answer = node.run(task.clone()).await.answer().await;
    let told = answer.events.iter().flat_map(|event| match event {
        RunEventBody::Delta { logprobs, .. } => logprobs.as_slice(),
        _ => &[],
    });
    let told: Vec<_> = told.collect();
    // The token that ends the turn has no text, and isn't counted.
    assert_eq!(told.len(), answer.usage().completion_tokens as usize);
    for token in &told {
        assert!(token.token.logprob <= 0.0 && token.token.logprob.is_finite(), "{token:?}");
        assert_eq!(token.top.len(), 5, "{token:?}");
        assert!(token.top.is_sorted_by(|a, b| a.logprob >= b.logprob), "{token:?}");
        assert_eq!(token.top[0], token.token, "the likeliest was taken");
        let sum: f32 = token.top.iter().map(|other| other.logprob.exp()).sum();
        assert!(sum <= 1.0001, "{token:?}");
    }
    let bytes: Vec<u8> = told.iter().flat_map(|token| token.token.bytes.clone()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), answer.text(0));

    task.top_logprobs = Some(0);
    let answer = node.run(task).await.answer().await;
    let bare = |event: &RunEventBody| match event {
        RunEventBody::Delta { logprobs, .. } => logprobs.iter().all(|token| token.top.is_empty()),
        _ => true,
    };
    assert!(answer.events.iter().all(bare), "{answer:?}");
    node.stop().await;
}

#[tokio::test]
async fn what_is_said_fits_its_schema_however_wild_it_is() {
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
    let node = Inside::start(|_| ()).await;
    let mut seen = BTreeSet::new();
    for seed in 0..12 {
        let mut task = said("Give me JSON with name and age for Ada.", wild(seed));
        task.response_format = ResponseFormat::JsonSchema(schema.clone());
        let answer = node.run(task).await.answer().await;
        let text = answer.text(0);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        assert_eq!(answer.finish_reason, FinishReason::Stop, "{text:?}");
        assert_fits(&value);
        seen.insert(text);
    }
    assert!(seen.len() > 6, "the seeds make no difference: {seen:?}");
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
async fn json_is_an_object_of_any_kind() {
    let node = Inside::start(|_| ()).await;
    let mut ended = 0;
    for (seed, question) in
        [(0, "Give me JSON with name and age for Ada."), (1, "Hello!"), (2, "Count to ten.")]
    {
        for sampling in [Sampling { max_tokens: Some(600), ..greedy() }, wild(seed)] {
            let mut task = said(question, sampling);
            task.response_format = ResponseFormat::JsonObject;
            let answer = node.run(task).await.answer().await;
            let text = answer.text(0);
            assert!(text.starts_with('{'), "{text:?}");
            match serde_json::from_str::<Value>(&text) {
                Ok(value) => assert!(value.is_object(), "{text:?}"),
                // What a wild answer says may have no end, but it is right as far as it goes.
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

/// With tools to tell the weather and to play a song.
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

/// Every call names a tool that is on offer, with arguments that it takes.
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
async fn a_tool_is_called_when_it_must_be() {
    let node = Inside::start(|_| ()).await;
    let asked = said("What is the weather in Paris?", greedy());
    let answer = node.run(with_tools(asked.clone(), ToolChoice::Required)).await.answer().await;
    assert_eq!(assert_calls(&answer), ["get_weather"]);
    assert!(answer.calls()[0].1.contains("Paris"), "{answer:?}");
    assert_eq!(answer.text(0).trim(), "");

    for seed in 0..4 {
        let wild = said("Hello!", wild(seed));
        let answer = node.run(with_tools(wild.clone(), ToolChoice::Required)).await.answer().await;
        assert_calls(&answer);
        let named = ToolChoice::Named("play_song".to_owned());
        let answer = node.run(with_tools(wild, named)).await.answer().await;
        assert!(assert_calls(&answer).iter().all(|name| name == "play_song"), "{answer:?}");
    }
    let answer = node.run(with_tools(asked, ToolChoice::None)).await.answer().await;
    assert!(answer.calls().is_empty() && !answer.text(0).is_empty(), "{answer:?}");
    node.stop().await;
}
