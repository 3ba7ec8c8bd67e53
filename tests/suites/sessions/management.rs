//! Sessions created, listed, changed, reset, archived, closed, searched, exported and imported.

use std::collections::HashSet;

use hearth_domain::Timestamp;
use hearth_tests::{Answer, Client, Home, Setup, Upstream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{answer, create, played, prompt};

async fn put(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::PUT, path).json(body)).await
}

async fn patch(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::PATCH, path).json(body)).await
}

/// Carries out a turn, and returns its response.
async fn turn(client: &Client, session: &str, text: &str) -> Value {
    let mut body = prompt(text);
    body["model"] = json!("big");
    let reply = client.post(&format!("/v1/sessions/{session}/generate"), &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The messages of the active branch.
async fn messages(client: &Client, session: &str) -> Vec<Value> {
    let details = client.get(&format!("/v1/sessions/{session}")).await;
    assert_eq!(details.status, 200, "{details:?}");
    details.json()["messages"].as_array().unwrap().clone()
}

fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}

async fn ids(client: &Client, query: &str) -> Vec<String> {
    let list = client.get(&format!("/v1/sessions{query}")).await;
    assert_eq!(list.status, 200, "{list:?}");
    let list = list.json();
    let sessions = list["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn session_is_created_with_an_id_and_read_as_created() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let fields = json!({
        "title": " A poem ", "system_prompt": "Be brief.", "model": "tiny-chat",
        "context_overflow": "truncate_oldest", "metadata": {"a": "b"}, "state_tokens": {"cursor": 1},
    });
    let created = client.post("/v1/sessions", &fields).await;
    assert_eq!(created.status, 201, "{created:?}");
    let created = created.json();
    assert!(created["id"].as_str().unwrap().starts_with("sess_"));
    assert_eq!((&created["title"], &created["status"]), (&json!("A poem"), &json!("open")));
    assert_eq!(created["state_tokens"], json!({"cursor": 1}));
    let read = client.get(&format!("/v1/sessions/{}", created["id"].as_str().unwrap())).await.json();
    for (name, value) in created.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    assert_eq!((&read["messages"], &read["messages_cursor"]), (&json!([]), &Value::Null));
    // Without any field the title is open.
    let plain = client.post("/v1/sessions", &json!({})).await.json();
    assert_eq!((&plain["title"], &plain["context_overflow"]), (&Value::Null, &json!("truncate_middle")));
    home.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_in_the_contracts_shape_newest_first_by_pages() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let mut created = Vec::new();
    for number in 0..3 {
        created.push(create(&client, &json!({"title": format!("number {number}")})).await);
    }
    created.reverse();
    let list = client.get("/v1/sessions").await.json();
    for entry in list["sessions"].as_array().unwrap() {
        for name in ["id", "title", "last_used_at", "created_at"] {
            assert!(entry[name].is_string(), "{entry}");
        }
    }
    assert_eq!(ids(&client, "").await, created);
    // A turn moves the oldest one to the beginning.
    upstream.reply(answer("drip"));
    turn(&client, &created[2], "rain?").await;
    created.rotate_right(1);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/sessions?limit=1{cursor}")).await.json();
        listed.push(page["sessions"][0]["id"].as_str().unwrap().to_owned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed, created);
    // A cursor is bound to its list.
    let foreign = client.get(&format!("/v1/sessions?status=closed{cursor}")).await;
    assert_eq!((foreign.status.as_u16(), foreign.json()["error"]["param"].clone()), (400, json!("cursor")));
    for query in ["?limit=0", "?limit=201", "?cursor=x", "?status=lost", "?unknown=1"] {
        let refused = client.get(&format!("/v1/sessions{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {refused:?}");
    }
    home.stop().await;
}

#[tokio::test]
async fn change_replaces_named_fields_alone_and_null_removes_them() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let session = create(&client, &json!({"title": "before", "system_prompt": "Be brief."})).await;
    let path = format!("/v1/sessions/{session}");
    let changed = put(&client, &path, &json!({"title": "after"})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!((&changed["title"], &changed["system_prompt"]), (&json!("after"), &json!("Be brief.")));
    assert_eq!(client.get(&path).await.json()["title"], "after");
    assert_eq!(client.get("/v1/sessions").await.json()["sessions"][0]["title"], "after");
    let removed = put(&client, &path, &json!({"title": null, "system_prompt": null})).await.json();
    assert_eq!((&removed["title"], &removed["system_prompt"]), (&Value::Null, &Value::Null));
    for (body, param) in [
        (json!({"title": ""}), "title"),
        (json!({"title": "a\nb"}), "title"),
        (json!({"title": "x".repeat(201)}), "title"),
        (json!({"title": 5}), "title"),
        (json!({"titel": "x"}), "titel"),
        (json!({"model": ""}), "model"),
        (json!({"system_prompt": "x".repeat(70_000)}), "system_prompt"),
        (json!({"state_tokens": "x".repeat(40_000)}), "state_tokens"),
        (json!({"metadata": {"a": "x".repeat(513)}}), "metadata"),
        (json!({"context_overflow": "burst"}), "context_overflow"),
    ] {
        let refused = put(&client, &path, &body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]["param"]),
            (400, &json!(param)),
            "{body}"
        );
        let refused = client.post("/v1/sessions", &body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    home.stop().await;
}

#[tokio::test]
async fn messages_have_times_in_utc_and_the_answers_facts() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    upstream.reply(answer("drip"));
    turn(&client, &session, "rain?").await;
    let messages = messages(&client, &session).await;
    assert_eq!(contents(&messages), ["rain?", "drip"]);
    for message in &messages {
        let at = message["created_at"].as_str().unwrap();
        assert!(at.ends_with('Z') && at.parse::<Timestamp>().is_ok(), "{message}");
        assert_eq!((&message["state"], &message["modality"]), (&json!("complete"), &json!("text")));
    }
    let answer = &messages[1];
    assert_eq!((&answer["role"], &answer["provider"]), (&json!("assistant"), &json!("rig")));
    assert!(answer["request_id"].as_str().unwrap().starts_with("req_"), "{answer}");
    assert_eq!(answer["parent_id"], messages[0]["id"]);
    assert_eq!(
        (&answer["usage"]["completion_tokens"], &answer["finish_reason"]),
        (&json!(4), &json!("stop"))
    );
    assert!(answer["finished_at"].is_string(), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn reset_session_begins_anew_and_its_messages_stay_readable() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({"state_tokens": "t"})).await;
    upstream.reply(answer("one"));
    turn(&client, &session, "first").await;
    let path = format!("/v1/sessions/{session}");
    let reset = client.post(&format!("{path}/reset"), &json!(null)).await;
    assert_eq!(reset.status, 200, "{reset:?}");
    let reset = reset.json();
    assert!(reset["reset_at"].is_string() && reset["head"].is_null() && reset["state_tokens"].is_null());
    assert!(messages(&client, &session).await.is_empty());
    upstream.reply(answer("two"));
    turn(&client, &session, "second").await;
    let sent = upstream.received().pop().unwrap().body;
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(contents(&messages(&client, &session).await), ["second", "two"]);
    let all = client.get(&format!("{path}/messages?all=true")).await.json();
    assert_eq!(contents(all["messages"].as_array().unwrap()), ["first", "one", "second", "two"]);
    home.stop().await;
}

#[tokio::test]
async fn archived_session_leaves_the_list_and_comes_back() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}");
    let archived = client.post(&format!("{path}/archive"), &json!(null)).await;
    assert_eq!((archived.status.as_u16(), archived.json()["status"].clone()), (200, json!("archived")));
    assert!(ids(&client, "").await.is_empty());
    assert_eq!(ids(&client, "?status=archived").await, [session.as_str()]);
    assert_eq!(put(&client, &path, &json!({"archived": false})).await.json()["status"], "open");
    assert_eq!(ids(&client, "").await, [session.as_str()]);
    home.stop().await;
}

#[tokio::test]
async fn closed_session_is_readable_with_its_tokens_and_refuses_changes() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "[sessions]\nclosed_days = 7\n").await;
    let client = home.client();
    let session = create(&client, &json!({"state_tokens": "t"})).await;
    upstream.reply(answer("drip"));
    turn(&client, &session, "rain?").await;
    let path = format!("/v1/sessions/{session}");
    let closed = client.delete(&path).await;
    assert_eq!(closed.status, 200, "{closed:?}");
    let closed = closed.json();
    assert_eq!((&closed["deleted"], closed["expires_at"].is_string()), (&json!(false), true));
    // A repetition changes nothing.
    assert_eq!(client.delete(&path).await.json(), closed);
    let read = client.get(&path).await.json();
    assert_eq!((&read["status"], &read["state_tokens"]), (&json!("closed"), &json!("t")));
    let time = |name: &str| read[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time("closed_at").until(time("expires_at")).as_secs(), 7 * 24 * 3600);
    assert_eq!(contents(&messages(&client, &session).await), ["rain?", "drip"]);
    assert!(ids(&client, "").await.is_empty());
    assert_eq!(ids(&client, "?status=closed").await, [session.as_str()]);
    let message = read["messages"][0]["id"].as_str().unwrap();
    let mut next = prompt("again");
    next["model"] = json!("big");
    for refused in [
        put(&client, &path, &json!({"title": "x"})).await,
        client.post(&format!("{path}/reset"), &json!(null)).await,
        client.post(&format!("{path}/archive"), &json!(null)).await,
        client.post(&format!("{path}/branches"), &json!({"name": "x"})).await,
        client.delete(&format!("{path}/messages/{message}")).await,
        client.post(&format!("{path}/generate"), &next).await,
    ] {
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (409, &json!("conflict")));
    }
    let deleted = client.delete(&format!("{path}?permanent=true")).await;
    assert_eq!(deleted.json()["deleted"], true);
    assert_eq!(client.get(&path).await.status, 404);
    assert!(ids(&client, "?status=closed").await.is_empty());
    home.stop().await;
}

#[tokio::test]
async fn closed_session_is_deleted_at_once_without_days() {
    let home = Setup::new().settings("[sessions]\nclosed_days = 0\n").without_node().start().await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    assert_eq!(client.delete(&format!("/v1/sessions/{session}")).await.json()["deleted"], true);
    assert_eq!(client.get(&format!("/v1/sessions/{session}")).await.status, 404);
    home.stop().await;
}

#[tokio::test]
async fn edited_and_deleted_messages_change_the_next_prompt() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    for (question, text) in [("one?", "1"), ("two?", "2")] {
        upstream.reply(answer(text));
        turn(&client, &session, question).await;
    }
    let before = messages(&client, &session).await;
    let path =
        |index: usize| format!("/v1/sessions/{session}/messages/{}", before[index]["id"].as_str().unwrap());
    let edited = patch(&client, &path(0), &json!({"content": "eins?"})).await;
    assert_eq!(edited.status, 200, "{edited:?}");
    let edited = edited.json();
    assert!(edited["edited_at"].is_string() && edited["created_at"] == before[0]["created_at"], "{edited}");
    assert_eq!(client.delete(&path(1)).await.status, 204);
    assert_eq!(client.delete(&path(1)).await.status, 404);
    assert_eq!(client.get(&path(1)).await.status, 404);
    assert_eq!(patch(&client, &path(1), &json!({"content": "x"})).await.status, 404);
    assert_eq!(contents(&messages(&client, &session).await), ["eins?", "two?", "2"]);
    upstream.reply(answer("3"));
    turn(&client, &session, "three?").await;
    let sent = upstream.received().pop().unwrap().body.to_string();
    assert!(sent.contains("eins?") && !sent.contains("one?") && !sent.contains("\"1\""), "{sent}");
    for (body, param) in
        [(json!({}), "content"), (json!({"content": 5}), "content"), (json!({"text": "x"}), "text")]
    {
        let refused = patch(&client, &path(0), &body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]["param"]),
            (400, &json!(param)),
            "{body}"
        );
    }
    home.stop().await;
}

#[tokio::test]
async fn messages_are_listed_by_pages_from_the_latest_back() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let list: Vec<Value> = (0..25)
        .map(|number| json!({"role": if number % 2 == 0 { "user" } else { "assistant" }, "content": format!("m{number}")}))
        .collect();
    let file = json!([{"id": "long", "title": "Long", "chat": {"messages": list}}]);
    let report = client.post("/v1/sessions/import", &file).await.json();
    let session = report["imported"][0]["id"].as_str().unwrap().to_owned();
    let (mut read, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/sessions/{session}/messages?limit=10{cursor}")).await.json();
        let texts = page["messages"].as_array().unwrap().iter();
        let mut texts: Vec<String> =
            texts.map(|message| message["content"].as_str().unwrap().to_owned()).collect();
        texts.extend(read);
        read = texts;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(read, (0..25).map(|number| format!("m{number}")).collect::<Vec<_>>());
    let details = client.get(&format!("/v1/sessions/{session}?limit=3")).await.json();
    assert_eq!(contents(details["messages"].as_array().unwrap()), ["m22", "m23", "m24"]);
    let cursor = details["messages_cursor"].as_str().unwrap();
    let before = client.get(&format!("/v1/sessions/{session}/messages?limit=2&cursor={cursor}")).await.json();
    assert_eq!(contents(before["messages"].as_array().unwrap()), ["m20", "m21"]);
    home.stop().await;
}

#[tokio::test]
async fn branch_with_a_name_goes_its_own_way() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    let path = format!("/v1/sessions/{session}");
    for (question, text) in [("one?", "1"), ("two?", "2")] {
        upstream.reply(answer(text));
        turn(&client, &session, question).await;
    }
    let trunk = messages(&client, &session).await;
    let main = client.post(&format!("{path}/branches"), &json!({"name": "main"})).await;
    assert_eq!(main.status, 201, "{main:?}");
    let from = &trunk[1]["id"];
    let side = client.post(&format!("{path}/branches"), &json!({"name": "side", "from": from})).await.json();
    assert_eq!((&side["branches"][1]["active"], &side["branches"][1]["head"]), (&json!(true), from));
    upstream.reply(answer("drei"));
    turn(&client, &session, "three?").await;
    assert_eq!(contents(&messages(&client, &session).await), ["one?", "1", "three?", "drei"]);
    let named = client.get(&format!("{path}/messages?branch=main")).await.json();
    assert_eq!(contents(named["messages"].as_array().unwrap()), ["one?", "1", "two?", "2"]);
    let switched = client.post(&format!("{path}/switch"), &json!({"branch": "main"})).await.json();
    assert_eq!(switched["branch"], "main");
    upstream.reply(answer("vier"));
    turn(&client, &session, "four?").await;
    assert_eq!(contents(&messages(&client, &session).await), ["one?", "1", "two?", "2", "four?", "vier"]);
    // After any message, in a branch without a name.
    let switched =
        client.post(&format!("{path}/switch"), &json!({"message_id": trunk[0]["id"]})).await.json();
    assert_eq!((&switched["branch"], &switched["head"]), (&Value::Null, &trunk[0]["id"]));
    let side = client.get(&format!("{path}/messages?branch=side")).await.json();
    assert_eq!(contents(side["messages"].as_array().unwrap()).len(), 4);
    assert_eq!(client.delete(&format!("{path}/branches/side")).await.status, 204);
    assert_eq!(client.delete(&format!("{path}/branches/side")).await.status, 404);
    let left = client.get(&format!("{path}/branches")).await.json();
    assert_eq!(left["branches"].as_array().unwrap().len(), 1, "{left}");
    let taken = client.post(&format!("{path}/branches"), &json!({"name": "main"})).await;
    assert_eq!((taken.status.as_u16(), &taken.json()["error"]["param"]), (409, &json!("name")));
    for (body, status) in [
        (json!({"name": ""}), 400),
        (json!({"name": "a/b"}), 400),
        (json!({"name": "x", "from": "msg_01J9ZX5V2QH8N4T6W0C3M7K1RB"}), 404),
        (json!({"name": "x", "from": "one"}), 400),
    ] {
        assert_eq!(client.post(&format!("{path}/branches"), &body).await.status, status, "{body}");
    }
    for (body, status) in [(json!({}), 400), (json!({"branch": "none"}), 404)] {
        assert_eq!(client.post(&format!("{path}/switch"), &body).await.status, status, "{body}");
    }
    home.stop().await;
}

#[tokio::test]
async fn session_of_another_is_not_found_by_any_route() {
    let home = Home::start_without_node().await;
    let (home, token) = home.restart_with_a_stranger().await;
    let client = home.client();
    let other = client.with_token(Some(&token));
    let session = create(&client, &json!({"title": "mine alone"})).await;
    let message = "msg_01J9ZX5V2QH8N4T6W0C3M7K1RB";
    let path = format!("/v1/sessions/{session}");
    for refused in [
        other.get(&path).await,
        put(&other, &path, &json!({"title": "x"})).await,
        other.delete(&path).await,
        other.delete(&format!("{path}?permanent=true")).await,
        other.post(&format!("{path}/reset"), &json!(null)).await,
        other.post(&format!("{path}/archive"), &json!(null)).await,
        other.post(&format!("{path}/switch"), &json!({"branch": "x"})).await,
        other.get(&format!("{path}/messages")).await,
        other.get(&format!("{path}/messages/{message}")).await,
        patch(&other, &format!("{path}/messages/{message}"), &json!({"content": "x"})).await,
        other.delete(&format!("{path}/messages/{message}")).await,
        other.get(&format!("{path}/branches")).await,
        other.post(&format!("{path}/branches"), &json!({"name": "x"})).await,
        other.delete(&format!("{path}/branches/x")).await,
        other.get(&format!("{path}/export")).await,
        other.get("/v1/sessions/sess_none").await,
    ] {
        assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (404, &json!("not_found")));
    }
    assert!(ids(&other, "").await.is_empty());
    let results = other.get("/v1/sessions/search?query=mine").await.json();
    assert_eq!(results["results"], json!([]));
    assert_eq!(client.get(&path).await.json()["title"], "mine alone");
    home.stop().await;
}

#[tokio::test]
async fn search_finds_titles_and_texts_by_pages() {
    let home = Home::start_without_node().await;
    let client = home.client();
    create(&client, &json!({"title": "Rain in May"})).await;
    let list: Vec<Value> = (0..5)
        .map(|number| json!({"role": "user", "content": format!("the RAIN of {number} mays")}))
        .collect();
    let file = json!([{"id": "a", "title": "Weather", "chat": {"messages": list}}]);
    client.post("/v1/sessions/import", &file).await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("/v1/sessions/search?query=rain%20may&limit=2{cursor}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        found.extend(page["results"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 6, "{found:?}");
    let distinct: HashSet<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 6, "{found:?}");
    let titles = found.iter().filter(|result| result["message_id"].is_null());
    assert_eq!(titles.map(|result| &result["snippet"]).collect::<Vec<_>>(), ["Rain in May"]);
    let none = client.get("/v1/sessions/search?query=snow").await.json();
    assert_eq!((&none["results"], &none["next_cursor"]), (&json!([]), &Value::Null));
    for query in ["", "?query=", "?query=%20", &format!("?query={}", "x".repeat(201)), "?query=a&cursor=b"] {
        assert_eq!(client.get(&format!("/v1/sessions/search{query}")).await.status, 400, "{query}");
    }
    home.stop().await;
}

#[tokio::test]
async fn exported_session_is_imported_elsewhere_with_its_branches() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let (home, token) = home.restart_with_a_stranger().await;
    let client = home.client();
    let other = client.with_token(Some(&token));
    let session = create(&client, &json!({"title": "Weather", "system_prompt": "Be brief."})).await;
    let path = format!("/v1/sessions/{session}");
    upstream.reply(answer("**drip**"));
    turn(&client, &session, "rain?").await;
    let first = messages(&client, &session).await[0]["id"].clone();
    client.post(&format!("{path}/branches"), &json!({"name": "side", "from": first})).await;
    let markdown = client.get(&format!("{path}/export?format=markdown")).await;
    assert!(markdown.headers["content-type"].to_str().unwrap().starts_with("text/markdown"));
    let text = String::from_utf8_lossy(&markdown.body).into_owned();
    assert!(text.starts_with("# Weather\n") && text.contains("## User") && text.contains("rain?"), "{text}");
    assert!(!text.contains("drip"), "the other branch: {text}");
    let exported = client.get(&format!("{path}/export")).await;
    assert!(exported.headers["content-disposition"].to_str().unwrap().contains(&session));
    let exported = exported.json();
    assert_eq!(exported["messages"].as_array().unwrap().len(), 2, "{exported}");
    assert_eq!(exported["branches"][0]["name"], "side");
    let report = other.post("/v1/sessions/import", &exported).await.json();
    assert_eq!((&report["format"], &report["imported"][0]["messages"]), (&json!("hearth"), &json!(2)));
    let copy = report["imported"][0]["id"].as_str().unwrap().to_owned();
    assert_ne!(copy, session);
    let copied = other.get(&format!("/v1/sessions/{copy}")).await.json();
    assert_eq!((&copied["title"], &copied["system_prompt"]), (&json!("Weather"), &json!("Be brief.")));
    assert_eq!(contents(copied["messages"].as_array().unwrap()), ["rain?"]);
    let all = other.get(&format!("/v1/sessions/{copy}/messages?all=true")).await.json();
    assert_eq!(contents(all["messages"].as_array().unwrap()), ["rain?", "**drip**"]);
    assert_eq!(client.get(&format!("{path}/export?format=pdf")).await.status, 400);
    home.stop().await;
}

#[tokio::test]
async fn import_of_chatgpt_names_what_it_left_out_and_is_done_once() {
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let node = |id: &str, parent: Value, role: &str, content: Value| {
        json!({"id": id, "parent": parent, "message": {
            "author": {"role": role}, "create_time": 1_700_000_000.5, "content": content}})
    };
    let text = |text: &str| json!({"content_type": "text", "parts": [text]});
    let file = json!([
        {"title": "Rain", "conversation_id": "c1", "create_time": 1_700_000_000, "update_time": 1_700_000_100,
         "current_node": "b", "mapping": {
            "root": {"id": "root", "parent": null, "message": null},
            "a": node("a", json!("root"), "user", text("rain?")),
            "b": node("b", json!("a"), "assistant", text("drip")),
            "c": node("c", json!("a"), "assistant", json!({"content_type": "thoughts"})),
        }},
        {"title": "Empty", "conversation_id": "c2", "mapping": {}},
        7,
    ]);
    let report = client.post("/v1/sessions/import", &file).await;
    assert_eq!(report.status, 200, "{report:?}");
    let report = report.json();
    assert_eq!((&report["format"], report["imported"].as_array().unwrap().len()), (&json!("chatgpt"), 1));
    assert_eq!(report["skipped"].as_array().unwrap().len(), 4, "{report}");
    let session = report["imported"][0]["id"].as_str().unwrap().to_owned();
    let read = client.get(&format!("/v1/sessions/{session}")).await.json();
    assert_eq!(read["created_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(contents(read["messages"].as_array().unwrap()), ["rain?", "drip"]);
    // The session goes on, and a repeated import changes nothing.
    upstream.reply(answer("drop"));
    turn(&client, &session, "more?").await;
    let again = client.post("/v1/sessions/import", &file).await.json();
    assert_eq!(again["imported"], json!([]), "{again}");
    assert_eq!(messages(&client, &session).await.len(), 4);
    for body in [json!({}), json!([]), json!("text"), json!([{"a": 1}])] {
        let refused = client.post("/v1/sessions/import", &body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]["code"]),
            (400, &json!("invalid_request"))
        );
    }
    home.stop().await;
}

#[tokio::test]
async fn fifty_writers_on_a_session_are_ordered_and_lose_nothing() {
    const WRITERS: usize = 50;
    let upstream = Upstream::start().await;
    let home = played(&upstream, "").await;
    let client = home.client();
    let session = create(&client, &json!({})).await;
    for number in 0..WRITERS {
        upstream.reply(answer(&format!("answer {number}")));
    }
    let writers = (0..WRITERS).map(|number| {
        let (client, session) = (client.clone(), session.clone());
        async move { turn(&client, &session, &format!("question {number}")).await }
    });
    futures::future::join_all(writers).await;
    let page = client.get(&format!("/v1/sessions/{session}?limit=200")).await.json();
    let messages = page["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2 * WRITERS);
    let texts: HashSet<&str> = contents(messages).into_iter().collect();
    assert_eq!(texts.len(), 2 * WRITERS);
    for (before, after) in messages.iter().zip(messages.iter().skip(1)) {
        assert_eq!(after["parent_id"], before["id"]);
    }
    for turn in messages.chunks(2) {
        assert_eq!((&turn[0]["role"], &turn[1]["role"]), (&json!("user"), &json!("assistant")));
        assert_eq!(turn[0]["request_id"], turn[1]["request_id"]);
    }
    home.stop().await;
}

#[tokio::test]
async fn sessions_and_long_messages_survive_a_kill() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let long = "rain ".repeat(20_000);
    let file =
        json!([{"id": "a", "title": "Long", "chat": {"messages": [{"role": "user", "content": long}]}}]);
    let report = client.post("/v1/sessions/import", &file).await.json();
    let session = report["imported"][0]["id"].as_str().unwrap().to_owned();
    let named = create(&client, &json!({"title": "named"})).await;
    let home = home.crash_and_restart().await;
    let client = home.client();
    assert_eq!(messages(&client, &session).await[0]["content"], long);
    assert_eq!(client.get(&format!("/v1/sessions/{named}")).await.json()["title"], "named");
    home.stop().await;
}
