//! Uploads in three steps: begun, sent by a signed request, completed.

use futures::StreamExt as _;
use hearth_tests::{Answer, Client, Home, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{content, form, id_of, upload_request};

fn request(bytes: u64) -> Value {
    json!({"filename": "film.mp4", "purpose": "user_data", "bytes": bytes})
}

async fn begin(client: &Client, bytes: u64) -> Value {
    let answer = client.post("/v1/files/uploads", &request(bytes)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Sends the bytes as the upload says, without a token.
async fn put(home: &Home, upload: &Value, bytes: &[u8]) -> Answer {
    let url = upload["put"]["url"].as_str().unwrap();
    let path = url.strip_prefix(&home.url).unwrap();
    let client = home.client().with_token(None);
    client.send(client.request(Method::PUT, path).body(bytes.to_vec())).await
}

async fn complete(client: &Client, upload: &Value) -> Answer {
    client.post(&format!("/v1/files/uploads/{}/complete", id_of(upload)), &json!({})).await
}

#[tokio::test]
async fn upload_is_a_file_once_it_is_completed() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let bytes = b"\x00\x00\x00\x18ftypmp42 and so on";
    let upload = begin(&client, bytes.len() as u64).await;
    assert_eq!((&upload["object"], &upload["status"]), (&json!("upload"), &json!("pending")));
    let file = format!("/v1/files/{}", id_of(&upload));
    client.get(&file).await.error(404, "not_found");
    let error = complete(&client, &upload).await.error(409, "conflict");
    assert_eq!(error["details"]["written_bytes"], 0);
    assert_eq!(put(&home, &upload, &bytes[..4]).await.error(409, "conflict")["details"]["written_bytes"], 4);
    put(&home, &upload, &[0; 100]).await.error(413, "payload_too_large");
    assert_eq!(put(&home, &upload, bytes).await.status, 204);
    // Another body of this size doesn't replace it.
    put(&home, &upload, &[b'x'; 26][..bytes.len()]).await.error(409, "conflict");
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
    let completed = complete(&client, &upload).await.json();
    assert_eq!((&completed["media_type"], &completed["filename"]), (&json!("video/mp4"), &json!("film.mp4")));
    // It can be repeated; the bytes can't be changed.
    assert_eq!(complete(&client, &upload).await.json(), completed);
    put(&home, &upload, bytes).await.error(409, "conflict");
    assert_eq!(content(&client, id_of(&upload), &[]).await.body, &bytes[..]);
    client.delete(&format!("/v1/files/uploads/{}", id_of(&upload))).await.error(409, "conflict");
    home.stop().await;
}

#[tokio::test]
async fn upload_without_its_signature_or_room_is_refused() {
    let home =
        Setup::new().settings("[files]\nmax_bytes = 50\nuser_max_bytes = 60\n").without_node().start().await;
    let client = home.client();
    for (body, param) in [
        (json!({"filename": "a", "purpose": "user_data"}), "bytes"),
        (json!({"filename": "a", "purpose": "user_data", "bytes": -1}), "bytes"),
        (json!({"filename": "", "purpose": "user_data", "bytes": 1}), "filename"),
        (json!({"filename": "a", "purpose": "fun", "bytes": 1}), "purpose"),
        (json!({"filename": "a", "purpose": "user_data", "bytes": 1, "color": 1}), "color"),
        (
            json!({"filename": "a", "purpose": "user_data", "bytes": 1, "expires_after": {"anchor": "created_at", "seconds": 1}}),
            "expires_after.seconds",
        ),
    ] {
        let error = client.post("/v1/files/uploads", &body).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{body}");
    }
    client.post("/v1/files/uploads", &request(51)).await.error(413, "payload_too_large");
    let (one, other) = (begin(&client, 40).await, begin(&client, 40).await);
    // The signature of one upload is none for the other.
    let path = |upload: &Value, query: &str| format!("/v1/files/uploads/{}/content?{query}", id_of(upload));
    let url = one["put"]["url"].as_str().unwrap();
    let query = url.split_once('?').unwrap().1;
    let later = query.replacen("expires=", "expires=9", 1);
    for path in
        [path(&other, query), path(&one, &later), path(&one, ""), path(&one, "expires=1&signature=AAAA")]
    {
        let sent = client.send(client.request(Method::PUT, &path).body(vec![0; 40])).await;
        sent.error(403, "forbidden");
    }
    for upload in [&one, &other] {
        assert_eq!(put(&home, upload, &[0; 40]).await.status, 204);
    }
    assert_eq!(complete(&client, &one).await.status, 200);
    complete(&client, &other).await.error(429, "quota_exceeded");
    complete(&client, &other).await.error(404, "not_found");
    let cancelled = begin(&client, 5).await;
    let answer = client.delete(&format!("/v1/files/uploads/{}", id_of(&cancelled))).await.json();
    assert_eq!(answer["status"], "cancelled");
    put(&home, &cancelled, &[0; 5]).await.error(404, "not_found");
    let lasting = std::fs::read_dir(home.data().join("objects/lasting")).unwrap().count();
    assert_eq!(lasting, 1, "bytes of refused uploads are left");
    home.stop().await;
}

#[tokio::test]
async fn compressed_bytes_are_refused() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let upload = begin(&client, 4).await;
    let path = upload["put"]["url"].as_str().unwrap().strip_prefix(&home.url).unwrap();
    let put = client.request(Method::PUT, path).header("content-encoding", "gzip").body("gzip");
    client.send(put).await.error(415, "unsupported_media_type");
    let file = upload_request(&client, form(&[("purpose", "user_data")], Some(("a.txt", b"gzip"))));
    client.send(file.header("content-encoding", "gzip")).await.error(415, "unsupported_media_type");
    assert_eq!(client.get("/v1/files").await.json()["data"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn bytes_that_arrive_after_the_cancellation_are_deleted() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let upload = begin(&client, 100_000).await;
    let path = upload["put"]["url"].as_str().unwrap().strip_prefix(&home.url).unwrap().to_owned();
    let (more, pieces) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    more.unbounded_send(Ok(vec![7; 50_000])).unwrap();
    let request = client.request(Method::PUT, &path).body(reqwest::Body::wrap_stream(pieces));
    let sent = tokio::spawn({
        let client = client.clone();
        async move { client.send(request).await }
    });
    let lasting = home.data().join("objects/lasting");
    let count = || std::fs::read_dir(&lasting).map(Iterator::count).unwrap_or_default();
    hearth_tests::eventually("the first bytes", async || (count() > 0).then_some(())).await;
    let cancelled = client.delete(&format!("/v1/files/uploads/{}", id_of(&upload))).await;
    assert_eq!(cancelled.status, 200);
    more.unbounded_send(Ok(vec![7; 50_000])).unwrap();
    drop(more);
    sent.await.unwrap().error(404, "not_found");
    assert_eq!(count(), 0, "the bytes are left");
    home.stop().await;
}

#[tokio::test]
async fn uploads_in_progress_are_limited_and_cancelled_ones_free() {
    let home = Setup::new().settings("[files]\nuser_max_bytes = 1000\n").without_node().start().await;
    let client = home.client();
    client.post("/v1/files/uploads", &request(1001)).await.error(429, "quota_exceeded");
    let mut uploads = Vec::new();
    for _ in 0..64 {
        uploads.push(begin(&client, 5).await);
    }
    let error = client.post("/v1/files/uploads", &request(5)).await.error(429, "quota_exceeded");
    let details = &error["details"];
    for (name, expected) in [
        ("subject", json!("uploads")),
        ("used_count", json!(64)),
        ("max_count", json!(64)),
        ("used_bytes", json!(320)),
        ("needed_bytes", json!(5)),
    ] {
        assert_eq!(details[name], expected, "{name}: {error}");
    }
    crate::upload(&client, "a.txt", b"x").await.error(429, "quota_exceeded");
    assert_eq!(client.delete(&format!("/v1/files/uploads/{}", id_of(&uploads[0]))).await.status, 200);
    begin(&client, 5).await;
    assert_eq!(put(&home, &uploads[1], b"hello").await.status, 204);
    assert_eq!(complete(&client, &uploads[1]).await.status, 200);
    begin(&client, 5).await;
    home.stop().await;
}

#[tokio::test]
async fn uploads_in_progress_are_listed_until_they_end() {
    let (home, token) = Home::start_without_node().await.restart_with_a_stranger().await;
    let client = home.client();
    let in_steps = begin(&client, 5).await;
    let body = json!({"filename": "a.txt", "purpose": "vision", "bytes": 9, "mime_type": "text/plain"});
    let in_parts = client.post("/v1/uploads", &body).await.json();
    // Of the first one without its signed request.
    let mut listed = in_steps.clone();
    listed.as_object_mut().unwrap().remove("put");
    let (first, last) = (id_of(&in_parts), id_of(&in_steps));
    assert_eq!(
        client.get("/v1/uploads").await.json(),
        json!({
            "object": "list", "data": [in_parts, listed], "first_id": first, "last_id": last,
            "has_more": false, "next_cursor": null,
        })
    );
    let page = client.get("/v1/uploads?limit=1").await.json();
    assert_eq!((&page["data"], &page["has_more"]), (&json!([in_parts]), &json!(true)));
    let next = format!("/v1/uploads?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let page = client.get(&next).await.json();
    assert_eq!((&page["data"], &page["next_cursor"]), (&json!([listed]), &Value::Null));
    let stranger = home.client().with_token(Some(&token));
    assert_eq!(stranger.get("/v1/uploads").await.json()["data"], json!([]));
    assert_eq!(stranger.get(&next).await.error(400, "invalid_request")["param"], "cursor");

    assert_eq!(put(&home, &in_steps, b"hello").await.status, 204);
    assert_eq!(complete(&client, &in_steps).await.status, 200);
    assert_eq!(client.get("/v1/uploads").await.json()["data"], json!([in_parts]));
    client.post(&format!("/v1/uploads/{first}/cancel"), &json!({})).await;
    assert_eq!(client.get("/v1/uploads").await.json()["data"], json!([]));
    // A form is one while it is received.
    let whole = form(&[("purpose", "user_data")], Some(("b.txt", b"hello")));
    let (cut, rest) = whole.split_at(whole.len() - 12);
    let (more, pieces) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    more.unbounded_send(Ok(cut.to_vec())).unwrap();
    let form = upload_request(&client, Vec::new()).body(reqwest::Body::wrap_stream(pieces));
    let sent = tokio::spawn({
        let client = client.clone();
        async move { client.send(form).await }
    });
    let form = hearth_tests::eventually("the form in the list", async || {
        let list = client.get("/v1/uploads").await.json();
        list["data"].get(0).cloned()
    })
    .await;
    assert_eq!((&form["filename"], &form["status"]), (&json!(""), &json!("pending")));
    more.unbounded_send(Ok(rest.to_vec())).unwrap();
    drop(more);
    let file = sent.await.unwrap().json();
    assert_eq!(file["id"], form["id"]);
    assert_eq!(client.get("/v1/uploads").await.json()["data"], json!([]));
    home.stop().await;
}

#[tokio::test]
async fn empty_file_is_uploaded_with_and_without_its_bytes() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let (sent, unsent) = (begin(&client, 0).await, begin(&client, 0).await);
    assert_eq!(put(&home, &sent, b"").await.status, 204);
    for upload in [&sent, &unsent] {
        let file = complete(&client, upload).await.json();
        assert_eq!((&file["bytes"], &file["media_type"]), (&json!(0), &json!("text/plain")), "{file}");
        let read = content(&client, id_of(upload), &[]).await;
        assert_eq!((read.status.as_u16(), read.body.len()), (200, 0));
    }
    let file = crate::stored(&client, "empty.txt", b"").await;
    assert_eq!(content(&client, id_of(&file), &[]).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn form_that_a_kill_has_cut_gives_its_place_back() {
    // Two forms without a length fill the room for uploads.
    let settings = "[files]\nuser_max_bytes = 1000\nmax_bytes = 1000\n";
    let home = Setup::new().settings(settings).without_node().start().await;
    let client = home.client();
    let whole = form(&[("purpose", "user_data")], Some(("a.txt", b"hello")));
    let part = whole[..whole.len() - 12].to_vec();
    for _ in 0..2 {
        let (client, part) = (client.clone(), part.clone());
        // It stops before its end, and is sent again where the loop below had the place. The kill ends it.
        tokio::spawn(async move {
            loop {
                let first = futures::stream::once(std::future::ready(Ok::<_, std::io::Error>(part.clone())));
                let body = reqwest::Body::wrap_stream(first.chain(futures::stream::pending()));
                match upload_request(&client, Vec::new()).body(body).send().await {
                    Ok(answer) if answer.status() == 429 => {}
                    _ => break,
                }
            }
        });
    }
    let error = hearth_tests::eventually("two uploads in progress", async || {
        let answer = client.post("/v1/files/uploads", &request(1)).await;
        match answer.status.as_u16() {
            429 => Some(answer.error(429, "quota_exceeded")),
            _ => {
                let id = id_of(&answer.json()).to_owned();
                client.delete(&format!("/v1/files/uploads/{id}")).await;
                None
            }
        }
    })
    .await;
    assert_eq!(error["details"]["used_count"], 2, "{error}");
    let home = home.crash_and_restart().await;
    begin(&home.client(), 1).await;
    assert_eq!(crate::upload(&home.client(), "a.txt", b"x").await.status, 200);
    home.stop().await;
}
