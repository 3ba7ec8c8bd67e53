//! The prefix cache: tokens that were computed once aren't computed again.

use hearth_tests::{Client, Home, Setup};
use serde_json::{Value, json};

use crate::metric;

/// A conversation's next answer at temperature 0, and its numbers of prompt, cached and completion tokens.
async fn turn(client: &Client, messages: &Value) -> (String, u64, u64, u64) {
    let body = json!({"input": {"messages": messages}, "parameters": {"temperature": 0, "max_tokens": 60}});
    let answer = client.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let count = |name: &str| answer["usage"][name].as_u64().unwrap();
    let text = answer["output"]["text"].as_str().unwrap().to_owned();
    (text, count("prompt_tokens"), count("cached_tokens"), count("completion_tokens"))
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[tokio::test]
async fn repeated_prompt_is_cached() {
    let home = Home::start().await;
    let client = home.client();
    let messages = json!([user("Why is the sky blue?")]);
    let (first, prompt, cached, _) = turn(&client, &messages).await;
    assert_eq!(cached, 0);
    let (second, again, cached, _) = turn(&client, &messages).await;
    assert_eq!((second, again), (first, prompt), "the cache changes the answer");
    // The last token is always computed, for its logits.
    assert_eq!(cached, prompt - 1);

    let body = json!({"model": home.model, "messages": messages, "temperature": 0});
    let chat = client.post("/v1/chat/completions", &body).await.json();
    assert_eq!(chat["usage"]["prompt_tokens_details"]["cached_tokens"], prompt - 1, "{chat}");
    home.stop().await;
}

#[tokio::test]
async fn next_turn_computes_only_new_tokens() {
    let home = Home::start().await;
    let client = home.client();
    let mut messages = vec![json!({"role": "system", "content": "Be kind. ".repeat(20)})];
    let mut before = 0;
    for question in ["My name is Ada.", "Tell me a short story about a robot.", "What is 3 plus 4?"] {
        messages.push(user(question));
        let (answer, prompt, cached, completion) = turn(&client, &json!(messages)).await;
        // All of the turn before, except tokens at its end.
        assert!(cached + 4 >= before && cached < prompt, "{cached} of {prompt}, and {before} before");
        messages.push(json!({"role": "assistant", "content": answer}));
        before = prompt + completion;
    }
    home.stop().await;
}

#[tokio::test]
async fn conversations_share_their_instructions() {
    let home = Home::start().await;
    let client = home.client();
    let system = json!({"role": "system", "content": "You are a helpful assistant. ".repeat(30)});
    let (_, instructions, _, _) = turn(&client, &json!([system])).await;
    let mut lengths = Vec::new();
    for question in ["What is the capital of Japan?", "What is the capital of France?", "Count to ten."] {
        let (_, prompt, cached, _) = turn(&client, &json!([system, user(question)])).await;
        assert!(cached + 8 >= instructions && cached < prompt, "{cached} of {prompt}, {instructions} shared");
        lengths.push((question, prompt));
    }
    // No conversation has evicted another.
    for (question, prompt) in lengths {
        let (_, _, cached, _) = turn(&client, &json!([system, user(question)])).await;
        assert_eq!(cached, prompt - 1, "{question}");
    }
    home.stop().await;
}

#[tokio::test]
async fn concurrent_equal_prompts_are_computed_once() {
    let home = Home::start().await;
    let client = home.client();
    let system = json!({"role": "system", "content": "You are a helpful assistant. ".repeat(40)});
    let messages = json!([system, user("What is the capital of France?")]);
    let answers = futures::future::join_all((0..4).map(|_| turn(&client, &messages))).await;
    let computed: u64 = answers.iter().map(|(_, prompt, cached, _)| prompt - cached).sum();
    let prompt = answers[0].1;
    assert!(computed < 2 * prompt, "{computed} tokens were computed for a prompt of {prompt}");
    for (answer, ..) in answers {
        assert!(answer.contains("Paris"), "{answer:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn more_conversations_than_slots_stay_cached() {
    let home = Setup::new().settings("[node]\nslots = 1").start().await;
    let client = home.client();
    let questions = ["Why is the sky blue?", "What is the capital of Japan?", "Tell me a short story."];
    let mut conversations = Vec::new();
    for question in questions {
        let messages = vec![user(question)];
        let (answer, prompt, _, completion) = turn(&client, &json!(messages)).await;
        conversations.push((messages, answer, prompt + completion));
    }
    for (mut messages, answer, before) in conversations {
        messages.push(json!({"role": "assistant", "content": answer}));
        messages.push(user("Thank you!"));
        let (_, prompt, cached, _) = turn(&client, &json!(messages)).await;
        assert!(cached + 4 >= before && cached < prompt, "{cached} of {prompt}, and {before} before");
    }
    assert!(metric(&client, "hearth_node_saved_prefix_bytes").await > 0.0);
    home.stop().await;
}

#[tokio::test]
async fn prefix_cache_on_disk_survives_a_restart() {
    let settings = "[node]\nslots = 1\nprefix_cache_on_disk = true";
    let mut home = Setup::new().settings(settings).start().await;
    let questions = ["Why is the sky blue?", "What is the capital of Japan?"];
    let mut prompts = Vec::new();
    for question in questions {
        let (answer, prompt, ..) = turn(&home.client(), &json!([user(question)])).await;
        prompts.push((question, answer, prompt));
    }
    let folder = home.data().join("models/.prefixes");
    home = home.restart().await;
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "loaded prefixes are still on disk");
    for (question, before, tokens) in prompts {
        let (answer, prompt, cached, _) = turn(&home.client(), &json!([user(question)])).await;
        assert_eq!((answer, prompt, cached), (before, tokens, tokens - 1), "{question}");
    }
    home.stop().await;
}

#[tokio::test]
async fn full_prefix_cache_evicts_and_answers_stay_correct() {
    let settings = "[node]\nslots = 2\ncontext_length = 256\nprefix_cache = '200KB'";
    let home = Setup::new().settings(settings).start().await;
    let client = home.client();
    let capitals = [
        ("France", "Paris"),
        ("Japan", "Tokyo"),
        ("Italy", "Rome"),
        ("Spain", "Madrid"),
        ("Germany", "Berlin"),
        ("Greece", "Athens"),
    ];
    // Prompts without a common prefix, together far larger than the cache.
    let ask = async |round: usize, (country, capital): (&str, &str)| {
        let system = format!("{country} {round} is the place to be. ").repeat(8);
        let system = json!({"role": "system", "content": system});
        let messages = json!([system, user(&format!("What is the capital of {country}?"))]);
        let (answer, prompt, _, _) = turn(&client, &messages).await;
        assert!(prompt > 60, "{prompt}");
        assert!(answer.contains(capital), "{country}: {answer:?}");
    };
    for round in 0..4 {
        let pairs = capitals.chunks(2).map(|pair| async {
            tokio::join!(ask(round, pair[0]), ask(round, pair[1]));
        });
        for pair in pairs {
            pair.await;
        }
    }
    assert!(metric(&client, "hearth_node_prefixes_evicted_total").await > 0.0, "nothing was evicted");
    home.stop().await;
}
