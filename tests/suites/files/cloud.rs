//! Files in the cloud: their bytes go to and from the bucket, and not through the function.

use hearth_tests::{Client, Cloud};
use lambda_emulator::Placement;
use reqwest::{Method, redirect::Policy};
use serde_json::{Value, json};

use crate::{content, id_of, stored};

/// A client that doesn't follow redirects.
fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

#[tokio::test]
async fn large_file_goes_to_and_from_the_bucket_by_signed_requests() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let bytes: Vec<u8> = [&b"<html>"[..], &vec![b'x'; 300 << 10]].concat();
    let request = json!({"filename": "page.html", "purpose": "user_data", "bytes": bytes.len()});
    let upload = client.post("/v1/files/uploads", &request).await.json();
    let (url, headers) = (upload["put"]["url"].as_str().unwrap(), upload["put"]["headers"].clone());
    assert!(!url.starts_with(&api.url()), "{url} is the function's");
    let put = |bytes: Vec<u8>| {
        let mut request = plain().put(url).body(bytes);
        for (name, value) in headers.as_object().unwrap() {
            if name != "content-length" {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        request.send()
    };
    // The size is signed.
    assert!(!put(bytes[1..].to_vec()).await.unwrap().status().is_success());
    let sent = put(bytes.clone()).await.unwrap();
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap());
    let complete = format!("/v1/files/uploads/{}/complete", id_of(&upload));
    let file = client.post(&complete, &json!({})).await.json();
    assert_eq!((&file["bytes"], &file["media_type"]), (&json!(bytes.len()), &json!("text/html")));

    let path = format!("{}/v1/files/{}/content", api.url(), id_of(&file));
    let redirect = plain().get(&path).bearer_auth(&cloud.token).send().await.unwrap();
    assert_eq!(redirect.status(), 307);
    let link = redirect.headers()["location"].to_str().unwrap().to_owned();
    assert!(!link.starts_with(&api.url()), "{link} is the function's");
    let read = plain().get(&link).header("range", "bytes=0-5").send().await.unwrap();
    assert_eq!(read.status(), 206);
    assert_eq!(read.bytes().await.unwrap(), &b"<html>"[..]);
    assert!(link.contains("response-content-disposition=attachment"), "{link}");
    // A client follows it by itself.
    assert!(content(&client, id_of(&file), &[]).await.body == bytes, "the bytes differ");
    assert_eq!(client.delete(&format!("/v1/files/{}", id_of(&file))).await.status, 200);
    assert!(!plain().get(&link).send().await.unwrap().status().is_success(), "the bytes are left");
}

#[tokio::test]
async fn small_file_goes_through_the_function() {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let file: Value = stored(&client, "a.txt", b"0123456789").await;
    let whole = content(&client, id_of(&file), &[]).await;
    assert_eq!((whole.status.as_u16(), &whole.body[..]), (200, &b"0123456789"[..]));
    let part = content(&client, id_of(&file), &[("range", "bytes=2-3")]).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"23"[..]));
    let head = client.request(Method::HEAD, &format!("/v1/files/{}/content", id_of(&file)));
    assert_eq!(client.send(head).await.status, 200);
    assert_eq!(client.get("/v1/files").await.json()["data"][0]["id"], file["id"]);
}
