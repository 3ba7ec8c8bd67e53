//! Lists of the models that a provider's key can reach.

use std::time::Instant;

use hearth_tests::{Answer, Client, Home, Reply, Setup, Upstream, eventually};
use serde_json::{Value, json};

use crate::{ANSWER_TEXT, answer, chat};

const LIST: &str = "/v1/models";

fn list(names: &[&str]) -> Reply {
    let model = |name: &&str| json!({"id": name, "object": "model", "created": 7, "owned_by": "them"});
    Reply::json(200, &json!({"object": "list", "data": names.iter().map(model).collect::<Vec<_>>()}))
}

async fn home(upstream: &Upstream, more: &str) -> Home {
    let settings = format!("[providers.openai]\nbase_url = '{}/v1'\n{more}\n", upstream.url);
    Setup::new().settings(&settings).start().await
}

fn ids(answer: &Answer) -> Vec<String> {
    let response = answer.json();
    let models = response["data"].as_array().cloned().unwrap_or_default();
    models.iter().map(|model| model["id"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    ids(&client.get(&format!("{LIST}?{query}")).await)
}

#[tokio::test]
async fn listed_models_of_a_provider_are_in_the_list() {
    let upstream = Upstream::start().await;
    upstream.page(LIST, list(&["gpt-4o", "mine", "text-embedding-3-small", "whisper-1"]));
    let home = home(&upstream, "api_key = 'sk-rig'").await;
    let client = home.client();
    let own = ["openai:gpt-4o", "openai:mine", "openai:text-embedding-3-small"];
    assert_eq!(listed(&client, "provider=openai").await, own);
    // Models of nodes come first.
    let mut all = vec!["auto".to_owned(), "tiny-chat".to_owned()];
    all.extend(own.map(str::to_owned));
    assert_eq!(listed(&client, "").await, all);
    assert_eq!(listed(&client, "provider=local").await, ["tiny-chat"]);
    assert_eq!(listed(&client, "provider=openai&modality=embedding").await, own[2..]);
    assert_eq!(listed(&client, "status=available").await, all);
    assert_eq!(listed(&client, "status=loaded").await, ["tiny-chat"]);
    assert!(listed(&client, "status=out_of_credit").await.is_empty());
    client.get("/v1/models?status=well").await.error(400, "invalid_request");
    // A page may contain both.
    let page = client.get("/v1/models?limit=4").await.json();
    let cursor = page["next_cursor"].as_str().unwrap_or_default();
    assert_eq!(listed(&client, &format!("limit=4&cursor={cursor}")).await, own[2..]);

    let model = client.get("/v1/models/openai:gpt-4o").await.json();
    assert_eq!(
        (&model["name"], &model["context_length"], &model["price"]["input"], &model["availability"]),
        (&json!("GPT-4o (openai)"), &json!(128_000), &json!(2.5), &json!("available"))
    );
    assert_eq!((&model["object"], &model["created"]), (&json!("model"), &json!(7)));
    // A model without information has a name only.
    let mine = client.get("/v1/models/openai:mine").await.json();
    assert_eq!((&mine["price"], &mine["context_length"]), (&Value::Null, &Value::Null));
    client.get("/v1/models/openai:other").await.error(404, "model_not_found");

    // The provider receives one request, with the key, for any number of requests for the list.
    let requests = upstream.page_requests(LIST);
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].headers["authorization"], "Bearer sk-rig");
    let home = home.restart().await;
    assert_eq!(listed(&home.client(), "provider=openai").await, own);
    assert_eq!(upstream.page_requests(LIST).len(), 1, "the stored list was not used");
    home.stop().await;
}

#[tokio::test]
async fn new_key_is_used_at_once() {
    let upstream = Upstream::start().await;
    upstream.page(LIST, list(&["gpt-4o"]));
    let home = home(&upstream, "models = ['gpt-5']").await;
    let client = home.client();
    // Without a key no list is requested, and the models of the settings are unavailable.
    assert_eq!(listed(&client, "provider=openai&status=no_key").await, ["openai:gpt-5"]);
    assert!(upstream.page_requests(LIST).is_empty());
    let set = async |key: &str| {
        let request =
            client.request(reqwest::Method::PUT, "/v1/providers/openai/key").json(&json!({"key": key}));
        assert_eq!(client.send(request).await.status, 204);
    };
    set("sk-one").await;
    upstream.wait_for_page_requests(LIST, 1).await;
    let expected = ["openai:gpt-4o", "openai:gpt-5"];
    assert_eq!(listed(&client, "provider=openai").await, expected);
    // The settings name it, the list doesn't.
    assert_eq!(listed(&client, "provider=openai&status=unknown").await, expected[1..]);
    upstream.page(LIST, Reply::json(401, &json!({"error": {"message": "sk-two is wrong"}})));
    set("sk-two").await;
    upstream.wait_for_page_requests(LIST, 2).await;
    assert_eq!(upstream.page_requests(LIST)[1].headers["authorization"], "Bearer sk-two");
    eventually("the refusal of the key", async || {
        (listed(&client, "provider=openai&status=no_key").await == expected[1..]).then_some(())
    })
    .await;
    assert_eq!(upstream.page_requests(LIST).len(), 2, "the list was requested again at once");
    home.stop().await;
}

#[tokio::test]
async fn slow_list_does_not_delay_requests() {
    let upstream = Upstream::start().await;
    upstream.page(LIST, list(&["gpt-4o"]).then_silence());
    let home = home(&upstream, "api_key = 'sk-rig'\nmodels = ['big']").await;
    let client = home.client();
    upstream.wait_for_page_requests(LIST, 1).await;
    upstream.reply(answer());
    let began = Instant::now();
    let response = client.post("/v1/chat/completions", &chat("big")).await.json();
    assert_eq!(response["choices"][0]["message"]["content"], ANSWER_TEXT, "{response}");
    // The list itself waits a little, and then has the models of the settings and the catalog.
    let models = listed(&client, "provider=openai&status=unknown").await;
    assert!(
        models.contains(&"openai:big".to_owned()) && models.contains(&"openai:gpt-4o".to_owned()),
        "{models:?}"
    );
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert_eq!(upstream.page_requests(LIST).len(), 1);
    home.stop().await;
}

#[tokio::test]
async fn anthropic_clients_get_their_own_list_format() {
    let upstream = Upstream::start().await;
    upstream.page(LIST, list(&["gpt-4o", "gpt-5"]));
    let home = home(&upstream, "api_key = 'sk-rig'").await;
    let client = home.client();
    let get = async |path: &str| {
        let request = client.request(reqwest::Method::GET, path).header("anthropic-version", "2023-06-01");
        client.send(request).await
    };
    let page = get("/v1/models?limit=3").await.json();
    assert_eq!(page["data"][1]["id"], "tiny-chat", "{page}");
    let first = json!({
        "type": "model", "id": "openai:gpt-4o", "display_name": "GPT-4o (openai)",
        "created_at": "1970-01-01T00:00:07.000Z",
    });
    assert_eq!(page["data"][2], first, "{page}");
    assert_eq!((&page["has_more"], &page["last_id"]), (&json!(true), &json!("openai:gpt-4o")));
    let rest = get("/v1/models?limit=9&after_id=openai:gpt-4o").await;
    assert_eq!(ids(&rest), ["openai:gpt-5"]);
    assert_eq!(rest.json()["has_more"], false);
    assert_eq!(ids(&get("/v1/models?before_id=openai:gpt-4o").await), ["auto", "tiny-chat"]);
    assert_eq!(get("/v1/models/openai:gpt-4o").await.json(), first);
    let refused = get("/v1/models/nobody").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["type"]), (404, &json!("error")), "{refused:?}");
    assert_eq!(get("/v1/models?limit=0").await.json()["error"]["type"], "invalid_request_error");
    home.stop().await;
}
