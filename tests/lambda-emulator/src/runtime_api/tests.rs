//! Tests of the API over a plain socket.

use std::path::Path;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;
use crate::Emulator;

const DEADLINE: Duration = Duration::from_secs(10);
const API: &str = "/2018-06-01/runtime";

/// Runtime with one connection.
struct Runtime(TcpStream);

impl Runtime {
    async fn connect(api: &RuntimeApi) -> Self {
        Self(TcpStream::connect(api.address).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn post(&mut self, path: &str, body: &str) -> String {
        let length = body.len();
        self.send(&format!(
            "POST {API}{path} HTTP/1.1\r\nhost: api\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
        self.answer().await
    }

    /// Requests the next invocation, and returns its id and event.
    async fn next(&mut self) -> (String, Value) {
        self.send(&format!("GET {API}/invocation/next HTTP/1.1\r\nhost: api\r\n\r\n")).await;
        let answer = self.answer().await;
        let id = answer.lines().find_map(|line| line.strip_prefix("lambda-runtime-aws-request-id: "));
        let event = answer.split("\r\n\r\n").nth(1).unwrap();
        (id.unwrap().to_owned(), serde_json::from_str(event).unwrap())
    }

    /// Reads a response with a `content-length`.
    async fn answer(&mut self) -> String {
        let mut read = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&read);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() == length.unwrap().parse::<usize>().unwrap() {
                    return text.into_owned();
                }
            }
            assert_ne!(self.0.read_buf(&mut read).await.unwrap(), 0, "the API closed the connection");
        }
    }

    async fn begin_stream(&mut self, id: &str) {
        self.send(&format!(
            "POST {API}/invocation/{id}/response HTTP/1.1\r\nhost: api\r\n\
             lambda-runtime-function-response-mode: streaming\r\n\
             content-type: application/vnd.awslambda.http-integration-response\r\n\
             transfer-encoding: chunked\r\n\r\n"
        ))
        .await;
    }

    async fn chunk(&mut self, data: &str) {
        self.send(&format!("{:x}\r\n{data}\r\n", data.len())).await;
    }
}

async fn answer_to(answer: Value) -> Vec<Part> {
    let api = RuntimeApi::serve().await.unwrap();
    let (mut parts, _cutter) = api.queue(&json!({}), Kind::Request { accepts_binary: true }, DEADLINE);
    let mut runtime = Runtime::connect(&api).await;
    let (id, _) = runtime.next().await;
    runtime.post(&format!("/invocation/{id}/response"), &answer.to_string()).await;
    let mut all = Vec::new();
    while let Some(part) = parts.recv().await {
        all.push(part);
    }
    all
}

#[tokio::test]
async fn event_waits_for_the_runtime_and_the_runtime_for_an_event() {
    let api = RuntimeApi::serve().await.unwrap();
    let (mut first, _cutter) =
        api.queue(&json!({"path": "/first"}), Kind::Request { accepts_binary: true }, DEADLINE);
    let mut runtime = Runtime::connect(&api).await;
    let (id, event) = runtime.next().await;
    assert_eq!(event, json!({"path": "/first"}));
    runtime.post(&format!("/invocation/{id}/response"), r#"{"statusCode": 204}"#).await;
    assert!(matches!(first.recv().await, Some(Part::Head(StatusCode::NO_CONTENT, _))));
    assert!(matches!(first.recv().await, Some(Part::End)));

    runtime.send(&format!("GET {API}/invocation/next HTTP/1.1\r\nhost: api\r\n\r\n")).await;
    let _second = api.queue(&json!({"path": "/second"}), Kind::Request { accepts_binary: true }, DEADLINE);
    assert!(runtime.answer().await.ends_with(r#"{"path":"/second"}"#));
}

#[tokio::test]
async fn buffered_response_has_headers_and_body() {
    let parts = answer_to(json!({
        "statusCode": 201,
        "headers": {"x-a": "shadowed", "x-b": "1"},
        "multiValueHeaders": {"x-a": ["1", "2"]},
        "body": "aGVsbG8=",
        "isBase64Encoded": true,
    }))
    .await;
    let [Part::Head(status, headers), Part::Chunk(body), Part::End] = parts.as_slice() else {
        panic!("{parts:?}");
    };
    assert_eq!((status.as_u16(), body.as_ref()), (201, b"hello".as_ref()));
    assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(headers["x-b"], "1");
}

#[tokio::test]
async fn response_that_api_gateway_refuses_is_a_failure() {
    for bad in
        [json!("hello"), json!({"body": "no status"}), json!({"statusCode": 9}), json!({"statusCode": "200"})]
    {
        let parts = answer_to(bad.clone()).await;
        assert!(matches!(parts.as_slice(), [Part::Failed(Cause::Malformed(_))]), "{bad} gave {parts:?}");
    }
}

#[tokio::test]
async fn streamed_response_is_received_while_it_is_sent() {
    let api = RuntimeApi::serve().await.unwrap();
    let (mut parts, _cutter) = api.queue(&json!({}), Kind::Request { accepts_binary: true }, DEADLINE);
    let mut runtime = Runtime::connect(&api).await;
    let (id, _) = runtime.next().await;

    runtime.begin_stream(&id).await;
    runtime
        .chunk(r#"{"statusCode":200,"headers":{"content-type":"text/event-stream"},"cookies":["a=1"]}"#)
        .await;
    runtime.chunk("\0\0\0\0\0\0\0\0data: 1\n\n").await;
    let Some(Part::Head(status, headers)) = parts.recv().await else { panic!("no head") };
    assert_eq!((status.as_u16(), &headers["content-type"]), (200, &"text/event-stream".parse().unwrap()));
    assert_eq!(headers["set-cookie"], "a=1");
    assert!(matches!(parts.recv().await, Some(Part::Chunk(data)) if data == "data: 1\n\n"));

    runtime.chunk("data: [DONE]\n\n").await;
    assert!(matches!(parts.recv().await, Some(Part::Chunk(data)) if data == "data: [DONE]\n\n"));
    runtime.send("0\r\n\r\n").await;
    assert!(matches!(parts.recv().await, Some(Part::End)));
    assert!(runtime.answer().await.starts_with("HTTP/1.1 202"));
}

#[tokio::test]
async fn truncated_stream_is_a_failure() {
    let api = RuntimeApi::serve().await.unwrap();
    let (mut parts, _cutter) = api.queue(&json!({}), Kind::Request { accepts_binary: true }, DEADLINE);
    let mut runtime = Runtime::connect(&api).await;
    let (id, _) = runtime.next().await;
    runtime.begin_stream(&id).await;
    runtime.chunk("{\"statusCode\":200}\0\0\0\0\0\0\0\0half").await;
    drop(runtime);
    while let Some(part) = parts.recv().await {
        assert!(!matches!(part, Part::End), "half an answer passed for a whole one");
    }
}

#[tokio::test]
async fn reported_error_reaches_the_caller() {
    let api = RuntimeApi::serve().await.unwrap();
    let (mut parts, _cutter) = api.queue(&json!({}), Kind::Request { accepts_binary: true }, DEADLINE);
    let mut runtime = Runtime::connect(&api).await;
    let (id, _) = runtime.next().await;
    let report = r#"{"errorType":"Panic","errorMessage":"boom"}"#;
    assert!(runtime.post(&format!("/invocation/{id}/error"), report).await.starts_with("HTTP/1.1 202"));
    let Some(Part::Failed(cause)) = parts.recv().await else { panic!("no failure") };
    assert_eq!(cause.to_string(), "the function reported Panic: boom");
    let again = runtime.post(&format!("/invocation/{id}/error"), report).await;
    assert!(again.starts_with("HTTP/1.1 400"), "an invocation is answered once: {again}");

    runtime.post("/init/error", report).await;
    assert!(matches!(&*api.phase.borrow(), Phase::Failed { kind, .. } if kind == "Panic"));
}

#[tokio::test]
async fn ended_process_is_a_failure_with_its_output() {
    let failure = Emulator::start(Path::new("/bin/cp"), &[]).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Ended(_)), "{failure}");
    assert!(failure.output.contains("cp:"), "{failure}");

    let failure = Emulator::start(Path::new("/no/such/binary"), &[]).await.unwrap_err();
    assert!(failure.to_string().contains("/no/such/binary"), "{failure}");
}
