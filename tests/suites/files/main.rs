//! Files and artifacts: `/v1/files` as OpenAI's SDKs use it, ranges, quotas, uploads to the bucket, files as inputs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod artifacts;
mod cloud;
mod commands;
mod content;
mod inputs;
mod owners;
mod parts;
mod quotas;
mod shapes;
mod uploads;

use hearth_tests::{Answer, Client};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// The smallest PNG there is: one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// The body of a form with these fields, and the file behind them.
fn form(fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    if let Some((name, bytes)) = file {
        let head =
            format!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        body.extend(head.bytes());
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    body
}

/// The request of an upload.
fn upload_request(client: &Client, body: Vec<u8>) -> RequestBuilder {
    let request = client.request(Method::POST, "/v1/files");
    request.header("content-type", "multipart/form-data; boundary=x").body(body)
}

async fn upload(client: &Client, name: &str, bytes: &[u8]) -> Answer {
    client.send(upload_request(client, form(&[("purpose", "user_data")], Some((name, bytes))))).await
}

/// Uploads a file, and returns it.
async fn stored(client: &Client, name: &str, bytes: &[u8]) -> Value {
    let answer = upload(client, name, bytes).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn content(client: &Client, id: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = client.request(Method::GET, &format!("/v1/files/{id}/content"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request).await
}

fn id_of(file: &Value) -> &str {
    file["id"].as_str().unwrap()
}
