//! `hearth batch`.

use hearth_tests::{Ended, Home, hearth, run};
use serde_json::{Value, json};

use crate::questions;

async fn batch(home: &Home, arguments: &[&str]) -> Ended {
    let mut command = hearth(home.folder(), &[&["batch"], arguments].concat());
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    run(command, "").await
}

#[tokio::test]
async fn command_submits_watches_lists_and_reads_a_batch() {
    let home = Home::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
    std::fs::write(&input, questions("auto", 3).join("\n")).unwrap();
    let submitted = batch(&home, &["submit", input.to_str().unwrap(), "--watch", "--json"]).await;
    assert!(submitted.status.success(), "{}", submitted.stderr);
    let ended: Value = serde_json::from_str(&submitted.stdout).unwrap();
    assert_eq!(ended["status"], "completed", "{ended}");
    let id = ended["id"].as_str().unwrap();
    let status = batch(&home, &["status", id]).await;
    assert!(status.stdout.contains("3 of 3 answered"), "{}", status.stdout);
    let listed = batch(&home, &["list"]).await;
    assert!(
        listed.stdout.contains(id) && listed.stdout.contains("/v1/chat/completions"),
        "{}",
        listed.stdout
    );
    let read = batch(&home, &["results", id, "--output", output.to_str().unwrap()]).await;
    assert!(read.status.success(), "{}", read.stderr);
    assert_eq!(std::fs::read_to_string(&output).unwrap().lines().count(), 3);
    let none = batch(&home, &["results", id, "--errors"]).await;
    assert!(!none.status.success() && none.stderr.contains("no error file"), "{}", none.stderr);
    let again = batch(&home, &["cancel", id]).await;
    assert!(!again.status.success() && again.stderr.contains("has ended"), "{}", again.stderr);
    home.stop().await;
}

#[tokio::test]
async fn batch_of_messages_is_listed_and_read_beside_those_of_files() {
    let home = Home::start().await;
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.jsonl");
    std::fs::write(&input, questions("auto", 1).join("\n")).unwrap();
    let submitted = batch(&home, &["submit", input.to_str().unwrap()]).await;
    let of_file = submitted.stdout.trim_end();
    assert!(of_file.starts_with("batch_") && !of_file.contains(char::is_whitespace), "{submitted:?}");
    assert!(submitted.stderr.contains(&format!("hearth batch status {of_file} --watch")), "{submitted:?}");
    let message = json!({"model": "auto", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]});
    let body = json!({"requests": [{"custom_id": "one", "params": message}]});
    let created = home.client().post("/v1/messages/batches", &body).await;
    let of_messages = created.json()["id"].as_str().unwrap().to_owned();
    let listed = batch(&home, &["list"]).await.stdout;
    assert!(listed.contains(of_file) && listed.contains(&of_messages), "{listed}");
    let watched = batch(&home, &["status", &of_messages, "--watch"]).await;
    assert!(watched.stdout.contains("1 of 1 answered"), "{watched:?}");
    let results = batch(&home, &["results", &of_messages]).await;
    let line: Value = serde_json::from_str(results.stdout.trim_end()).unwrap();
    assert_eq!((&line["custom_id"], &line["result"]["type"]), (&json!("one"), &json!("succeeded")), "{line}");
    home.stop().await;
}

#[tokio::test]
async fn command_shows_the_faults_of_a_file() {
    let home = Home::start_without_node().await;
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.jsonl");
    let lines = questions("auto", 1);
    std::fs::write(&input, format!("{}\n{}", lines[0], lines[0])).unwrap();
    let submitted = batch(&home, &["submit", input.to_str().unwrap(), "--watch"]).await;
    assert!(!submitted.status.success(), "{}", submitted.stdout);
    assert!(submitted.stdout.contains("line 2: custom_id"), "{}", submitted.stdout);
    assert!(submitted.stderr.contains("the batch is failed"), "{}", submitted.stderr);
    let listed: Value = serde_json::from_str(&batch(&home, &["list", "--json"]).await.stdout).unwrap();
    let id = listed["data"][0]["id"].as_str().unwrap();
    assert_eq!(
        (&listed["object"], &listed["first_id"], &listed["has_more"]),
        (&json!("list"), &json!(id), &json!(false))
    );
    for arguments in [&["results", id][..], &["results", id, "--errors"]] {
        let none = batch(&home, arguments).await.stderr;
        assert!(none.contains(&format!("`hearth batch status {id}`")), "{none}");
    }
    std::fs::write(&input, "{}").unwrap();
    let refused = batch(&home, &["submit", input.to_str().unwrap()]).await;
    assert!(!refused.status.success() && refused.stderr.contains("--endpoint"), "{}", refused.stderr);
    home.stop().await;
}
