//! The Lambda functions' binaries under the emulator, with every sample event of `events/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod api;
mod audit;
mod batches;
mod configuration;
mod definitions;
mod files;
mod gateway_responses;
mod held_jobs;
mod identity_providers;
mod jobs;
mod limits;
mod matrix;
mod metrics;
mod owned_work;
mod people;
mod permissions;
mod provider_keys;
mod relay;
mod resumed_analysis;
mod runs;
mod samples;
mod shapes;
mod sign_in;
mod sockets;
mod turns;
mod webhooks;
mod worker;
mod worker_permissions;

use std::{collections::BTreeSet, fs, path::PathBuf};

use hearth_domain::{JobId, OrganisationId, Owner, Session};
use hearth_store::jobs::JobRecord;
use hearth_tests::{Cloud, endless_run_of};
use lambda_emulator::{Emulator, Invocation};
use serde_json::Value;

use samples::{SAMPLES, Sample};

/// The id of the embedded model.
const MODEL: &str = "tiny-chat";

fn events() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../events")
}

/// Values of the placeholders in the samples.
#[derive(Debug, Clone, Default)]
struct Placeholders {
    token: String,
    run: String,
    other_token: String,
    refresh_token: String,
    login: String,
    user: String,
    organisation: String,
    node: String,
    session: String,
    job: String,
}

impl Placeholders {
    fn event(&self, file: &str) -> Value {
        let text = fs::read_to_string(events().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let text = text
            .replace("${HEARTH_TOKEN}", &self.token)
            .replace("${HEARTH_MODEL}", MODEL)
            .replace("${RUN_ID}", &self.run)
            .replace("${TOKEN_ID}", &self.other_token)
            .replace("${REFRESH_TOKEN}", &self.refresh_token)
            .replace("${LOGIN_ID}", &self.login)
            .replace("${USER_ID}", &self.user)
            .replace("${ORGANISATION_ID}", &self.organisation)
            .replace("${NODE_ID}", &self.node)
            .replace("${SESSION_ID}", &self.session)
            .replace("${JOB_ID}", &self.job);
        assert!(!text.contains("${"), "{file} has a placeholder that no test knows");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

async fn invoke(function: &Emulator, event: &Value) -> Invocation {
    function.invoke(event).await.unwrap_or_else(|failure| panic!("{}: {failure}", event["path"]))
}

/// The placeholders for the operator's token, and their ids.
async fn of_operator(cloud: &Cloud) -> Placeholders {
    let user = cloud.store().operator().await.unwrap();
    Placeholders {
        token: cloud.token.clone(),
        user: user.to_string(),
        organisation: OrganisationId::of_operator(user).to_string(),
        ..Placeholders::default()
    }
}

/// The same with the id of the operator's node.
async fn with_node(cloud: &Cloud, values: Placeholders) -> Placeholders {
    let operator = cloud.store().operator().await.unwrap();
    let nodes = cloud.store().nodes().of(OrganisationId::of_operator(operator)).await.unwrap();
    Placeholders { node: nodes[0].id.to_string(), ..values }
}

/// The same with the id of a new session of the operator's.
async fn with_session(cloud: &Cloud, values: Placeholders) -> Placeholders {
    let user = cloud.store().operator().await.unwrap();
    let mut session = Session::new(Owner { user, organisation: OrganisationId::of_operator(user) });
    cloud.store().sessions().create(&mut session).await.unwrap();
    Placeholders { session: session.id.to_string(), ..values }
}

/// The same with the id of a job of the operator's, which its node doesn't know.
async fn with_job(cloud: &Cloud, values: Placeholders) -> Placeholders {
    let user = cloud.store().operator().await.unwrap();
    let owner = Owner { user, organisation: OrganisationId::of_operator(user) };
    let node = with_node(cloud, Placeholders::default()).await.node.parse().unwrap();
    let job = JobRecord::new_download(JobId::new(), owner, node, "hf:owner/repo");
    cloud.store().jobs().create(&job).await.unwrap();
    Placeholders { job: job.id.to_string(), ..values }
}

/// Gives the function each of its samples, in the table's order.
async fn replay(name: &str, function: &Emulator, values: &Placeholders) {
    let mut count = 0;
    for Sample { file, status, shape, .. } in SAMPLES.iter().filter(|sample| sample.function == name) {
        let answer = invoke(function, &values.event(file)).await;
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
async fn generate_streams_runs_and_returns_their_state() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-generate").await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let mut values = with_session(&cloud, values).await;
    let first = invoke(&function, &values.event("post_v1.generate.json")).await;
    values.run = first.headers["x-request-id"].to_str().unwrap().to_owned();
    replay("hearth-fn-generate", &function, &values).await;
}

#[tokio::test]
async fn models_are_listed_and_loaded() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-models").await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let values = with_job(&cloud, values).await;
    replay("hearth-fn-models", &function, &values).await;
}

#[tokio::test]
async fn nodes_are_listed_changed_and_revoked() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-nodes").await;
    let values = with_node(&cloud, of_operator(&cloud).await).await;
    replay("hearth-fn-nodes", &function, &values).await;
    let listed = invoke(&function, &values.event("get_v1.nodes.json")).await;
    assert_eq!(listed.json().unwrap()["nodes"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn accounts_creates_lists_and_revokes_tokens() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-accounts").await;
    sign_in::set_password(&cloud).await;
    let mut values = sign_in::with_logins(&function, of_operator(&cloud).await).await;
    let created = invoke(&function, &values.event("post_v1.users.tokens.json")).await.json().unwrap();
    values.other_token = created["id"].as_str().unwrap().to_owned();
    replay("hearth-fn-accounts", &function, &values).await;

    let Value::String(token) = &created["token"] else { panic!("no token: {created}") };
    let revoked = Placeholders { token: token.clone(), ..Placeholders::default() };
    let answer = invoke(&function, &revoked.event("get_v1.users.tokens.json")).await;
    assert_eq!(answer.status, 401, "a revoked token was taken");
}

#[tokio::test]
async fn ops_needs_neither_node_nor_run() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-ops").await;
    let values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    replay("hearth-fn-ops", &function, &values).await;

    let mut unknown = values.event("get_health.json");
    unknown["path"] = "/no/such/route".into();
    let answer = invoke(&function, &unknown).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json().unwrap()["error"]["code"]),
        (404, &"not_found".into())
    );
}

#[tokio::test]
async fn run_is_cancelled_from_another_process() {
    let cloud = Cloud::start().await;
    let (one, other) =
        tokio::join!(cloud.function("hearth-fn-generate"), cloud.function("hearth-fn-generate"));
    let mut values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let mut event = values.event("post_v1.generate.json");
    event["body"] = endless_run_of(MODEL, 3500).to_string().into();

    let mut stream = one.begin(&event).await.unwrap();
    values.run = stream.headers["x-request-id"].to_str().unwrap().to_owned();
    let mut begun = String::new();
    while !begun.contains(r#""event":"delta""#) {
        let chunk = stream.chunk().await.unwrap().expect("the stream ended without a delta");
        begun.push_str(&String::from_utf8_lossy(&chunk));
    }
    let cancel = invoke(&other, &values.event("post_v1.requests.id.cancel.json")).await;
    assert_eq!(cancel.json().unwrap()["cancelled"], true);
    let rest = stream.collect().await.unwrap().body();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains(r#""finish_reason":"cancelled""#), "{rest}");
    assert!(rest.trim_end().ends_with("data: [DONE]"), "{rest}");
}

#[tokio::test]
async fn run_of_another_user_is_not_found() {
    let cloud = Cloud::start().await;
    let function = cloud.function("hearth-fn-generate").await;
    let mut values = Placeholders { token: cloud.token.clone(), ..Placeholders::default() };
    let run = invoke(&function, &values.event("post_v1.generate.json")).await;
    values.run = run.headers["x-request-id"].to_str().unwrap().to_owned();
    values.token = cloud.token_of_a_stranger().await;
    for file in ["get_v1.requests.id.json", "get_v1.requests.id.events.json", "delete_v1.requests.id.json"] {
        let answer = invoke(&function, &values.event(file)).await;
        assert_eq!(answer.status, 404, "{file} shows a stranger's run");
    }
}
