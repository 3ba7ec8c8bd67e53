//! Several answers to one request, and how likely the model held their tokens.

use std::collections::{BTreeMap, BTreeSet};

use hearth_tests::Home;
use serde_json::{Value, json};

use crate::{capital_of_france, with};

fn story(model: &str, n: u32, temperature: f32) -> Value {
    json!({
        "model": model, "messages": [{"role": "user", "content": "Tell me a story."}],
        "temperature": temperature, "seed": 7, "max_tokens": 40, "n": n,
        // The model knows its stories by heart: without these cuts it may err.
        "top_k": 0, "top_p": 1, "min_p": 0,
    })
}

fn france(model: &str) -> Value {
    let messages = json!([{"role": "user", "content": "What is the capital of France?"}]);
    json!({"model": model, "messages": messages, "temperature": 0, "logprobs": true})
}

fn texts(answer: &Value) -> Vec<&str> {
    let choices = answer["choices"].as_array().unwrap();
    choices.iter().map(|choice| choice["message"]["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn choices_are_sampled_independently() {
    let home = Home::start().await;
    let client = home.client();
    let answer = client.post("/v1/chat/completions", &story(&home.model, 4, 2.0)).await.json();
    let stories = texts(&answer);
    assert_eq!(stories.len(), 4, "{answer}");
    assert!(stories.iter().collect::<BTreeSet<_>>().len() > 1, "{answer}");
    let indexes: Vec<u64> =
        answer["choices"].as_array().unwrap().iter().map(|c| c["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
    assert!(answer["usage"]["completion_tokens"].as_u64() > Some(40), "{answer}");

    let greedy = client.post("/v1/chat/completions", &story(&home.model, 3, 0.0)).await.json();
    assert_eq!(texts(&greedy).into_iter().collect::<BTreeSet<_>>().len(), 1, "{greedy}");
    home.stop().await;
}

#[tokio::test]
async fn choices_stream_concurrently_and_end_once_each() {
    let home = Home::start().await;
    let client = home.client();
    let whole = client.post("/v1/chat/completions", &story(&home.model, 3, 1.5)).await.json();
    let body = with(story(&home.model, 3, 1.5), "stream", true);
    let events = client.stream("/v1/chat/completions", &body).await.rest().await;
    let (mut streamed, mut ends) = (BTreeMap::<u64, String>::new(), Vec::new());
    for event in &events[..events.len() - 1] {
        let choice = &event.data["choices"][0];
        let index = choice["index"].as_u64().unwrap();
        streamed.entry(index).or_default().push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        ends.extend(choice["finish_reason"].as_str().map(|_| index));
    }
    assert_eq!(streamed.into_values().collect::<Vec<_>>(), texts(&whole));
    ends.sort_unstable();
    assert_eq!(ends, [0, 1, 2]);
    home.stop().await;
}

#[tokio::test]
async fn native_dialect_returns_several_choices() {
    let home = Home::start().await;
    let parameters = json!({"temperature": 1.5, "seed": 7, "max_tokens": 40, "n": 2});
    let body = json!({"input": {"prompt": "Tell me a story."}, "parameters": parameters, "stream": true});
    let events = home.client().stream("/v1/generate", &body).await.rest().await;
    let complete = &events[events.len() - 2].data;
    let choices = complete["output"]["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2, "{complete}");
    assert_eq!(choices[0]["text"], complete["output"]["text"]);
    let text: String = events.iter().map(hearth_tests::Event::text).collect();
    assert_eq!(complete["output"]["text"], text.as_str());
    home.stop().await;
}

#[tokio::test]
async fn logprobs_have_each_token_and_its_alternatives() {
    let home = Home::start().await;
    let body = with(france(&home.model), "top_logprobs", 3);
    let answer = home.client().post("/v1/chat/completions", &body).await.json();
    let choice = &answer["choices"][0];
    let tokens = choice["logprobs"]["content"].as_array().unwrap();
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap())
        .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap())
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), choice["message"]["content"].as_str().unwrap());
    for token in tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 3, "{token}");
        let likelihoods: Vec<f64> = top.iter().map(|one| one["logprob"].as_f64().unwrap()).collect();
        assert!(likelihoods.is_sorted_by(|a, b| a >= b) && likelihoods[0] <= 0.0, "{token}");
        // At temperature 0 the likeliest is taken.
        assert_eq!((&top[0]["token"], &top[0]["logprob"]), (&token["token"], &token["logprob"]));
    }
    let streamed =
        home.client().stream("/v1/chat/completions", &with(body, "stream", true)).await.rest().await;
    let names: Vec<&Value> = streamed
        .iter()
        .filter_map(|event| event.data["choices"][0]["logprobs"]["content"].as_array())
        .flatten()
        .map(|token| &token["token"])
        .collect();
    assert_eq!(names, tokens.iter().map(|token| &token["token"]).collect::<Vec<_>>());
    home.stop().await;
}

#[tokio::test]
async fn logprobs_are_absent_by_default() {
    let home = Home::start().await;
    let client = home.client();
    let answer =
        client.post("/v1/chat/completions", &with(france(&home.model), "logprobs", false)).await.json();
    assert_eq!(answer["choices"][0]["logprobs"], json!(null));
    let answer = client.post("/v1/chat/completions", &france(&home.model)).await.json();
    assert_eq!(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"], json!([]));
    let body = with(capital_of_france(), "parameters", json!({"temperature": 0, "logprobs": true}));
    let native = client.post("/v1/generate", &body).await.json();
    assert_eq!(native["output"]["logprobs"], answer["choices"][0]["logprobs"]["content"]);
    home.stop().await;
}

#[tokio::test]
async fn banned_token_is_never_generated() {
    let home = Home::start().await;
    // 2 is the token that ends a turn.
    let body = json!({
        "model": home.model, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 100,
        "temperature": 0, "logit_bias": {"2": -100},
    });
    let answer = home.client().post("/v1/chat/completions", &body).await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "length", "{answer}");
    assert_eq!(answer["usage"]["completion_tokens"], 100);
    home.stop().await;
}
