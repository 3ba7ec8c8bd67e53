//! The product in its cloud shape: every sample event of `events/` given to its function, as Lambda would.

mod samples;
mod shapes;

use std::{collections::BTreeSet, fs, path::PathBuf};

use hearth_tests::Cloud;
use lambda_emulator::{Emulator, Invocation};
use serde_json::Value;

use samples::{SAMPLES, Sample};

/// The id of the embedded model.
const MODEL: &str = "tiny-chat";

fn events() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../events")
}

/// What the placeholders of the samples stand for.
#[derive(Debug, Default)]
struct Facts {
    token: String,
    run: String,
    other_token: String,
}

impl Facts {
    fn event(&self, file: &str) -> Value {
        let text = fs::read_to_string(events().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let text = text
            .replace("${HEARTH_TOKEN}", &self.token)
            .replace("${HEARTH_MODEL}", MODEL)
            .replace("${RUN_ID}", &self.run)
            .replace("${TOKEN_ID}", &self.other_token);
        assert!(!text.contains("${"), "{file} has a placeholder that no test knows");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

async fn invoke(function: &Emulator, event: &Value) -> Invocation {
    function.invoke(event).await.unwrap_or_else(|failure| panic!("{}: {failure}", event["path"]))
}

/// Gives the function each of its samples, in the table's order.
async fn replay(name: &str, function: &Emulator, facts: &Facts) {
    let mut count = 0;
    for Sample { file, status, shape, .. } in SAMPLES.iter().filter(|sample| sample.function == name) {
        let answer = invoke(function, &facts.event(file)).await;
        let body = String::from_utf8_lossy(&answer.body()).into_owned();
        assert_eq!(answer.status.as_u16(), *status, "{file}: {body}");
        let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        assert!(id.starts_with("req_"), "{file} has no request id: {:?}", answer.headers);
        shape(&answer).unwrap_or_else(|missing| panic!("{file}: {missing}: {body}"));
        count += 1;
    }
    assert!(count > 0, "{name} has no sample");
}

#[test]
fn every_sample_is_replayed() {
    let files: BTreeSet<String> = fs::read_dir(events())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    let listed: BTreeSet<String> = SAMPLES.iter().map(|sample| sample.file.to_owned()).collect();
    assert_eq!(files, listed, "events/ and the table in samples.rs differ");
}

#[tokio::test]
async fn generate_streams_and_tells_of_its_runs() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-generate").await;
    let mut facts = Facts { token: cloud.token.clone(), ..Facts::default() };
    let first = invoke(&function, &facts.event("post_v1.generate.json")).await;
    facts.run = first.headers["x-request-id"].to_str().unwrap().to_owned();
    replay("hearth-fn-generate", &function, &facts).await;
}

#[tokio::test]
async fn models_are_listed_and_loaded() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-models").await;
    let facts = Facts { token: cloud.token.clone(), ..Facts::default() };
    replay("hearth-fn-models", &function, &facts).await;
}

#[tokio::test]
async fn accounts_makes_lists_and_revokes_tokens() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-accounts").await;
    let mut facts = Facts { token: cloud.token.clone(), ..Facts::default() };
    let made = invoke(&function, &facts.event("post_v1.users.tokens.json")).await.json().unwrap();
    facts.other_token = made["id"].as_str().unwrap().to_owned();
    replay("hearth-fn-accounts", &function, &facts).await;

    let Value::String(token) = &made["token"] else { panic!("no token: {made}") };
    let revoked = Facts { token: token.clone(), ..Facts::default() };
    let answer = invoke(&function, &revoked.event("get_v1.users.tokens.json")).await;
    assert_eq!(answer.status, 401, "a revoked token was taken");
}

#[tokio::test]
async fn ops_answers_without_a_node_or_a_run() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-ops").await;
    let facts = Facts { token: cloud.token.clone(), ..Facts::default() };
    replay("hearth-fn-ops", &function, &facts).await;

    let mut unknown = facts.event("get_health.json");
    unknown["path"] = "/no/such/route".into();
    let answer = invoke(&function, &unknown).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json().unwrap()["error"]["code"]),
        (404, &"not_found".into())
    );
}

#[tokio::test]
async fn a_run_in_one_process_is_cancelled_from_another() {
    let cloud = Cloud::start().await;
    let (one, other) =
        tokio::join!(cloud.function("hearth-fn-generate"), cloud.function("hearth-fn-generate"));
    let mut facts = Facts { token: cloud.token.clone(), ..Facts::default() };
    let mut event = facts.event("post_v1.generate.json");
    let endless = serde_json::json!({
        "model": MODEL,
        "input": {"prompt": "Tell me a story."},
        "parameters": {"ignore_eos": true, "max_tokens": 3500},
        "stream": true,
    });
    event["body"] = endless.to_string().into();

    let mut stream = one.begin(&event).await.unwrap();
    facts.run = stream.headers["x-request-id"].to_str().unwrap().to_owned();
    let mut begun = String::new();
    while !begun.contains(r#""event":"delta""#) {
        let chunk = stream.chunk().await.unwrap().expect("the stream ended without a delta");
        begun.push_str(&String::from_utf8_lossy(&chunk));
    }
    let cancel = invoke(&other, &facts.event("post_v1.requests.id.cancel.json")).await;
    assert_eq!(cancel.json().unwrap()["cancelled"], true);
    let rest = stream.collect().await.unwrap().body();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains(r#""finish_reason":"cancelled""#), "{rest}");
    assert!(rest.trim_end().ends_with("data: [DONE]"), "{rest}");
}

#[tokio::test]
async fn a_strangers_run_is_not_found() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-generate").await;
    let mut facts = Facts { token: cloud.token.clone(), ..Facts::default() };
    let run = invoke(&function, &facts.event("post_v1.generate.json")).await;
    facts.run = run.headers["x-request-id"].to_str().unwrap().to_owned();
    facts.token = cloud.token_of_a_stranger().await;
    for file in ["get_v1.requests.id.json", "get_v1.requests.id.events.json", "delete_v1.requests.id.json"] {
        let answer = invoke(&function, &facts.event(file)).await;
        assert_eq!(answer.status, 404, "{file} shows a stranger's run");
    }
}
