//! Functions over one table, each with a meter of its own.

use std::{path::Path, sync::Arc};

use aws_emulator::{AwsEmulator, ReceivedMessage};
use axum::http::HeaderMap;
use hearth_auth::{ApiToken, Keys};
use hearth_domain::{LimitSubject, Limits, OrganisationId, Timestamp};
use hearth_store::{Clients, Names, Store, limits::LimitRecord};
use hearth_tests::{binary, eventually};
use lambda_emulator::{
    ApiGateway, Emulator, FunctionProgram, InFlight, Placement, WebSocketApi, WebSocketPort,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    meter::{Meter, Usage},
    vendor,
};

const BUCKET: &str = "hearth-media";

/// The stores, a vendor and a token.
pub(crate) struct World {
    aws: AwsEmulator,
    store: Store,
    vendor: String,
    token: String,
    _folder: TempDir,
}

/// A function's process.
pub(crate) struct Function {
    emulator: Emulator,
    meter: Meter,
    token: String,
}

/// A whole response.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) usage: Usage,
}

impl World {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let aws = AwsEmulator::open(folder.path(), BUCKET).unwrap();
        let (s3, secrets) = (aws.s3("http://s3.test"), aws.secrets());
        let clients = Clients { dynamodb: aws.dynamodb(), kms: aws.kms(), s3, secrets };
        let store = Store::new(clients, Names::at_home());
        store.migrate().await.unwrap();
        store.secret(Some(Keys::generate_secret)).await.unwrap();
        let owner = store.operator().await.unwrap();
        let token = hearth_tests::create_token(&store, owner).await;
        Self { aws, store, vendor: vendor::start().await, token, _folder: folder }
    }

    /// A token with a budget for each month.
    pub(crate) async fn token_with_budget(&self) -> String {
        let owner = self.store.operator().await.unwrap();
        let token = hearth_tests::create_token(&self.store, owner).await;
        let hash = token.parse::<ApiToken>().unwrap().hash();
        let record = self.store.tokens().by_hash(&hash).await.unwrap().unwrap();
        let subject = LimitSubject::Token(record.id);
        let limits = Limits { tokens_per_month: Some(1_000_000), ..Limits::default() };
        let limits = LimitRecord::new(subject, limits, owner, Timestamp::now());
        self.store.limits().put(OrganisationId::of_operator(owner), subject, &limits).await.unwrap();
        token
    }

    /// The owner's token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Receives a message of a queue.
    pub(crate) fn receive(&self, queue: &str) -> Vec<ReceivedMessage> {
        self.aws.receive_messages(self.aws.credentials().access_key_id(), queue, 1).unwrap()
    }

    /// Starts the function's binary, with the vendor as its provider `rig`, and with these variables.
    pub(crate) async fn function(&self, name: &str, more: &[(&str, &str)]) -> Function {
        let (meter, env) = self.metered(more).await;
        let env: Vec<(&str, &str)> =
            env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let started = Emulator::start(&binary(name), &env).await;
        let emulator = started.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        Function { emulator, meter, token: self.token.clone() }
    }

    /// Serves the APIs of the template. Their functions share a meter.
    pub(crate) async fn apis(&self) -> (ApiGateway, WebSocketApi, Meter) {
        const SOCKET: &str = "hearth-fn-socket";
        let port = WebSocketPort::bind("prod").await.unwrap();
        let (meter, env) = self.metered(&[("HEARTH_SOCKET_ENDPOINT", &port.endpoint())]).await;
        let program = FunctionProgram { binary: binary(SOCKET), env: env.clone() };
        let sockets = port.serve(program, Arc::new(|_: &str, _: &str, _: &str| true));
        let api = hearth_tests::serve_api(Placement::Domain(String::new()), |_| env.clone()).await;
        (api, sockets, meter)
    }

    /// A meter, and the variables of a function whose requests it counts.
    async fn metered(&self, more: &[(&str, &str)]) -> (Meter, Vec<(String, String)>) {
        let (meter, names, credentials) = (Meter::default(), Names::at_home(), self.aws.credentials());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = meter.around(self.aws.router(BUCKET));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let rig = json!({"kind": "openai_compatible", "base_url": self.vendor, "models": ["big", "endless", "embed"]});
        let routing = json!({"providers": {"rig": rig}}).to_string();
        let mut env = vec![
            ("HEARTH_TABLE", names.table.as_str()),
            ("HEARTH_BUCKET", &names.bucket),
            ("HEARTH_SECRET", &names.secret),
            ("HEARTH_PROVIDER_KEYS", &names.provider_keys),
            ("HEARTH_LOG_LEVEL", "info"),
            // As in prod: the lines of requests and runs are metrics too.
            ("HEARTH_CLOUDWATCH_METRICS", "true"),
            ("HEARTH_ALLOW_PRIVATE_NODES", "true"),
            ("HEARTH_ROUTING", &routing),
            ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true"),
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key()),
        ];
        env.extend(more);
        (meter, env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Function {
    /// The same process, with another token.
    pub(crate) fn with_token(self, token: String) -> Self {
        Self { token, ..self }
    }

    /// Sends the sample event `file`.
    pub(crate) async fn get(&self, file: &str) -> Answer {
        self.measure(&event(file, &self.token, ""), 200).await
    }

    /// Sends the sample event `file` with a token that is refused.
    pub(crate) async fn get_as(&self, file: &str, token: &str) -> Answer {
        self.measure(&event(file, token, ""), 401).await
    }

    /// Sends the sample event `file` with another body.
    pub(crate) async fn post(&self, file: &str, body: &Value) -> Answer {
        self.measure(&self.with_body(file, body), 200).await
    }

    /// Sends the sample event `file` with the body of a job; the usage.
    pub(crate) async fn submit(&self, file: &str, body: &Value) -> Usage {
        self.reset();
        let event = self.with_body(file, body);
        let answer = self.emulator.invoke(&event).await;
        let answer = answer.unwrap_or_else(|failure| panic!("{}: {failure}", event["path"]));
        assert_eq!(answer.status, 202, "{:?}", answer.body());
        self.usage(&id(&answer.headers), 1).await
    }

    /// Sends an event that isn't a request; the usage, and the response.
    pub(crate) async fn answer(&self, event: &Value) -> (Usage, Value) {
        self.reset();
        let answer = self.emulator.answer(event).await;
        let answer = answer.unwrap_or_else(|failure| panic!("{failure}"));
        let log_bytes = self.emulator.take_printed_bytes() as f64;
        (Usage { log_bytes, ..self.meter.take() }, answer)
    }

    /// Sends the sample event `file` with the body of a streamed request, whose run is followed through another process.
    /// Returns the usage of the latter.
    pub(crate) async fn post_followed(&self, file: &str, body: &Value, other: &Self) -> Usage {
        let event_of_run = self.with_body(file, body);
        let stream = self.begin(&event_of_run).await;
        let id = id(&stream.headers);
        let follow = event("get_v1.requests.id.events.json", &other.token, &id);
        let (streamed, followed) = tokio::join!(stream.collect(), other.measure(&follow, 200));
        streamed.unwrap();
        followed.usage
    }

    /// Sends the sample event `file` with the body of a streamed request, and cancels its run through another process. Returns
    /// the usage of that process.
    pub(crate) async fn post_cancelled(&self, file: &str, body: &Value, other: &Self) -> Usage {
        let event_of_run = self.with_body(file, body);
        let stream = self.begin(&event_of_run).await;
        let cancel = event("post_v1.requests.id.cancel.json", &other.token, &id(&stream.headers));
        let cancelled = other.measure(&cancel, 200).await;
        stream.collect().await.unwrap();
        cancelled.usage
    }

    async fn begin(&self, event: &Value) -> InFlight<'_> {
        let started = self.emulator.begin(event).await;
        started.unwrap_or_else(|failure| panic!("{}: {failure}", event["path"]))
    }

    async fn measure(&self, event: &Value, status: u16) -> Answer {
        self.reset();
        let answer = self.emulator.invoke(event).await;
        let answer = answer.unwrap_or_else(|failure| panic!("{}: {failure}", event["path"]));
        assert_eq!(answer.status, status, "{}: {:?}", event["path"], answer.body());
        let is_run = event["httpMethod"] == "POST" && !event["path"].as_str().unwrap().ends_with("/cancel");
        let usage = self.usage(&id(&answer.headers), if is_run { 2 } else { 1 }).await;
        Answer { headers: answer.headers, usage }
    }

    fn with_body(&self, file: &str, body: &Value) -> Value {
        let mut event = event(file, &self.token, "");
        event["body"] = body.to_string().into();
        event
    }

    fn reset(&self) {
        self.meter.take();
        let _ = self.emulator.take_printed_bytes();
    }

    /// The usage since the last reset, up to the `count` log lines with this request id: one of the request, and one of its
    /// run.
    async fn usage(&self, id: &str, count: usize) -> Usage {
        eventually("the log lines of a request", async || {
            let lines = self.emulator.last_lines();
            (lines.lines().filter(|line| line.contains(id)).count() >= count).then_some(())
        })
        .await;
        Usage { log_bytes: self.emulator.take_printed_bytes() as f64, ..self.meter.take() }
    }
}

/// The id of a request, which is also the id of its run.
fn id(headers: &HeaderMap) -> String {
    headers["x-request-id"].to_str().unwrap().to_owned()
}

fn event(file: &str, token: &str, run: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.replace("${HEARTH_TOKEN}", token).replace("${RUN_ID}", run);
    serde_json::from_str(&text).unwrap()
}
