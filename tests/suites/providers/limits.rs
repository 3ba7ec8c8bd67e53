//! Limits, budgets and usage: refusals and headers in each dialect, races, and what is billed of a run that is cut off.

use futures::future::join_all;
use hearth_tests::{Answer, Client, Home, Reply, Upstream, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{chunk, with};

/// A price of a tenth of a cent for a token.
const PRICE: &str = "[models.'rig0:big']\nprice = {input = 1000, output = 1000}\n";
/// Tokens of the request below: six of the prompt, and four of the answer.
const TOKENS: u64 = 10;

/// A request whose worst case is what its answer uses.
fn request() -> Value {
    json!({"model": "rig0:big", "max_tokens": 4, "messages": [{"role": "user", "content": "Say hi."}]})
}

fn answer() -> Reply {
    Reply::chunks(&[
        chunk(json!({"role": "assistant", "content": "Hi."}), None),
        chunk(json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 6, "completion_tokens": 4}}),
    ])
}

/// The path of the limits of the organisation.
async fn organisation_limits(client: &Client) -> String {
    let organisations = client.get("/v1/organisations").await.json();
    let id = organisations["organisations"][0]["id"].as_str().unwrap_or_else(|| panic!("{organisations}"));
    format!("/v1/limits/organisation/{id}")
}

async fn set_limits(client: &Client, limits: Value) -> String {
    let path = organisation_limits(client).await;
    let answer = client.send(client.request(Method::PUT, &path).json(&limits)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    path
}

async fn budget(client: &Client, path: &str) -> Value {
    client.get(path).await.json()["budgets"][0].clone()
}

async fn home(upstream: &Upstream) -> Home {
    with(&[upstream], PRICE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_requests_the_budget_serves_exactly_ten() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let path = set_limits(&client, json!({"dollars_per_day": "0.109", "tokens_per_month": 1_000_000})).await;
    (0..200).for_each(|_| upstream.reply(answer()));
    let body = request();
    let answers = join_all((0..200).map(|_| client.post("/v1/chat/completions", &body))).await;
    let (served, refused): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(served.len(), 10);
    for answer in &refused {
        let error = answer.error(429, "quota_exceeded");
        assert_eq!(error["details"]["resource"], "dollars", "{error}");
        assert_eq!(error["details"]["subject"], "organisation");
        assert_eq!(error["retryable"], false);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() <= 24 * 3600);
    }
    assert_eq!(upstream.received().len(), 10);
    // All is settled: nothing is reserved, and the sums of usage are the same.
    let day = budget(&client, &path).await;
    assert_eq!(day["dollars_spent"], "0.1", "{day}");
    assert_eq!((&day["tokens_spent"], &day["tokens_reserved"]), (&json!(10 * TOKENS), &json!(0)));
    let usage = client.get("/v1/usage?by=model,provider,user,token,team,day&of=organisation").await.json();
    assert_eq!(
        (&usage["total"]["cost"], &usage["total"]["requests"]),
        (&json!("0.1"), &json!(10)),
        "{usage}"
    );
    assert_eq!(usage["data"].as_array().unwrap().len(), 1, "{usage}");
    let row = &usage["data"][0];
    assert_eq!((&row["model"], &row["provider"], &row["team"]), (&json!("big"), &json!("rig0"), &json!("")));
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(60), &json!(40)));
    // Each threshold is reported once, however many runs have passed it.
    let metrics = client.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for percent in ["50", "80", "100"] {
        let line = format!("hearth_budget_events_total{{percent=\"{percent}\"}} 1");
        assert!(metrics.lines().any(|one| one == line), "{line} is missing:\n{metrics}");
    }
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_share_a_budget_for_ten_are_served_exactly_ten_times() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    set_limits(&client, json!({"tokens_per_day": 10 * TOKENS + 5})).await;
    let mut clients = Vec::new();
    for name in ["a", "b", "c", "d"] {
        // Each token has a set of budgets of its own.
        let body = json!({"name": name, "scopes": ["generate"], "limits": {"tokens_per_month": 1_000_000}});
        let token = client.post("/v1/users/tokens", &body).await.json();
        clients.push(client.with_token(token["token"].as_str()));
    }
    (0..80).for_each(|_| upstream.reply(answer()));
    let body = request();
    // One after the other, so that what one has reserved ahead must be given back for the next.
    for served in 0..10 {
        let answer = clients[served % clients.len()].post("/v1/chat/completions", &body).await;
        assert_eq!(answer.status, 200, "{served}: {:?}", answer.body);
    }
    let answers = clients.iter().map(|client| client.post("/v1/chat/completions", &body));
    for answer in join_all(answers).await {
        assert_eq!(answer.error(429, "quota_exceeded")["details"]["subject"], "organisation");
    }
    assert_eq!(upstream.received().len(), 10);
    home.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_while_a_budget_is_reserved_lock_none_of_it() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    // Each request enlarges the reservation: of so small a budget little is reserved ahead.
    let path = set_limits(&client, json!({"tokens_per_day": 6 * TOKENS})).await;
    let body = request();
    for millis in 0..24 {
        let leaving = client.post("/v1/chat/completions", &body);
        let _left = tokio::time::timeout(std::time::Duration::from_millis(millis / 2), leaving).await;
    }
    let freed = async || {
        let budget = budget(&client, &path).await;
        (budget["tokens_reserved"] == 0).then_some(())
    };
    eventually("the end of the reservations of clients that have left", freed).await;
    home.stop().await;
}

/// A request of each generating dialect, and the headers of its limits.
fn requests() -> Vec<(&'static str, Value, &'static [&'static str])> {
    const NATIVE: &[&str] = &["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    const OPENAI: &[&str] = &[
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ];
    const ANTHROPIC: &[&str] = &[
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ];
    let messages = json!([{"role": "user", "content": "Say hi."}]);
    let (model, limit) = ("rig0:big", 4);
    vec![
        ("/v1/generate", json!({"model": model, "input": {"prompt": "Say hi."}}), NATIVE),
        ("/v1/chat/completions", json!({"model": model, "messages": messages, "max_tokens": limit}), OPENAI),
        (
            "/v1/chat/completions",
            json!({"model": model, "messages": messages, "max_tokens": limit, "stream": true}),
            OPENAI,
        ),
        ("/v1/completions", json!({"model": model, "prompt": "Say hi."}), OPENAI),
        ("/v1/responses", json!({"model": model, "input": "Say hi."}), OPENAI),
        ("/v1/messages", json!({"model": model, "messages": messages, "max_tokens": limit}), ANTHROPIC),
        (
            "/v1beta/models/rig0:big:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}),
            NATIVE,
        ),
        ("/api/chat", json!({"model": model, "messages": messages, "stream": false}), NATIVE),
        ("/api/generate", json!({"model": model, "prompt": "Say hi.", "stream": false}), NATIVE),
    ]
}

#[tokio::test]
async fn each_dialect_has_the_state_of_the_limits_in_its_own_headers() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    upstream.reply(answer());
    let unlimited = client.post("/v1/chat/completions", &request()).await;
    assert!(!unlimited.headers.contains_key("x-ratelimit-limit-requests"), "{:?}", unlimited.headers);
    set_limits(&client, json!({"requests_per_hour": 1000, "tokens_per_minute": 1_000_000})).await;
    for (number, (path, body, names)) in requests().into_iter().enumerate() {
        upstream.reply(answer());
        let answer = client.post(path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        for name in names {
            assert!(answer.headers.contains_key(*name), "{path}: {name}: {:?}", answer.headers);
        }
        assert_eq!(answer.header(names[0]), "1000", "{path}");
        assert_eq!(answer.header(names[1]), (999 - number).to_string(), "{path}");
    }
    let count = json!({"model": "rig0:big", "messages": [{"role": "user", "content": "Say hi."}]});
    let counted = client.post("/v1/messages/count_tokens", &count).await;
    assert_eq!(counted.json(), json!({"input_tokens": 6}), "estimated, without a request to the provider");
    assert!(!counted.headers.contains_key("anthropic-ratelimit-requests-limit"), "{:?}", counted.headers);
    home.stop().await;
}

#[tokio::test]
async fn each_dialect_has_its_own_error_and_headers_above_a_limit() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let path = set_limits(&client, json!({"requests_per_hour": 1})).await;
    upstream.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &request()).await.status, 200);
    for (path, body, names) in requests() {
        let answer = client.post(path, &body).await;
        assert_eq!(answer.status, 429, "{path}");
        assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), ("1", "0"));
        assert_eq!((answer.header(names[0]), answer.header(names[1])), ("1", "0"), "{path}");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=3600).contains(&wait), "{path}: {wait}");
        assert_eq!(answer.header("x-should-retry"), "true");
        let error = answer.json();
        let code = match path {
            "/v1/messages" => {
                assert_eq!(error["error"]["type"], "rate_limit_error", "{error}");
                assert_eq!(error["type"], "error");
                continue;
            }
            path if path.starts_with("/v1beta") => {
                assert_eq!(error["error"]["status"], "RESOURCE_EXHAUSTED", "{error}");
                continue;
            }
            path if path.starts_with("/api/") => &error["code"],
            _ => &error["error"]["code"],
        };
        assert_eq!(code, "rate_limited", "{path}: {error}");
    }
    // Nothing of it came to the provider, and reading is no generation.
    assert_eq!(upstream.received().len(), 1);
    assert_eq!(client.get("/v1/models").await.status, 200);
    // Without the limit the next request is served at once.
    let removed = client.send(client.request(Method::DELETE, &path)).await;
    assert_eq!(removed.status, 204);
    client.get(&path).await.error(404, "not_found");
    upstream.reply(answer());
    assert_eq!(client.post("/v1/chat/completions", &request()).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn failed_run_releases_its_reservation_and_a_cut_one_is_billed() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let path = set_limits(&client, json!({"dollars_per_day": "1"})).await;
    upstream.reply(Reply::json(400, &json!({"error": {"message": "no"}})));
    assert_ne!(client.post("/v1/chat/completions", &request()).await.status, 200);
    let day = budget(&client, &path).await;
    assert_eq!((&day["dollars_spent"], &day["dollars_reserved"]), (&json!("0"), &json!("0")), "{day}");
    // Twelve bytes are three tokens; the provider that is cut off reports none.
    upstream.reply(
        Reply::begun(&[chunk(json!({"role": "assistant", "content": "Hello, hello"}), None)]).then_silence(),
    );
    let mut streamed = request();
    streamed["stream"] = json!(true);
    let mut stream = client.stream("/v1/chat/completions", &streamed).await;
    let id = stream.request_id.clone();
    stream.next().await;
    let reserved = budget(&client, &path).await;
    assert_eq!((&reserved["dollars_spent"], &reserved["dollars_reserved"]), (&json!("0"), &json!("0.01")));
    let cancelled = client.post(&format!("/v1/requests/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{:?}", cancelled.body);
    let day = eventually("the settlement", async || {
        let day = budget(&client, &path).await;
        (day["dollars_reserved"] == "0").then_some(day)
    })
    .await;
    assert_eq!(day["dollars_spent"], "0.009", "{day}");
    let run = client.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(run["usage"]["total_tokens"], 9, "{run}");
    let usage = client.get("/v1/usage").await.json();
    assert_eq!(
        (&usage["total"]["cost"], &usage["total"]["requests"]),
        (&json!("0.009"), &json!(1)),
        "{usage}"
    );
    home.stop().await;
}

#[tokio::test]
async fn cached_answer_counts_as_a_request_and_costs_nothing() {
    let upstream = Upstream::start().await;
    let home = with(&[&upstream], &format!("[cache]\nenabled = true\n{PRICE}")).await;
    let client = home.client();
    let path = set_limits(&client, json!({"tokens_per_day": 15, "requests_per_hour": 3})).await;
    upstream.reply(answer());
    let mut body = request();
    body["temperature"] = json!(0);
    for expected in ["miss", "hit", "hit"] {
        let answer = client.post("/v1/chat/completions", &body).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-hearth-cache")), (200, expected));
    }
    client.post("/v1/chat/completions", &body).await.error(429, "rate_limited");
    assert_eq!(budget(&client, &path).await["tokens_spent"], TOKENS);
    let total = client.get("/v1/usage").await.json()["total"].clone();
    assert_eq!((&total["requests"], &total["cache_hits"]), (&json!(3), &json!(2)), "{total}");
    assert_eq!((&total["completion_tokens"], &total["cost"]), (&json!(4), &json!("0.01")), "{total}");
    home.stop().await;
}

#[tokio::test]
async fn usage_is_reported_as_json_and_as_csv() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    for _ in 0..2 {
        upstream.reply(answer());
        assert_eq!(client.post("/v1/chat/completions", &request()).await.status, 200);
    }
    let answer = client.get("/v1/usage?by=model&format=csv").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/csv; charset=utf-8"));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("model,requests,cache_hits,prompt_tokens"), "{text}");
    assert_eq!(lines[1..], ["big,2,0,12,0,0,8,0,0.02,0", ""], "{text}");
    for (query, param) in [
        ("by=colour", "by"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2020-01-01", "from"),
    ] {
        let error = client.get(&format!("/v1/usage?{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{query}: {error}");
    }
    client.get("/v1/usage?format=xml").await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn invalid_limits_are_refused_by_name() {
    let upstream = Upstream::start().await;
    let home = home(&upstream).await;
    let client = home.client();
    let path = organisation_limits(&client).await;
    let put =
        async |path: &str, body: Value| client.send(client.request(Method::PUT, path).json(&body)).await;
    let error = put(&path, json!({"tokens_per_day": 0})).await.error(400, "invalid_request");
    assert_eq!(error["param"], "tokens_per_day");
    for body in [json!({"requests_per_second": 1}), json!({"dollars_per_day": -1}), json!([])] {
        put(&path, body).await.error(400, "invalid_request");
    }
    let foreign = ["user/usr_01J9ZX5V2QH8N4T6W0C3M7K1RB", "team/team_01J9ZX5V2QH8N4T6W0C3M7K1RB"];
    let unknown = ["organisation/org_01J9ZX5V2QH8N4T6W0C3M7K1RB", "planet/mars", "user/mars"];
    for subject in foreign.into_iter().chain(unknown) {
        let path = format!("/v1/limits/{subject}");
        put(&path, json!({"requests_per_minute": 1})).await.error(404, "not_found");
        client.get(&path).await.error(404, "not_found");
    }
    home.stop().await;
}
