//! `hearth models pull` with a running gateway, and `hearth jobs`.

use hearth_tests::{Home, Process, eventually, hearth, run, signal};
use serde_json::Value;
use tokio::process::Command;

use super::{
    MODEL, REPO, file,
    hub::{Fault, Hub},
    job_in, start,
};

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    command
}

async fn succeeds(home: &Home, arguments: &[&str]) -> String {
    let ended = run(command(home, arguments), "").await;
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

async fn jobs(home: &Home) -> Vec<Value> {
    let text = succeeds(home, &["jobs", "list", "--json"]).await;
    serde_json::from_str::<Value>(&text).unwrap()["jobs"].as_array().unwrap().clone()
}

#[tokio::test]
async fn pull_follows_the_job_of_the_gateway() {
    let hub = Hub::start().await;
    let home = start(&hub, "").await;
    let ended = run(command(&home, &["models", "pull", REPO]), "").await;
    assert!(ended.status.success() && ended.stdout.contains(&format!("{MODEL} is there")), "{ended:?}");
    assert!(ended.stderr.contains(&format!("next: hearth chat --model {MODEL}")), "{ended:?}");
    assert_eq!(file(&home).unwrap(), hub.content());
    let table = succeeds(&home, &["jobs", "list"]).await;
    assert!(table.contains("completed") && table.contains("100 %") && table.contains(MODEL), "{table}");
    let failed = run(command(&home, &["models", "pull", "owner/other"]), "").await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert!(failed.stderr.contains("has no repository owner/other"), "{failed:?}");
}

#[tokio::test]
async fn pull_prints_each_further_attempt_with_its_time() {
    let hub = Hub::with(Fault::Down).await;
    let home = start(&hub, "").await;
    let failed = run(command(&home, &["models", "pull", REPO]), "").await;
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let again = "the download is tried again: attempt";
    let line = failed.stderr.lines().find(|line| line.contains(&format!("{again} 3 of 3 at "))).unwrap();
    assert!(line.contains(" UTC: ") && line.contains("503"), "{failed:?}");
    let hub = Hub::with(Fault::Truncated).await;
    let mut here = hearth(home.folder(), &["models", "pull", REPO, "--here"]);
    here.env("HEARTH_HUB__URL", &hub.url);
    let ended = run(here, "").await;
    assert!(ended.status.success() && ended.stderr.contains(again), "{ended:?}");
}

#[tokio::test]
async fn interrupted_pull_leaves_the_job_running() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let mut pull = Process::spawn(command(&home, &["models", "pull", REPO]), home.folder().join("pull.log"));
    let id = eventually("a running job", async || {
        let jobs = jobs(&home).await;
        let running =
            jobs.iter().find(|job| job["state"] == "running" && job["done_bytes"].as_u64() > Some(0))?;
        Some(running["id"].as_str().unwrap().to_owned())
    })
    .await;
    eventually("the progress", async || pull.stderr().contains("downloading").then_some(())).await;
    signal("INT", pull.pid()).await;
    let ended = pull.ended().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains(&format!("hearth jobs show --follow {id}")), "{ended:?}");
    for (change, state) in [("pause", "paused"), ("resume", "queued")] {
        let text = succeeds(&home, &["jobs", change, &id]).await;
        assert!(text.contains(state) || text.contains("running"), "{text}");
    }
    hub.open();
    let shown = succeeds(&home, &["jobs", "show", "--follow", &id]).await;
    assert!(shown.contains("completed") && shown.contains(REPO), "{shown}");
    job_in(&home.client(), &id, "completed").await;
}

#[tokio::test]
async fn pull_without_waiting_and_cancel() {
    let hub = Hub::closed().await;
    let home = start(&hub, "").await;
    let job: Value =
        serde_json::from_str(&succeeds(&home, &["models", "pull", REPO, "--no-wait", "--json"]).await)
            .unwrap();
    let id = job["id"].as_str().unwrap();
    assert_eq!(succeeds(&home, &["jobs", "cancel", id]).await.trim(), format!("{id} is cancelled"));
    let text = succeeds(&home, &["jobs", "show", id]).await;
    assert!(text.contains("cancelled"), "{text}");
}
