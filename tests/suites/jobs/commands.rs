//! `hearth jobs`.

use hearth_tests::{Home, hearth, run};
use serde_json::{Value, json};

use crate::{in_state, job, submit, vendor::Vendor};

async fn succeeds(home: &Home, arguments: &[&str], input: &str) -> String {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    let ended = run(command, input).await;
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    format!("{}{}", ended.stdout, ended.stderr)
}

#[tokio::test]
async fn jobs_are_submitted_followed_retried_and_dropped() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let client = home.client();
    let input = json!({"model": "vendor:big", "input": {"prompt": "by hand"}}).to_string();
    let text =
        succeeds(&home, &["jobs", "submit", "generate", "--follow", "--priority", "high", "--json"], &input)
            .await;
    let ended: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&ended["state"], &ended["priority"]), (&json!("completed"), &json!("high")));
    let id = ended["id"].as_str().unwrap();
    let result: Value = serde_json::from_str(&succeeds(&home, &["jobs", "result", id], "").await).unwrap();
    assert_eq!(result["output"]["text"], "by hand");
    let mut submit_alone = hearth(home.folder(), &["jobs", "submit", "generate"]);
    submit_alone.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    let submitted = run(submit_alone, &input).await;
    let own = submitted.stdout.trim_end();
    assert!(own.starts_with("job_") && !own.contains(char::is_whitespace), "{submitted:?}");
    assert!(submitted.stderr.contains(&format!("hearth jobs show --follow {own}")), "{submitted:?}");
    in_state(&client, own, "completed").await;
    let shown = succeeds(&home, &["jobs", "show", id], "").await;
    assert!(shown.contains("generate") && shown.contains("1 of 3"), "{shown}");
    let again = succeeds(&home, &["jobs", "retry", id], "").await;
    assert!(again.contains(&format!("repeats {id}")), "{again}");

    let failed = submit(&client, &job("bad")).await;
    in_state(&client, &failed, "failed").await;
    let dead = succeeds(&home, &["jobs", "dead", "list"], "").await;
    assert!(dead.contains(&failed) && dead.contains("failed"), "{dead}");
    let retried = succeeds(&home, &["jobs", "dead", "retry", "--all"], "").await;
    assert!(retried.contains(&format!("{failed} is repeated by")), "{retried}");
    let list = client.get("/v1/jobs?limit=1").await.json();
    in_state(&client, list["jobs"][0]["id"].as_str().unwrap(), "failed").await;
    succeeds(&home, &["jobs", "dead", "drop", "--all"], "").await;
    let dead = succeeds(&home, &["jobs", "dead", "list"], "").await;
    assert!(dead.contains("no job has failed"), "{dead}");
    home.stop().await;
}

#[tokio::test]
async fn kind_and_job_are_paused_and_resumed() {
    let vendor = Vendor::start().await;
    let home = vendor.home("").await;
    let paused = succeeds(&home, &["jobs", "pause", "generate"], "").await;
    assert!(paused.contains("generate") && paused.contains("your organisation"), "{paused}");
    let id = submit(&home.client(), &job("held")).await;
    let text = succeeds(&home, &["jobs", "pause", &id], "").await;
    assert!(text.contains(&format!("{id} is paused")), "{text}");
    assert!(succeeds(&home, &["jobs", "pauses"], "").await.contains("generate"));
    let text = succeeds(&home, &["jobs", "resume", "generate"], "").await;
    assert!(text.contains("no kind of jobs is paused"), "{text}");
    succeeds(&home, &["jobs", "resume", &id], "").await;
    in_state(&home.client(), &id, "completed").await;
    home.stop().await;
}
