//! `/v1/requests`: the list of runs, their deletion and their replay.

use std::fs;

use hearth_domain::{FinishReason, Message, Role, Run, RunId, RunState, Timestamp};
use hearth_gateway::{Caller, Gateway, HttpClients, Options, Routing};
use hearth_store::{conversations::Conversation, database::Durability};
use hearth_tests::{Answer, Client, Home, Setup, endless_run, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{capital_of_france, people::member, with};

/// Longer than a text in a record.
const LONG_TEXT_BYTES: usize = 40 << 10;

async fn generate(client: &Client, body: &Value) -> String {
    let answer = client.post("/v1/generate", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["request_id"].as_str().unwrap().to_owned()
}

async fn list(client: &Client, query: &str) -> Value {
    let answer = client.get(&format!("/v1/requests?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn ids(list: &Value) -> Vec<String> {
    let requests = list["requests"].as_array().unwrap();
    requests.iter().map(|request| request["request_id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of the list, once it has `count` requests: a record may be a moment behind its answer.
async fn ids_of(client: &Client, query: &str, count: usize) -> Vec<String> {
    eventually("the records of the requests", async || {
        let listed = ids(&list(client, query).await);
        (listed.len() == count).then_some(listed)
    })
    .await
}

async fn replay(client: &Client, id: &str, query: &str) -> Answer {
    client.send(client.request(Method::POST, &format!("/v1/requests/{id}/replay{query}"))).await
}

/// A request that is cancelled in the middle of its answer.
async fn cancelled(client: &Client, body: &Value) -> String {
    let mut stream = client.stream("/v1/generate", body).await;
    stream.next_named("delta").await;
    client.delete(&format!("/v1/requests/{}", stream.request_id)).await;
    stream.request_id.clone()
}

#[tokio::test]
async fn requests_are_listed_newest_first_in_pages() {
    let home = Home::start().await;
    let client = home.client();
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(generate(&client, &capital_of_france()).await);
    }
    sent.reverse();
    assert_eq!(ids_of(&client, "", 5).await, sent);

    let (mut read, mut cursor) = (Vec::new(), String::new());
    for expected in [2, 2, 1] {
        let page = list(&client, &format!("limit=2{cursor}")).await;
        assert_eq!(ids(&page).len(), expected);
        read.extend(ids(&page));
        cursor = page["next_cursor"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
    }
    assert_eq!((read, cursor.as_str()), (sent.clone(), ""));

    let entry = &list(&client, "limit=1").await["requests"][0];
    assert_eq!((&entry["status"], &entry["model"]), (&json!("completed"), &json!(home.model)));
    assert!(entry["token"].as_str().unwrap().starts_with("tok_"), "{entry}");
    assert!(entry["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{entry}");
    assert!(entry.get("output").is_none() && entry["finished_at"].is_string(), "{entry}");
    let status = client.get(&format!("/v1/requests/{}", sent[0])).await.json();
    assert_eq!((&status["token"], &status["selection"]["fallback_used"]), (&entry["token"], &json!(false)));
    assert_eq!(status["selection"]["selected_model"], home.model.as_str());
    home.stop().await;
}

#[tokio::test]
async fn list_is_filtered_by_state_model_token_and_time() {
    let home = Setup::new().models(&["other"]).start().await;
    let client = home.client();
    let created = client.post("/v1/users/tokens", &json!({"name": "laptop"})).await.json();
    let laptop = client.with_token(created["token"].as_str());
    let first = generate(&client, &capital_of_france()).await;
    let second = generate(&client, &with(capital_of_france(), "model", "other")).await;
    let third = generate(&laptop, &capital_of_france()).await;
    let stopped = cancelled(&client, &endless_run()).await;
    ids_of(&client, "", 4).await;

    let token = created["id"].as_str().unwrap();
    assert_eq!(ids(&list(&client, "state=cancelled").await), [stopped.as_str()]);
    assert_eq!(ids(&list(&client, "state=cancelled,failed,queued").await), [stopped.as_str()]);
    assert_eq!(ids(&list(&client, "model=other").await), [second.as_str()]);
    assert_eq!(ids(&list(&client, &format!("token={token}")).await), [third.as_str()]);
    assert_eq!(ids(&list(&client, "state=failed").await), Vec::<String>::new());
    // The index sorts by the times of the ids.
    let at = async |id: &str| {
        let request = client.get(&format!("/v1/requests/{id}")).await.json();
        request["created_at"].as_str().unwrap().to_owned()
    };
    let (from, to) = (at(&second).await, at(&third).await);
    let between = ids(&list(&client, &format!("from={from}&to={to}")).await);
    assert!(between.contains(&third) && !between.contains(&first), "{between:?}");
    assert_eq!(ids(&list(&client, "to=2020-01-01").await), Vec::<String>::new());
    assert_eq!(ids(&list(&client, "from=2096-01-01").await), Vec::<String>::new());
    assert_eq!(ids(&list(&client, "from=2096-01-01&to=2020-01-01").await), Vec::<String>::new());
    // Every page of a narrow filter, and a cursor that is of this filter alone.
    let page = list(&client, "state=completed&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&list(&client, &format!("state=completed&cursor={cursor}")).await).len(), 2);
    for query in [format!("state=failed&cursor={cursor}"), "cursor=forged".to_owned(), "cursor=".to_owned()] {
        let error = client.get(&format!("/v1/requests?{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], "cursor", "{query}");
    }
    for (query, param) in [
        ("state=done", "state"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
    ] {
        let error = client.get(&format!("/v1/requests?{query}")).await.error(400, "invalid_request");
        assert_eq!(error["param"], param, "{query}");
    }
    client.get("/v1/requests?unknown=1").await.error(400, "invalid_request");
    client.get("/v1/requests?limit=many").await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn requests_of_another_user_are_neither_listed_nor_deleted_nor_replayed() {
    let home = Home::start().await;
    let (client, other) = (home.client(), member(&home, "ada@example.org", "developer").await.client);
    let own = generate(&client, &with(capital_of_france(), "store", true)).await;
    let theirs = generate(&other, &with(capital_of_france(), "store", true)).await;
    assert_eq!(ids_of(&client, "", 1).await, [own.as_str()]);
    assert_eq!(ids_of(&other, "", 1).await, [theirs]);
    let cursor = {
        generate(&client, &capital_of_france()).await;
        ids_of(&client, "", 2).await;
        list(&client, "limit=1").await["next_cursor"].as_str().unwrap().to_owned()
    };
    other.get(&format!("/v1/requests?limit=1&cursor={cursor}")).await.error(400, "invalid_request");
    other.delete(&format!("/v1/requests/{own}/record")).await.error(404, "not_found");
    replay(&other, &own, "").await.error(404, "not_found");
    client.delete("/v1/requests/nonsense/record").await.error(404, "not_found");
    assert_eq!(client.get(&format!("/v1/requests/{own}")).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn access_key_lists_and_replays_its_own_requests_alone() {
    let home = Home::start().await;
    let client = home.client();
    let body = json!({"name": "guest", "models": [home.model]});
    let created = client.post("/v1/users/access-keys", &body).await;
    assert_eq!(created.status, 201, "{created:?}");
    let guest = client.with_token(created.json()["key"].as_str());
    let own = generate(&client, &with(capital_of_france(), "store", true)).await;
    let guests = generate(&guest, &with(capital_of_france(), "store", true)).await;
    assert_eq!(ids_of(&client, "", 2).await, [guests.as_str(), own.as_str()]);
    assert_eq!(ids_of(&guest, "", 1).await, [guests.as_str()]);
    for id in [&own, &guests] {
        guest.delete(&format!("/v1/requests/{id}/record")).await.error(403, "forbidden");
    }
    replay(&guest, &own, "").await.error(404, "not_found");
    assert_eq!(replay(&guest, &guests, "").await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn deleted_request_leaves_nothing_behind() {
    let home = Home::start().await;
    let client = home.client();
    let body = json!({"model": home.model, "input": "plantedprompt", "max_output_tokens": 8});
    let response = client.post("/v1/responses", &body).await.json();
    let id = response["id"].as_str().unwrap().to_owned();
    let short = json!({"input": {"prompt": "plantedprompt"}, "parameters": {"max_tokens": 4}, "store": true});
    let stored = generate(&client, &short).await;
    let other = generate(&client, &capital_of_france()).await;
    ids_of(&client, "", 3).await;
    for id in [&id, &stored] {
        let answer = client.delete(&format!("/v1/requests/{id}/record")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json(), json!({"request_id": id, "deleted": true}));
        client.get(&format!("/v1/requests/{id}")).await.error(404, "not_found");
        client.get(&format!("/v1/requests/{id}/events")).await.error(404, "not_found");
        client.get(&format!("/v1/responses/{id}")).await.error(404, "not_found");
        client.delete(&format!("/v1/requests/{id}/record")).await.error(404, "not_found");
        replay(&client, id, "").await.error(404, "not_found");
    }
    assert_eq!(ids(&list(&client, "").await), [other]);
    let (home, items) = home
        .restart_after(async |store| {
            let page = store.database().scan(None).await.unwrap();
            // The audit log names what was deleted.
            let items = page.items.iter().filter(|item| !item.key.pk.starts_with("AUD"));
            items.map(|item| format!("{item:?}")).collect::<Vec<_>>()
        })
        .await;
    for word in [id.as_str(), stored.as_str(), "plantedprompt"] {
        assert!(!items.iter().any(|item| item.contains(word)), "{word} is left");
    }
    home.stop().await;
}

#[tokio::test]
async fn request_in_progress_is_cancelled_before_it_can_be_deleted() {
    let home = Home::start().await;
    let client = home.client();
    let mut stream = client.stream("/v1/generate", &endless_run()).await;
    stream.next_named("delta").await;
    let path = format!("/v1/requests/{}", stream.request_id);
    client.delete(&format!("{path}/record")).await.error(409, "conflict");
    // Without the record: the route cancels, as before.
    assert_eq!(client.delete(&path).await.json()["cancelled"], true);
    assert_eq!(client.delete(&format!("{path}/record")).await.status, 200);
    client.get(&path).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn stored_request_is_replayed_as_a_new_run_with_a_link_to_the_earlier() {
    let home = Setup::new().models(&["other"]).start().await;
    let client = home.client();
    let body = with(with(capital_of_france(), "store", true), "system_prompt", "Answer.");
    let first = client.post("/v1/generate", &body).await.json();
    let id = first["request_id"].as_str().unwrap();
    let again = replay(&client, id, "").await;
    assert_eq!(again.status, 200, "{again:?}");
    let again = again.json();
    assert_eq!((&again["output"], &again["model"]), (&first["output"], &first["model"]));
    let new = again["request_id"].as_str().unwrap();
    assert_ne!(new, id);
    let status = client.get(&format!("/v1/requests/{new}")).await.json();
    assert_eq!(status["replay_of"], id);
    assert!(client.get(&format!("/v1/requests/{id}")).await.json().get("replay_of").is_none());

    // A replay can be replayed, by another model, and streamed.
    let other = replay(&client, new, "?model=other").await.json();
    assert_eq!(other["model"], "other", "{other}");
    let request = client.request(Method::POST, &format!("/v1/requests/{new}/replay?stream=true"));
    let mut stream = client.events(request).await;
    assert_eq!(stream.next_named("complete").await.data["output"], first["output"]);
    let listed = list(&client, "").await;
    let origins: Vec<_> =
        listed["requests"].as_array().unwrap().iter().map(|run| &run["replay_of"]).collect();
    assert_eq!(origins, [&json!(new), &json!(new), &json!(id), &Value::Null]);
    replay(&client, id, "?stream=perhaps").await.error(400, "invalid_request");
    replay(&client, id, "?temperature=1").await.error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn cancelled_request_is_replayed_and_one_without_its_prompt_is_refused_with_the_ways() {
    let home = Home::start().await;
    let client = home.client();
    let stopped = cancelled(&client, &with(endless_run(), "store", true)).await;
    let request = client.request(Method::POST, &format!("/v1/requests/{stopped}/replay?stream=true"));
    let mut stream = client.events(request).await;
    stream.next_named("delta").await;
    client.delete(&format!("/v1/requests/{}", stream.request_id)).await;
    // The earlier one stays as it was.
    assert_eq!(client.get(&format!("/v1/requests/{stopped}")).await.json()["status"], "cancelled");

    let without = generate(&client, &capital_of_france()).await;
    let error = replay(&client, &without, "").await.error(409, "conflict");
    let message = error["message"].as_str().unwrap();
    for way in ["store: true", "requests.store", "/v1/sessions/{id}/regenerate"] {
        assert!(message.contains(way), "{message}");
    }
    client
        .post("/v1/generate", &with(capital_of_france(), "store", "yes"))
        .await
        .error(400, "invalid_request");
    home.stop().await;
}

#[tokio::test]
async fn response_is_replayed_from_its_conversation() {
    let home = Home::start().await;
    let client = home.client();
    let question = "What is the capital of France?";
    let body = json!({"model": home.model, "input": question, "temperature": 0, "max_output_tokens": 16});
    let first = client.post("/v1/responses", &body).await.json();
    let text = first["output"][0]["content"][0]["text"].clone();
    let next = json!({
        "model": home.model, "input": "And again?", "temperature": 0, "max_output_tokens": 16,
        "previous_response_id": first["id"],
    });
    let second = client.post("/v1/responses", &next).await.json();
    for (response, text) in [(&first, text), (&second, second["output"][0]["content"][0]["text"].clone())] {
        let again = replay(&client, response["id"].as_str().unwrap(), "").await;
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(again.json()["output"]["text"], text);
    }
    home.stop().await;
}

#[tokio::test]
async fn setting_stores_the_requests_of_every_dialect_unless_they_say_otherwise() {
    let home = Setup::new().settings("[requests]\nstore = true\n").start().await;
    let client = home.client();
    let chat = json!({
        "model": home.model, "temperature": 0, "max_tokens": 16,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    });
    let messages = json!({
        "model": home.model, "temperature": 0, "max_tokens": 16,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    });
    for (path, body) in [("/v1/chat/completions", chat.clone()), ("/v1/messages", messages)] {
        let answer = client.post(path, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let again = replay(&client, answer.header("x-request-id"), "").await;
        assert_eq!(again.status, 200, "{path}: {again:?}");
        assert!(again.json()["output"]["text"].as_str().unwrap().contains("Paris"), "{path}");
    }
    for (path, body) in [
        ("/v1/generate", with(capital_of_france(), "store", false)),
        ("/v1/chat/completions", with(chat, "store", false)),
    ] {
        let answer = client.post(path, &body).await;
        replay(&client, answer.header("x-request-id"), "").await.error(409, "conflict");
    }
    home.stop().await;
}

#[tokio::test]
async fn record_whose_text_has_expired_says_so() {
    let home = Home::start().await;
    let created = Timestamp::now();
    let (home, id) = home
        .restart_after(async |store| {
            let run = Run {
                state: RunState::Completed,
                text: "x".repeat(LONG_TEXT_BYTES),
                created_at: created,
                finished_at: Some(created),
                finish_reason: Some(FinishReason::Stop),
                id: RunId::first_of(created),
                ..Run::example(store.operator().await.unwrap())
            };
            store.runs().record_ended(&run, &[]).await.unwrap();
            run.id.to_string()
        })
        .await;
    let client = home.client();
    let path = format!("/v1/requests/{id}");
    let whole = client.get(&path).await.json();
    assert_eq!(whole["output"]["text"].as_str().unwrap().len(), LONG_TEXT_BYTES);
    assert!(whole.get("output_expired").is_none(), "{whole}");
    for file in fs::read_dir(home.data().join("objects")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let expired = client.get(&path).await;
    assert_eq!(expired.status, 200, "{expired:?}");
    let expired = expired.json();
    assert_eq!((&expired["output_expired"], &expired["output"]["text"]), (&json!(true), &json!("")));
    assert_eq!(expired["status"], "completed");
    assert_eq!(ids(&list(&client, "").await), [id.as_str()]);
    let events = client.request(Method::GET, &format!("{path}/events"));
    let mut events = client.events(events).await;
    assert_eq!(events.next_named("complete").await.data["finish_reason"], whole["finish_reason"]);
    assert_eq!(client.delete(&format!("{path}/record")).await.status, 200);
    home.stop().await;
}

#[tokio::test]
async fn shorter_retention_hides_older_records() {
    let home = Setup::new().settings("").start().await;
    let old = Timestamp::from_unix(Timestamp::now().unix() - 2 * 24 * 3600);
    let (home, id) = home
        .restart_after(async |store| {
            let run = Run {
                state: RunState::Completed,
                id: RunId::first_of(old),
                created_at: old,
                ..Run::example(store.operator().await.unwrap())
            };
            store.runs().record_ended(&run, &[]).await.unwrap();
            run.id.to_string()
        })
        .await;
    assert_eq!(ids(&list(&home.client(), "").await), [id.as_str()]);
    fs::write(home.folder().join("hearth.toml"), "[requests]\nretention_days = 1\n").unwrap();
    let home = home.restart().await;
    assert_eq!(ids(&list(&home.client(), "").await), Vec::<String>::new());
    home.client().get(&format!("/v1/requests/{id}")).await.error(404, "not_found");
    home.stop().await;
}

#[tokio::test]
async fn conversation_that_is_stored_behind_a_deletion_is_deleted_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = hearth_store::home::open(folder.path(), Durability::Os).unwrap();
    store.migrate().await.unwrap();
    let options = Options { long_lived: true, ..Options::default() };
    let gateway = Gateway::new(store.clone(), HttpClients::new().unwrap(), options, Routing::default());
    let caller = Caller::example();
    let run = Run {
        state: RunState::Completed,
        organisation: Some(caller.organisation),
        finished_at: Some(Timestamp::now()),
        ..Run::example(caller.user)
    };
    store.runs().record_ended(&run, &[]).await.unwrap();
    gateway.delete_request(&caller, run.id).await.unwrap();
    // A response's conversation comes behind its record.
    let messages = vec![Message::new(Role::User, "Hi")];
    let conversation = Conversation { messages, ..Conversation::default() };
    store.conversations().put(run.id, caller.owner(), &conversation).await.unwrap();
    eventually("the second pass of the deletion", async || {
        let left = store.conversations().get(run.id, caller.owner()).await.unwrap();
        let (entries, _) = store.owned().page(caller.user, None, 10).await.unwrap();
        (left.is_none() && entries.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn response_of_a_conversation_is_not_replayed_without_its_context() {
    let home = Home::start().await;
    let client = home.client();
    let conversation = client.post("/v1/conversations", &json!({})).await.json();
    let body = json!({
        "model": home.model, "input": "Hi", "max_output_tokens": 8, "conversation": conversation["id"],
    });
    let response = client.post("/v1/responses", &body).await;
    assert_eq!(response.status, 200, "{response:?}");
    let error = replay(&client, response.json()["id"].as_str().unwrap(), "").await.error(409, "conflict");
    assert!(error["message"].as_str().unwrap().contains("regenerate"), "{error}");
    home.stop().await;
}
