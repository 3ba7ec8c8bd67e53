//! A node that does what its test says, over the routes of the node link.

use std::time::{Duration, SystemTime};

use hearth_auth::NodeKey;
use hearth_domain::{
    FinishReason, Modality, ModelDescription, NodeCallId, NodeId, RunId, RuntimeState, Timestamp, Usage,
};
use hearth_wire::{
    RunEvent, RunEventBody,
    node::{NodeModel, NodeStatus},
    relay::{
        ClaimedRun, Enrolled, NodeBatchAccepted, NodeCallAnswer, NodeEventBatch, NodeOrders, NodeReport,
    },
    runtime_status::RuntimeStatus,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{Answer, Client};

/// Wait for orders.
const ORDERS_WAIT_SECONDS: u32 = 5;

/// A node that a test plays.
#[derive(Debug, Clone)]
pub struct ScriptedNode {
    /// Its id.
    pub id: NodeId,
    /// The difference of its clock to the right time, in seconds.
    pub clock_offset_seconds: i64,
    key: NodeKey,
    client: Client,
    models: Vec<NodeModel>,
}

/// A run that it has claimed.
#[derive(Debug, Clone)]
pub struct ScriptedRun {
    /// As claimed.
    pub claimed: ClaimedRun,
    /// Seq of the last event that it has posted.
    pub seq: u64,
}

/// Makes a one-time code for a node.
///
/// # Panics
/// If the gateway refuses.
pub async fn enrolment_code(client: &Client) -> String {
    let answer = client.post("/v1/nodes/codes", &json!({})).await;
    assert!(answer.status.is_success(), "{answer:?}");
    let code = answer.json()["code"].as_str().map(str::to_owned);
    code.unwrap_or_else(|| panic!("no code: {answer:?}"))
}

impl ScriptedNode {
    /// Enrols a node at the gateway at `url` by a code.
    ///
    /// # Panics
    /// If the gateway refuses it.
    pub async fn enroll(url: &str, code: &str, name: &str) -> Self {
        let (key, client) = (NodeKey::generate(), Client::new(url, None));
        let body = json!({"code": code, "public_key": key.public_key(), "name": name, "version": "scripted"});
        let answer = client.post("/v1/node/enroll", &body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let enrolled: Enrolled =
            serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        Self { id: enrolled.node, clock_offset_seconds: 0, key, client, models: Vec::new() }
    }

    /// The same node, which reaches its gateway at another address.
    #[must_use]
    pub fn at(self, url: &str) -> Self {
        Self { client: Client::new(url, None), ..self }
    }

    /// Says from now on that it has these models.
    #[must_use]
    pub fn with_models(mut self, names: &[&str]) -> Self {
        self.models = names.iter().map(|name| scripted_model(name)).collect();
        self
    }

    /// Sends a signed request.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.signed(method, path, body);
        self.client.send(request).await
    }

    fn signed(&self, method: Method, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let credential = self.credential(&format!("{method} {path}"), &bytes);
        let request = self.client.request(method, path).bearer_auth(credential);
        if bytes.is_empty() {
            request
        } else {
            request.header("content-type", "application/json").body(bytes)
        }
    }

    /// A credential for a call, by the node's clock.
    ///
    /// # Panics
    /// If it can't be signed.
    #[must_use]
    pub fn credential(&self, call: &str, body: &[u8]) -> String {
        let offset = Duration::from_secs(self.clock_offset_seconds.unsigned_abs());
        let now = match self.clock_offset_seconds {
            0.. => SystemTime::now() + offset,
            _ => SystemTime::now() - offset,
        };
        let signed = self.key.sign(&self.id.to_string(), call, body, now);
        signed.unwrap_or_else(|error| panic!("a credential: {error}"))
    }

    /// Reports its models.
    ///
    /// # Panics
    /// If the gateway refuses.
    pub async fn report(&self) -> NodeOrders {
        let answer = self.try_report().await;
        assert!(answer.status.is_success(), "{answer:?}");
        parse(&answer)
    }

    /// Reports its models, whatever the answer.
    pub async fn try_report(&self) -> Answer {
        let status = NodeStatus {
            default_models: self
                .models
                .iter()
                .take(1)
                .map(|model| (Modality::Text, model.id.clone()))
                .collect(),
            models: self.models.clone(),
            ..NodeStatus::default()
        };
        let body = json!({"status": status, "version": "scripted", "now": Timestamp::now()});
        debug_assert!(serde_json::from_value::<NodeReport>(body.clone()).is_ok());
        self.send(Method::POST, "/v1/node/report", &body).await
    }

    /// Asks for its orders, and waits for new ones.
    ///
    /// # Panics
    /// If the gateway refuses.
    pub async fn orders(&self) -> NodeOrders {
        let path = format!("/v1/node/orders?wait={ORDERS_WAIT_SECONDS}");
        let answer = self.send(Method::GET, &path, &Value::Null).await;
        assert!(answer.status.is_success(), "{answer:?}");
        parse(&answer)
    }

    /// Waits for a run, and claims it. Calls that come meanwhile are answered with 404.
    pub async fn next_run(&self) -> ScriptedRun {
        loop {
            let orders = self.orders().await;
            for call in &orders.calls {
                self.answer_call(call.id).await;
            }
            for run in orders.runs {
                if let Ok(claimed) = self.claim(run).await {
                    return claimed;
                }
            }
        }
    }

    /// Answers a call with 404.
    pub async fn answer_call(&self, call: NodeCallId) {
        let answer =
            NodeCallAnswer { status: 404, body: json!({"code": "not_found", "message": "no such path"}) };
        self.send(Method::POST, &format!("/v1/node/calls/{call}/answer"), &json!(answer)).await;
    }

    /// Claims a run.
    ///
    /// # Errors
    /// The gateway's refusal.
    pub async fn claim(&self, run: RunId) -> Result<ScriptedRun, StatusCode> {
        let answer = self.send(Method::POST, &format!("/v1/node/runs/{run}/claim"), &json!({})).await;
        if !answer.status.is_success() {
            return Err(answer.status);
        }
        let claimed: ClaimedRun = parse(&answer);
        let seq = claimed.last_seq;
        Ok(ScriptedRun { claimed, seq })
    }

    /// Posts events of a run.
    pub async fn try_post(&self, run: RunId, fence: u64, events: Vec<RunEvent>) -> Answer {
        let batch = NodeEventBatch { fence, events };
        self.send(Method::POST, &format!("/v1/node/runs/{run}/events"), &json!(batch)).await
    }

    /// Posts the next events of a claimed run.
    ///
    /// # Panics
    /// If the gateway refuses.
    pub async fn post(&self, run: &mut ScriptedRun, events: Vec<RunEventBody>) -> NodeBatchAccepted {
        let answer = self.try_post(run.id(), run.claimed.fence, run.next(events)).await;
        assert!(answer.status.is_success(), "{answer:?}");
        parse(&answer)
    }

    /// Answers a claimed run with these words, one event each, and ends it.
    pub async fn serve(&self, run: &mut ScriptedRun, words: &[&str]) {
        self.post(run, vec![RunEventBody::Started { prompt_tokens: 3 }]).await;
        for word in words {
            self.post(run, vec![RunEventBody::text(*word)]).await;
        }
        self.post(run, end()).await;
    }
}

impl ScriptedRun {
    /// The run.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.claimed.run.run
    }

    /// Numbers further events.
    pub fn next(&mut self, events: Vec<RunEventBody>) -> Vec<RunEvent> {
        let number = |body| {
            self.seq += 1;
            RunEvent { seq: self.seq, body }
        };
        events.into_iter().map(number).collect()
    }
}

/// The end of an answer.
fn end() -> Vec<RunEventBody> {
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    vec![RunEventBody::Usage { usage: Usage::default() }, done]
}

fn parse<T: serde::de::DeserializeOwned>(answer: &Answer) -> T {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// A model of a node that a test plays.
#[must_use]
pub fn scripted_model(name: &str) -> NodeModel {
    NodeModel {
        id: name.to_owned(),
        description: ModelDescription {
            context_length: Some(4096),
            ..ModelDescription::new(name, Modality::Text)
        },
        size_bytes: 1 << 20,
        path: None,
        runtime: RuntimeStatus {
            state: RuntimeState::Loaded,
            progress: None,
            default: true,
            active: 0,
            queue_depth: 0,
            slots: 4,
            memory_bytes: None,
            memory_predicted_bytes: None,
            pid: None,
            loaded_at: None,
            last_used_at: None,
            error: None,
            backends: None,
        },
    }
}
