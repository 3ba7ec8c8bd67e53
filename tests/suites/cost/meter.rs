//! Counts what a process uses of AWS: DynamoDB reports the units of each request, if the request asks for them.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::header::CONTENT_LENGTH,
    middleware::{Next, from_fn},
    response::Response,
};
use serde_json::{Value, json};

const BODY_MAX_BYTES: usize = 64 << 20;

/// Units, requests and bytes that one request to Hearth has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    pub(crate) objects: u32,
    pub(crate) secrets: u32,
    /// Requests to SQS.
    pub(crate) messages: u32,
    /// Bytes of the function's log lines.
    pub(crate) log_bytes: f64,
}

/// Counts requests. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<Usage>>);

impl Meter {
    /// Counts the requests of `router`, which answers as AWS does.
    pub(crate) fn around(&self, router: Router) -> Router {
        let meter = self.clone();
        router.layer(from_fn(move |request, next| {
            let meter = meter.clone();
            async move { meter.pass(request, next).await }
        }))
    }

    /// Returns the counts since the last call.
    pub(crate) fn take(&self) -> Usage {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    async fn pass(&self, request: Request, next: Next) -> Response {
        let target = request.headers().get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
        match target.as_deref().and_then(|target| target.split_once('.')) {
            None => {
                self.0.lock().unwrap().objects += 1;
                next.run(request).await
            }
            Some(("secretsmanager", _)) => {
                self.0.lock().unwrap().secrets += 1;
                next.run(request).await
            }
            Some(("AmazonSQS", _)) => {
                self.0.lock().unwrap().messages += 1;
                next.run(request).await
            }
            Some((_, operation)) => self.pass_to_table(operation, request, next).await,
        }
    }

    async fn pass_to_table(&self, operation: &str, request: Request, next: Next) -> Response {
        let (mut head, body) = request.into_parts();
        let mut body: Value = serde_json::from_slice(&whole(body).await).unwrap();
        body["ReturnConsumedCapacity"] = json!("TOTAL");
        head.headers.remove(CONTENT_LENGTH);
        let response = next.run(Request::from_parts(head, body.to_string().into())).await;
        let (head, body) = response.into_parts();
        let bytes = whole(body).await;
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        // A refused write costs as much as a small one.
        let is_refused =
            answer["__type"].as_str().is_some_and(|kind| kind.contains("ConditionalCheckFailed"));
        let units = match &answer["ConsumedCapacity"] {
            Value::Array(all) => all.iter().map(|one| one["CapacityUnits"].as_f64().unwrap()).sum(),
            one => one["CapacityUnits"].as_f64().unwrap_or(f64::from(u8::from(is_refused))),
        };
        let mut usage = self.0.lock().unwrap();
        match operation {
            "GetItem" | "Query" | "BatchGetItem" | "TransactGetItems" | "Scan" => usage.read_units += units,
            _ => usage.write_units += units,
        }
        Response::from_parts(head, Body::from(bytes))
    }
}

async fn whole(body: Body) -> Bytes {
    to_bytes(body, BODY_MAX_BYTES).await.unwrap()
}
