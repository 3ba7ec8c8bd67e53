//! Clients whose body stops in the middle.

use futures::future::join_all;
use hearth_tests::Setup;
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::raw;

#[tokio::test]
async fn body_that_stops_is_closed_with_408_on_every_kind_of_route() {
    let home = Setup::new().settings("[server]\nbody_seconds = 1\n").arguments(&["--no-node"]).start().await;
    let upload =
        json!({"filename": "notes.txt", "purpose": "user_data", "bytes": 100, "mime_type": "text/plain"});
    let upload = home.client().post("/v1/uploads", &upload).await;
    assert_eq!(upload.status, 200, "{upload:?}");
    let parts = format!("/v1/uploads/{}/parts", upload.json()["id"].as_str().unwrap());
    let form = "content-type: multipart/form-data; boundary=part\r\ncontent-length: 1000";
    let part = "--part\r\ncontent-disposition: form-data; name=\"data\"; filename=\"a\"\r\n\r\nThe first";
    let json = "content-type: application/json\r\ncontent-length: 1000";
    let mut cases: Vec<(String, &str, &str)> =
        ["/v1/analyze", "/v1/batches", "/v1/jobs", "/v1/schemas", "/v1/webhooks"]
            .map(|path| (path.to_owned(), json, "{\"prompt\": \"The first"))
            .into();
    cases.push((parts, form, part));
    let (home, cases) = (&home, &cases);
    let answers = cases.iter().map(async |(path, framing, begin)| {
        let mut stream = raw::connect(&home.url).await.unwrap();
        let head = format!(
            "{} {path} HTTP/1.1\r\nhost: hearth\r\nauthorization: Bearer {}\r\n{framing}\r\n\r\n",
            Method::POST,
            home.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        // The connection isn't asked to be closed: the gateway closes it by itself.
        (path, raw::receive(&mut stream).await.unwrap())
    });
    for (path, answer) in join_all(answers).await {
        let error = answer.error(408, "request_timeout");
        assert_eq!(error["retryable"], true, "{path}: {error}");
    }
    let lists = ["/v1/batches", "/v1/jobs", "/v1/webhooks"];
    for path in lists {
        let list = home.client().get(path).await.json();
        assert!(
            list.as_object().unwrap().values().all(|field| field.as_array().is_none_or(Vec::is_empty)),
            "{list}"
        );
    }
}
