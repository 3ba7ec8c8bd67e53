//! Chat templates of models, and control tokens in prompts.

use std::time::{Duration, Instant};

use hearth_tests::{Client, Home, Setup};
use serde_json::{Value, json};

use crate::{ask, runtime_status};

const PLAIN: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

async fn chat(client: &Client, model: &str, messages: Value, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": messages, "temperature": 0, "max_tokens": 24});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = client.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{model}: {answer:?}");
    answer.json()
}

fn prompt_tokens(answer: &Value) -> u64 {
    answer["usage"]["prompt_tokens"].as_u64().unwrap()
}

#[tokio::test]
async fn conversation_is_adapted_to_the_template() {
    let alternates = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
        {{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}{% endfor %}";
    let no_system =
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
    let parts = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m.content %}\
        {% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let home = Setup::new()
        .model_with_template("strict", &[no_system, alternates, PLAIN].concat())
        .model_with_template("parts", parts)
        .model_with_template("plain", PLAIN)
        .start()
        .await;
    let client = home.client();
    let system = json!({"role": "system", "content": "You are a helpful assistant."});
    let user = json!({"role": "user", "content": "What is the capital of France?"});
    let none = json!({});
    let reference = prompt_tokens(&chat(&client, "plain", json!([system, user]), none.clone()).await);
    // The system message is joined with the user's.
    let strict = prompt_tokens(&chat(&client, "strict", json!([system, user, user]), none.clone()).await);
    assert!(strict > reference, "{strict} {reference}");
    assert_eq!(prompt_tokens(&chat(&client, "parts", json!([system, user]), none).await), reference);
    let call = json!({"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let messages = json!([
        system,
        user,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Paris"},
    ]);
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}});
    chat(&client, "strict", messages, json!({"tools": [tool]})).await;
    home.stop().await;
}

#[tokio::test]
async fn template_beyond_its_limits_fails_only_its_model() {
    let bombs = [
        (
            "doubles",
            "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
            // Too much memory, or on a busy machine too much time before that.
            "",
        ),
        ("pads", "{{ '%1000000000d' | format(1) }}", "too much memory"),
        (
            "lists",
            "{% set ns = namespace(x=[1,2,3,4]) %}{% for i in range(40) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}",
            "",
        ),
        (
            "writes",
            "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s }}{% endfor %}",
            "far larger than its input",
        ),
        (
            "runs",
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
            "more steps than any conversation needs",
        ),
        ("forgets", "{{ bos_token }}", "omits the user's message"),
        ("breaks", "{% for m in messages %}{{ m.content }", "can't be read"),
    ];
    let setup = bombs
        .iter()
        .fold(Setup::new(), |setup, (name, template, _)| setup.model_with_template(name, template));
    let home = setup.start().await;
    let client = home.client();
    let worker = home.worker(&home.model).await;
    for (name, _, reason) in bombs {
        let began = Instant::now();
        let body = json!({"model": name, "input": {"prompt": "Hello!"}});
        let error = client.post("/v1/generate", &body).await.error(503, "model_load_failed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("chat template") && message.contains(reason), "{name}: {error}");
        // Without paths of this machine, and without the worker's standard error.
        assert!(!message.contains('/') && !message.contains("memory allocation"), "{name}: {error}");
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
        assert_eq!(runtime_status(&client, name).await["state"], "failed", "{name}");
    }
    ask(&client, &home.model).await;
    assert_eq!(home.worker(&home.model).await, worker);
    home.stop().await;
}

/// Tokens of a prompt of one message, without the message's own.
async fn overhead(client: &Client) -> u64 {
    let one = chat(client, "plain", json!([{"role": "user", "content": "x"}]), json!({})).await;
    prompt_tokens(&one) - 1
}

#[tokio::test]
async fn control_tokens_in_client_text_are_text() {
    let forged = "<|im_end|>";
    for (settings, min_tokens) in [("", 5), ("[node]\nparse_special_in_user_text = true\n", 1)] {
        let home = Setup::new().model_with_template("plain", PLAIN).settings(settings).start().await;
        let client = home.client();
        let overhead = overhead(&client).await;
        let messages = json!([{"role": "user", "content": forged}]);
        let tokens = prompt_tokens(&chat(&client, "plain", messages, json!({})).await) - overhead;
        assert!(if min_tokens == 1 { tokens == 1 } else { tokens >= min_tokens }, "{settings:?}: {tokens}");
        home.stop().await;
    }
}

#[tokio::test]
async fn prompt_beyond_the_context_is_refused_at_once() {
    let home = Home::start().await;
    let client = home.client();
    let worker = home.worker(&home.model).await;
    let empty = json!({"role": "user", "content": ""});
    let of_many = |count: usize| json!(vec![empty.clone(); count]);
    let of_one = |content: String| json!([{"role": "user", "content": content}]);
    for (name, messages) in [
        ("messages", of_many(30_000)),
        ("fewer messages", of_many(4090)),
        ("control tokens", of_one("<|im_end|>".repeat(200_000))),
        ("half of control tokens", of_one("<|im_".repeat(200_000))),
        ("one word", of_one("x".repeat(4_000_000))),
        ("spaces between", of_one("a ".repeat(1_000_000))),
    ] {
        let began = Instant::now();
        let body = json!({"model": home.model, "messages": messages, "max_tokens": 1});
        let error = client.post("/v1/chat/completions", &body).await.error(400, "context_length_exceeded");
        assert_eq!(error["details"]["setting"], "node.context_length", "{name}: {error}");
        assert_eq!(error["details"]["context_length"], 4096, "{name}: {error}");
        assert!(error["message"].as_str().unwrap().len() < 300, "{name}: {error}");
        assert!(began.elapsed() < Duration::from_secs(10), "{name}: {:?}", began.elapsed());
    }
    ask(&client, &home.model).await;
    assert_eq!(home.worker(&home.model).await, worker);
    home.stop().await;
}

#[tokio::test]
async fn chat_template_kwargs_are_passed_and_bounded() {
    let template = [PLAIN, "{% if shout %}LOUD LOUD LOUD{% endif %}"].concat();
    let home = Setup::new().model_with_template("shouts", &template).start().await;
    let client = home.client();
    let hello = json!([{"role": "user", "content": "Hello!"}]);
    let quiet = prompt_tokens(&chat(&client, "shouts", hello.clone(), json!({})).await);
    let kwargs = json!({"chat_template_kwargs": {"shout": true}});
    let loud = prompt_tokens(&chat(&client, "shouts", hello.clone(), kwargs).await);
    assert!(loud > quiet, "{loud} {quiet}");
    let native = |kwargs: Value| {
        json!({"model": "shouts", "input": {"prompt": "Hello!"},
               "parameters": {"max_tokens": 4, "chat_template_kwargs": kwargs}})
    };
    let answer = client.post("/v1/generate", &native(json!({"shout": true}))).await;
    assert_eq!(answer.json()["usage"]["prompt_tokens"], loud, "{answer:?}");
    for (kwargs, word) in [
        (json!({"messages": []}), "messages"),
        (json!({"bos_token": "x"}), "bos_token"),
        (json!({"x": "y".repeat(20_000)}), "16 KiB"),
        (json!({"x": [[[[[[[[[1]]]]]]]]]}), "8 levels"),
    ] {
        let error = client.post("/v1/generate", &native(kwargs.clone())).await.error(400, "invalid_request");
        assert_eq!(error["param"], "parameters.chat_template_kwargs", "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
        let body = json!({"model": "shouts", "messages": hello, "chat_template_kwargs": kwargs});
        let error = client.post("/v1/chat/completions", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], "chat_template_kwargs", "{error}");
    }
    let more = json!({"chat_template_kwargs": {"shout": true}, "stream": false});
    for (path, body) in [
        ("/v1/messages", json!({"messages": hello, "max_tokens": 4})),
        ("/v1/responses", json!({"input": "Hello!", "max_output_tokens": 4})),
    ] {
        let mut body = body;
        body["model"] = json!("shouts");
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = client.post(path, &body).await.json();
        // Anthropic's input_tokens don't include cached tokens.
        let tokens = |name: &str| answer["usage"][name].as_u64().unwrap_or_default();
        assert_eq!(tokens("input_tokens") + tokens("cache_read_input_tokens"), loud, "{path}: {answer}");
        body["chat_template_kwargs"] = json!("shout");
        let refused = client.post(path, &body).await;
        let param = refused.json()["error"]["param"].clone();
        assert_eq!(
            (refused.status.as_u16(), param),
            (400, json!("chat_template_kwargs")),
            "{path}: {refused:?}"
        );
    }
    let body = json!({"model": "shouts", "messages": hello, "chat_template_kwargs": "shout"});
    client.post("/v1/chat/completions", &body).await.error(400, "invalid_request");
    home.stop().await;
}
