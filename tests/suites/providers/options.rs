//! Hearth's own options of a request in every dialect: each is obeyed, or refused by name, and no vendor gets one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_tests::{Answer, Client, Home, Reply, Upstream};
use serde_json::{Value, json};

use crate::{
    ANSWER_TEXT, answer, chunk, failure,
    images::{PNG, drawn},
    with_node,
};

/// The options, each with a value that no dialect accepts.
const OPTIONS: [(&str, &str); 9] = [
    ("on_disconnect", "stay"),
    ("while_loading", "run"),
    ("priority", "urgent"),
    ("fallback", "another"),
    ("resume", "perhaps"),
    ("selection_mode", "cheapest"),
    ("prefer", "cloud"),
    ("deadline", "soon"),
    ("max_price", "little"),
];

/// Output of a dialect's route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Makes {
    Text,
    Vectors,
    Images,
}

/// A dialect's route.
struct Dialect {
    path: &'static str,
    makes: Makes,
    /// Builds a request to a model.
    request: fn(&str) -> Value,
}

const DIALECTS: [Dialect; 15] = [
    Dialect {
        path: "/v1/generate",
        makes: Makes::Text,
        request: |model| json!({"model": model, "input": {"prompt": "Hi"}}),
    },
    Dialect { path: "/v1/chat/completions", makes: Makes::Text, request: chat },
    Dialect {
        path: "/v1/completions",
        makes: Makes::Text,
        request: |model| json!({"model": model, "prompt": "Hi"}),
    },
    Dialect {
        path: "/v1/responses",
        makes: Makes::Text,
        request: |model| json!({"model": model, "input": "Hi"}),
    },
    Dialect {
        path: "/v1/messages",
        makes: Makes::Text,
        request: |model| {
            let mut body = chat(model);
            // A smaller limit would make the gateway ask for an answer in one piece.
            body["max_tokens"] = json!(5000);
            body
        },
    },
    Dialect { path: "/api/chat", makes: Makes::Text, request: |model| unstreamed(chat(model)) },
    Dialect {
        path: "/api/generate",
        makes: Makes::Text,
        request: |model| unstreamed(json!({"model": model, "prompt": "Hi"})),
    },
    Dialect {
        path: "/v1beta/models/{model}:generateContent",
        makes: Makes::Text,
        request: |_| json!({"contents": [{"parts": [{"text": "Hi"}]}]}),
    },
    Dialect {
        path: "/v1/embeddings",
        makes: Makes::Vectors,
        request: |model| json!({"model": model, "input": "Hi"}),
    },
    Dialect {
        path: "/api/embed",
        makes: Makes::Vectors,
        request: |model| json!({"model": model, "input": "Hi"}),
    },
    Dialect {
        path: "/api/embeddings",
        makes: Makes::Vectors,
        request: |model| json!({"model": model, "prompt": "Hi"}),
    },
    Dialect {
        path: "/v1beta/models/{model}:embedContent",
        makes: Makes::Vectors,
        request: |_| json!({"content": {"parts": [{"text": "Hi"}]}}),
    },
    Dialect {
        path: "/v1beta/models/{model}:batchEmbedContents",
        makes: Makes::Vectors,
        request: |_| json!({"requests": [{"content": {"parts": [{"text": "Hi"}]}}]}),
    },
    Dialect {
        path: "/v1/images/generations",
        makes: Makes::Images,
        request: |model| json!({"model": model, "prompt": "a fox"}),
    },
    Dialect {
        path: "/v1/images/edits",
        makes: Makes::Images,
        request: |model| json!({"model": model, "prompt": "a fox"}),
    },
];

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

fn unstreamed(mut body: Value) -> Value {
    body["stream"] = json!(false);
    body
}

impl Dialect {
    /// The name of the model at a provider. Each text route has its own model, since failures open a model's circuit.
    fn model(&self, provider: &str) -> String {
        match self.makes {
            Makes::Text => {
                format!("{provider}:big{}", self.path.replace(|c: char| !c.is_alphanumeric(), "-"))
            }
            Makes::Vectors => format!("{provider}:text-embedding-big"),
            Makes::Images => format!("{provider}:gpt-image-1"),
        }
    }

    /// The vendor's answer.
    fn reply(&self) -> Reply {
        let usage = json!({"prompt_tokens": 1, "total_tokens": 1});
        let data = json!([{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}]);
        match self.makes {
            Makes::Text => answer(),
            Makes::Vectors => Reply::json(200, &json!({"object": "list", "data": data, "usage": usage})),
            Makes::Images => drawn(1),
        }
    }

    /// Sends a request to `rig0` with these options.
    async fn send(&self, client: &Client, options: &Value) -> Answer {
        let model = self.model("rig0");
        let mut body = (self.request)(&model);
        for (name, value) in options.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        if self.path != "/v1/images/edits" {
            return client.post(&self.path.replace("{model}", &model), &body).await;
        }
        let request = client.request(reqwest::Method::POST, self.path);
        client.send(request.header("content-type", "multipart/form-data; boundary=x").body(form(&body))).await
    }

    async fn is_refused(&self, client: &Client, options: &Value, status: u16, param: &str) {
        let answer = self.send(client, options).await;
        assert_eq!(answer.status, status, "{} {options}: {answer:?}", self.path);
        let body = answer.json();
        let places = ["/param", "/error/param", "/error/details/0/metadata/param"];
        let at = places.iter().find_map(|place| body.pointer(place)?.as_str());
        assert_eq!(at, Some(param), "{} {options}: {body}", self.path);
    }
}

/// The fields of `body` and an image, as a form.
fn form(body: &Value) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let part = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        form.extend(part.into_bytes());
    }
    form.extend(b"--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n");
    form.extend(STANDARD.decode(PNG).unwrap_or_default());
    form.extend(b"\r\n--x--\r\n");
    form
}

async fn home() -> (Upstream, Upstream, Home) {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let home = with_node(&[&first, &second], "").await;
    (first, second, home)
}

#[tokio::test]
async fn invalid_value_is_refused_with_the_options_name() {
    let (first, second, home) = home().await;
    let client = home.client();
    for dialect in &DIALECTS {
        for (option, value) in OPTIONS {
            dialect.is_refused(&client, &json!({option: value}), 400, option).await;
        }
        dialect.is_refused(&client, &json!({"fallback": true}), 400, "fallback").await;
    }
    assert!(first.received().is_empty() && second.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn fallback_names_the_next_model_and_no_option_reaches_a_vendor() {
    let (first, second, home) = home().await;
    let client = home.client();
    for dialect in &DIALECTS {
        first.reply(failure(404, "model_not_found"));
        second.reply(dialect.reply());
        let options = json!({
            "on_disconnect": "cancel", "while_loading": "default", "priority": "high", "resume": false,
            "selection_mode": "commercial_only", "fallback": {"models": [dialect.model("rig1")]},
        });
        let answer = dialect.send(&client, &options).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", dialect.path);
        assert_eq!(answer.header("x-hearth-provider"), "rig1", "{}: {answer:?}", dialect.path);
        for vendor in [&first, &second] {
            let sent = vendor.received().pop().unwrap();
            let sent = String::from_utf8_lossy(&sent.raw).into_owned();
            for (option, _) in OPTIONS {
                assert!(!sent.contains(option), "{} sent {option}: {sent}", dialect.path);
            }
        }
    }
    home.stop().await;
}

#[tokio::test]
async fn fallback_false_returns_the_first_models_error() {
    let (first, second, home) = home().await;
    let client = home.client();
    for dialect in &DIALECTS {
        first.reply(failure(404, "model_not_found"));
        let answer = dialect.send(&client, &json!({"fallback": false})).await;
        assert!(!answer.status.is_success(), "{}: {answer:?}", dialect.path);
    }
    assert_eq!((first.received().len(), second.received().len()), (DIALECTS.len(), 0));
    home.stop().await;
}

#[tokio::test]
async fn selection_mode_bounds_the_choice() {
    let (first, second, home) = home().await;
    let client = home.client();
    for dialect in &DIALECTS {
        let free = json!({"selection_mode": "free_only"});
        dialect.is_refused(&client, &free, 503, "selection_mode").await;
    }
    assert!(first.received().is_empty() && second.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn resume_continues_a_text_and_is_refused_elsewhere() {
    let (first, second, home) = home().await;
    let client = home.client();
    for dialect in &DIALECTS {
        let options = json!({"resume": true, "fallback": {"models": [dialect.model("rig1")]}});
        if dialect.makes != Makes::Text {
            dialect.is_refused(&client, &options, 400, "resume").await;
            continue;
        }
        first.reply(Reply::begun(&[chunk(json!({"content": "Once upon "}), None)]).then_break());
        second.reply(answer());
        let answer = dialect.send(&client, &options).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", dialect.path);
        let body = answer.json().to_string();
        assert!(body.contains(&format!("Once upon {ANSWER_TEXT}")), "{}: {body}", dialect.path);
    }
    home.stop().await;
}

#[tokio::test]
async fn on_disconnect_continue_is_refused_for_vectors() {
    let (first, _, home) = home().await;
    let client = home.client();
    for dialect in &DIALECTS {
        let options = json!({"on_disconnect": "continue"});
        if dialect.makes == Makes::Vectors {
            dialect.is_refused(&client, &options, 400, "on_disconnect").await;
            continue;
        }
        first.reply(dialect.reply());
        let answer = dialect.send(&client, &options).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", dialect.path);
    }
    home.stop().await;
}

#[tokio::test]
async fn options_of_gemini_may_be_camel_case() {
    let (first, _, home) = home().await;
    let client = home.client();
    let gemini = DIALECTS.iter().filter(|dialect| dialect.path.starts_with("/v1beta"));
    for dialect in gemini {
        let free = json!({"selectionMode": "free_only"});
        dialect.is_refused(&client, &free, 503, "selection_mode").await;
        dialect.is_refused(&client, &json!({"onDisconnect": "stay"}), 400, "onDisconnect").await;
    }
    assert!(first.received().is_empty());
    home.stop().await;
}

#[tokio::test]
async fn misspelt_option_is_named_in_a_header_where_unknown_fields_pass() {
    const PATHS: [&str; 6] = [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1beta/models/{model}:generateContent",
        "/v1/embeddings",
        "/v1/images/generations",
    ];
    let (first, _, home) = home().await;
    let client = home.client();
    for dialect in DIALECTS.iter().filter(|dialect| PATHS.contains(&dialect.path)) {
        for (options, expected) in [
            (json!({"deadlin": 5}), "`deadlin` is an unknown field: did you mean `deadline`?"),
            (json!({"x_of_the_vendor": 5}), ""),
        ] {
            first.reply(dialect.reply());
            let answer = dialect.send(&client, &options).await;
            assert_eq!(answer.status, 200, "{}: {answer:?}", dialect.path);
            assert_eq!(answer.header("x-hearth-warning"), expected, "{} {options}", dialect.path);
        }
    }
    home.stop().await;
}
