//! Uploads in parts, as OpenAI's SDKs send large files.

use hearth_tests::{Answer, Client, Home, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{content, id_of};

async fn begin(client: &Client, bytes: usize) -> Value {
    let body =
        json!({"filename": "film.bin", "purpose": "user_data", "bytes": bytes, "mime_type": "video/mp4"});
    let answer = client.post("/v1/uploads", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn send_part(client: &Client, upload: &Value, bytes: &[u8]) -> Answer {
    let mut form =
        b"--x\r\nContent-Disposition: form-data; name=\"data\"; filename=\"blob\"\r\n\r\n".to_vec();
    form.extend(bytes);
    form.extend(b"\r\n--x--\r\n");
    let request = client.request(Method::POST, &format!("/v1/uploads/{}/parts", id_of(upload)));
    client.send(request.header("content-type", "multipart/form-data; boundary=x").body(form)).await
}

async fn part(client: &Client, upload: &Value, bytes: &[u8]) -> String {
    let answer = send_part(client, upload, bytes).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    id_of(&answer.json()).to_owned()
}

async fn complete(client: &Client, upload: &Value, parts: &[&String]) -> Answer {
    client.post(&format!("/v1/uploads/{}/complete", id_of(upload)), &json!({ "part_ids": parts })).await
}

fn lasting(home: &Home) -> usize {
    std::fs::read_dir(home.data().join("objects/lasting")).map(Iterator::count).unwrap_or_default()
}

#[tokio::test]
async fn parts_that_came_in_any_order_are_joined_in_that_of_the_completion() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7 % 251) as u8).collect();
    let upload = begin(&client, bytes.len()).await;
    let (first, rest) = bytes.split_at(1_000_000);
    let (second, third) = rest.split_at(1_500_000);
    // At the same time, the last one first.
    let (c, b, a) = tokio::join!(
        part(&client, &upload, third),
        part(&client, &upload, second),
        part(&client, &upload, first)
    );
    client.get(&format!("/v1/files/{}", id_of(&upload))).await.error(404, "not_found");
    complete(&client, &upload, &[&a, &b]).await.error(409, "conflict");
    complete(&client, &upload, &[&a, &a, &c]).await.error(400, "invalid_request");
    let completed = complete(&client, &upload, &[&a, &b, &c]).await.json();
    assert_eq!(
        (&completed["status"], &completed["file"]["bytes"]),
        (&json!("completed"), &json!(bytes.len()))
    );
    assert_eq!(complete(&client, &upload, &[&a, &b, &c]).await.json(), completed);
    assert_eq!(content(&client, id_of(&completed["file"]), &[]).await.body, &bytes[..]);
    // The parts are gone, and the file is deleted as any other.
    assert_eq!(lasting(&home), 1);
    send_part(&client, &upload, b"more").await.error(409, "conflict");
    assert_eq!(client.delete(&format!("/v1/files/{}", id_of(&completed["file"]))).await.status, 200);
    assert_eq!(lasting(&home), 0);
    home.stop().await;
}

#[tokio::test]
async fn parts_have_no_more_bytes_than_the_upload_and_leave_nothing_behind() {
    let home = Setup::new()
        .settings("[files]\nmax_bytes = 1000\nuser_max_bytes = 1500\n")
        .without_node()
        .start()
        .await;
    let client = home.client();
    let upload = begin(&client, 10).await;
    let six = part(&client, &upload, b"sixsix").await;
    send_part(&client, &upload, b"fives").await.error(413, "payload_too_large");
    let two = b"a\r\n--x\r\nContent-Disposition: form-data; name=\"data\"; filename=\"blob\"\r\n\r\nb";
    let error = send_part(&client, &upload, two).await.error(400, "invalid_request");
    assert_eq!(error["param"], "data");
    let four = part(&client, &upload, b"four").await;
    assert_eq!(lasting(&home), 2, "the bytes of the refused parts are left");
    let sent = client.post(&format!("/v1/uploads/{}/cancel", id_of(&upload)), &json!({})).await.json();
    assert_eq!(sent["status"], "cancelled");
    complete(&client, &upload, &[&six, &four]).await.error(404, "not_found");
    send_part(&client, &upload, b"late").await.error(404, "not_found");
    assert_eq!(lasting(&home), 0);
    let body = json!({"filename": "a", "purpose": "user_data", "bytes": 2000, "mime_type": "text/plain"});
    client.post("/v1/uploads", &body).await.error(413, "payload_too_large");
    home.stop().await;
}

#[tokio::test]
async fn upload_in_parts_survives_a_kill() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let upload = begin(&client, 8).await;
    let one = part(&client, &upload, b"half").await;
    let home = home.crash_and_restart().await;
    let client = home.client();
    let two = part(&client, &upload, b"rest").await;
    let completed = complete(&client, &upload, &[&one, &two]).await.json();
    assert_eq!(content(&client, id_of(&completed["file"]), &[]).await.body, &b"halfrest"[..]);
    home.stop().await;
}
