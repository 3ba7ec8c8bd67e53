//! Artifacts: listed, read in parts and deleted.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hearth_tests::{Client, Home, Reply, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::PNG;

async fn start(settings: &str) -> (Home, Upstream) {
    let upstream = Upstream::start().await;
    let settings = format!(
        "{settings}\n[providers.rig]\nkind = 'openai_compatible'\nbase_url = '{}/v1'\napi_key = 'sk-rig'\nmodels = ['dall-e-3']\n",
        upstream.url
    );
    (Setup::new().settings(&settings).without_node().start().await, upstream)
}

async fn draw(client: &Client, upstream: &Upstream, options: &Value) -> Value {
    upstream.reply(Reply::json(200, &json!({"created": 1, "data": [{"b64_json": PNG}]})));
    let mut body = json!({"model": "rig:dall-e-3", "input": {"prompt": "a fox"}});
    for (name, value) in options.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = client.post("/v1/generate", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn artifacts_are_listed_by_run_and_type_and_deleted() {
    let (home, upstream) = start("").await;
    let (home, token) = home.restart_with_a_stranger().await;
    let (client, stranger) = (home.client(), home.client().with_token(Some(&token)));
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(draw(&client, &upstream, &json!({})).await);
    }
    let id = |run: &Value| run["output"]["images"][0]["id"].as_str().unwrap().to_owned();
    let list = async |query: &str| client.get(&format!("/v1/artifacts{query}")).await.json();
    let all = list("").await;
    let ids: Vec<_> = all["artifacts"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [id(&runs[2]), id(&runs[1]), id(&runs[0])]);
    let first = &all["artifacts"][2];
    assert_eq!((&first["type"], &first["request_id"]), (&json!("image"), &runs[0]["request_id"]));
    let link = first["url"].as_str().unwrap().strip_prefix(&home.url).unwrap();
    assert_eq!(client.with_token(None).get(link).await.status, 200, "the list has links");
    let of_run = list(&format!("?run={}", runs[1]["request_id"].as_str().unwrap())).await;
    assert_eq!(of_run["artifacts"].as_array().map(Vec::len), Some(1));
    assert_eq!(list("?type=mesh").await["artifacts"], json!([]));
    let page = list("?limit=2").await;
    let rest = list(&format!("?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&rest["artifacts"][0]["id"], &rest["next_cursor"]), (&json!(id(&runs[0])), &Value::Null));
    for (query, param) in
        [("?limit=0", "limit"), ("?type=film", "type"), ("?run=x", "run"), ("?cursor=x", "cursor")]
    {
        let error = client.get(&format!("/v1/artifacts{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], param);
    }
    assert_eq!(stranger.get("/v1/artifacts").await.json()["artifacts"], json!([]));

    let path = format!("/v1/artifacts/{}", id(&runs[0]));
    stranger.delete(&path).await.error(404, "not_found");
    assert_eq!(client.delete(&path).await.json(), json!({"id": id(&runs[0]), "deleted": true}));
    client.get(&path).await.error(404, "not_found");
    client.with_token(None).get(link).await.error(404, "not_found");
    client.delete(&path).await.error(404, "not_found");
    assert_eq!(list("").await["artifacts"].as_array().map(Vec::len), Some(2));
    // The run is still there.
    let run = format!("/v1/requests/{}", runs[0]["request_id"].as_str().unwrap());
    assert_eq!(client.get(&run).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn artifact_is_read_in_parts_by_its_link() {
    let (home, upstream) = start("").await;
    let client = home.client();
    let run = draw(&client, &upstream, &json!({})).await;
    let link =
        run["output"]["images"][0]["url"].as_str().unwrap().strip_prefix(&home.url).unwrap().to_owned();
    let stranger = client.with_token(None);
    let range = stranger.request(Method::GET, &link).header("range", "bytes=1-3");
    let part = stranger.send(range).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"PNG"[..]));
    let whole = stranger.get(&link).await;
    assert_eq!(whole.body, BASE64_STANDARD.decode(PNG).unwrap());
    assert_eq!(whole.header("content-type"), "image/png");
    home.stop().await;
}

#[tokio::test]
async fn image_is_in_the_response_if_it_is_asked_for_and_small() {
    let (home, upstream) = start("").await;
    let image =
        draw(&home.client(), &upstream, &json!({"inline": true})).await["output"]["images"][0].clone();
    assert_eq!((&image["data"], image["url"].is_string()), (&json!(PNG), true), "{image}");
    let image = draw(&home.client(), &upstream, &json!({})).await["output"]["images"][0].clone();
    assert!(image.get("data").is_none(), "{image}");
    home.stop().await;
    let (home, upstream) = start("[files]\ninline_max_bytes = 10\n").await;
    let image =
        draw(&home.client(), &upstream, &json!({"inline": true})).await["output"]["images"][0].clone();
    assert!(image.get("data").is_none() && image["url"].is_string(), "{image}");
    home.stop().await;
}

#[tokio::test]
async fn artifact_lives_as_long_as_the_setting_says() {
    let (home, upstream) = start("[files]\nartifact_days = 2\n").await;
    let run = draw(&home.client(), &upstream, &json!({})).await;
    let expires_at: hearth_domain::Timestamp =
        run["output"]["images"][0]["expires_at"].as_str().unwrap().parse().unwrap();
    let left = hearth_domain::Timestamp::now().until(expires_at).as_secs();
    assert!((2 * 24 * 3600 - 600..=2 * 24 * 3600).contains(&left), "{left}");
    home.stop().await;
}
