//! `hearth requests`, `hearth sessions` and `hearth chat --session`, at a gateway at home.

use hearth_tests::{Home, eventually};

use crate::{QUESTION, command, fails, json, succeeds};

/// Runs a command that succeeds, and returns what it printed.
async fn prints(home: &Home, arguments: &[&str]) -> String {
    succeeds(command(home, arguments), "").await
}

/// The ids of the listed requests, once there are `count`.
async fn listed(home: &Home, count: usize) -> Vec<String> {
    eventually("the records of the requests", async || {
        let list = json(&prints(home, &["requests", "list", "--json"]).await);
        let requests = list["requests"].as_array().cloned().unwrap_or_default();
        let ids =
            requests.iter().map(|request| request["request_id"].as_str().unwrap_or_default().to_owned());
        (requests.len() == count).then(|| ids.collect())
    })
    .await
}

#[tokio::test]
async fn request_is_listed_shown_replayed_and_deleted() {
    let home = Home::start().await;
    let generate = ["generate", "--store", "--temperature", "0", "--json", QUESTION];
    let first = json(&prints(&home, &generate).await);
    let id = first["request_id"].as_str().unwrap();
    assert_eq!(listed(&home, 1).await, [id]);
    let table = prints(&home, &["requests", "list", "--state", "completed", "--model", &home.model]).await;
    assert!(table.starts_with("ID") && table.contains(id) && table.contains("tok_"), "{table}");
    let shown = prints(&home, &["requests", "show", id]).await;
    assert!(shown.contains("Paris") && shown.contains("completed") && shown.contains("reason"), "{shown}");

    let again = prints(&home, &["requests", "replay", id]).await;
    assert!(again.contains("Paris"), "{again}");
    let both = listed(&home, 2).await;
    let replayed = json(&prints(&home, &["requests", "show", "--json", &both[0]]).await);
    assert_eq!(replayed["replay_of"], id);
    let cancelled = prints(&home, &["requests", "cancel", id]).await;
    assert!(cancelled.contains("had ended before"), "{cancelled}");

    let refused = fails(command(&home, &["requests", "delete", id, &both[0]])).await;
    assert!(refused.stderr.contains("no terminal to ask at; add --yes"), "{refused:?}");
    listed(&home, 2).await;
    prints(&home, &["requests", "delete", id, &both[0], "--yes"]).await;
    listed(&home, 0).await;
    let gone = fails(command(&home, &["requests", "show", id])).await;
    assert!(gone.stderr.contains("there is no request"), "{gone:?}");
    home.stop().await;
}

#[tokio::test]
async fn request_without_its_prompt_is_not_replayed_and_the_ways_are_named() {
    let home = Home::start().await;
    let first = json(&prints(&home, &["generate", "--temperature", "0", "--json", QUESTION]).await);
    let refused = fails(command(&home, &["requests", "replay", first["request_id"].as_str().unwrap()])).await;
    assert!(
        refused.stderr.contains("store: true") && refused.stderr.contains("requests.store"),
        "{refused:?}"
    );
    home.stop().await;
}

#[tokio::test]
async fn chat_in_a_session_is_continued_shown_searched_exported_and_deleted() {
    let home = Home::start().await;
    let id = prints(&home, &["sessions", "new", "--title", "Capitals"]).await.trim().to_owned();
    assert!(id.starts_with("sess_"), "{id}");
    for _ in 0..2 {
        let chat = command(&home, &["chat", "--temperature", "0", "--session", &id]);
        let answers = succeeds(chat, &format!("{QUESTION}\n")).await;
        assert!(!answers.trim().is_empty(), "{answers}");
    }
    let details = json(&prints(&home, &["sessions", "show", "--json", &id]).await);
    assert_eq!(details["messages"].as_array().unwrap().len(), 4, "{details}");
    let shown = prints(&home, &["sessions", "show", &id]).await;
    assert_eq!(shown.matches(QUESTION).count(), 2, "{shown}");
    let matches = prints(&home, &["sessions", "search", "capital"]).await;
    assert!(matches.contains(&id), "{matches}");

    let markdown = prints(&home, &["sessions", "export", "--format", "markdown", &id]).await;
    assert!(markdown.contains(QUESTION), "{markdown}");
    let file = home.folder().join("session.json");
    let path = file.to_str().unwrap();
    prints(&home, &["sessions", "export", "--out", path, &id]).await;
    let imported = json(&prints(&home, &["sessions", "import", "--json", path]).await);
    assert_eq!((&imported["format"], &imported["imported"][0]["messages"]), (&"hearth".into(), &4.into()));

    prints(&home, &["sessions", "rename", &id, "Cities"]).await;
    let table = prints(&home, &["sessions", "list"]).await;
    assert!(table.contains(&id) && table.contains("Cities"), "{table}");
    let closed = prints(&home, &["sessions", "close", &id]).await;
    assert!(closed.contains("closed"), "{closed}");
    let refused = fails(command(&home, &["chat", "--session", "sess_01J9ZX5V2QH8N4T6W0C3M7K1RB"])).await;
    assert!(!refused.stderr.is_empty(), "{refused:?}");
    prints(&home, &["sessions", "delete", &id, "--yes"]).await;
    fails(command(&home, &["sessions", "show", &id])).await;
    home.stop().await;
}

#[tokio::test]
async fn new_session_of_a_chat_is_named_and_can_be_reset_and_answered_again() {
    let home = Home::start().await;
    let chat = command(&home, &["chat", "--temperature", "0", "--session", "new"]);
    let ended = hearth_tests::run(chat, &format!("{QUESTION}\n/again\n/session\n/reset\n")).await;
    assert!(ended.status.success(), "{ended:?}");
    let list = json(&prints(&home, &["sessions", "list", "--json"]).await);
    let id = list["sessions"][0]["id"].as_str().unwrap();
    assert!(ended.stderr.contains(&format!("hearth chat --session {id}")), "{ended:?}");
    assert_eq!(ended.stdout.matches("Paris").count(), 2, "{ended:?}");
    let details = json(&prints(&home, &["sessions", "show", "--json", id]).await);
    assert_eq!(details["messages"].as_array().unwrap().len(), 0, "{details}");
    home.stop().await;
}
