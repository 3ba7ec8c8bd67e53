//! A disk without space, or one that becomes read-only: readiness, and a start.
//!
//! The data folder is a small file system, mounted in a namespace of the command's own. Where users may not mount one, the
//! tests print that they are skipped.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use hearth_tests::{Setup, eventually, hearth, run};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs a command with a file system of 64 MiB at the first argument.
const MOUNT: &str = "mount -t tmpfs -o size=64m tmpfs \"$0\" && exec \"$@\"";
/// The same, on which a file takes all space.
const MOUNT_FULL: &str = "mount -t tmpfs -o size=1m tmpfs \"$0\" \
     && { head -c 2000000 /dev/zero > \"$0/filler\" 2>/dev/null; exec \"$@\"; }";
/// Makes the folder read-only, by a mount over it.
const MOUNT_READ_ONLY: &str = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
/// Bytes that are written at once until none fit.
const FILLER_BYTES: usize = 4096;

/// Returns whether commands may mount a file system in a namespace of their own.
#[expect(clippy::print_stdout, reason = "a reader of the log learns that the test did nothing")]
async fn may_mount(folder: &Path) -> bool {
    let mut command = Command::new("unshare");
    command.args(["-Urm", "mount", "-t", "tmpfs", "tmpfs"]).arg(folder);
    let may = command.output().await.is_ok_and(|output| output.status.success());
    if !may {
        println!("skipped: no file system can be mounted in a namespace");
    }
    may
}

/// Fills the file system that has `path`.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[1; FILLER_BYTES]).is_ok() {}
}

#[tokio::test]
async fn gateway_on_a_full_disk_is_not_ready_until_there_is_room() {
    let setup = Setup::new();
    let data = setup.models_folder().parent().map(Path::to_owned).unwrap();
    fs::create_dir_all(&data).unwrap();
    if !may_mount(&data).await {
        return;
    }
    let mount = ["unshare", "-Urm", "sh", "-c", MOUNT, data.to_str().unwrap()];
    // A provider that is never called: a request to be stored fails before.
    let provider = "[providers.absent]\nkind = 'openai_compatible'\nbase_url = 'http://127.0.0.1:9/v1'\napi_key = 'sk-absent'\n\
                    models = ['m']\n";
    let home = setup.under(&mount).settings(provider).without_node().start().await;
    let client = home.client();
    let status = async |wanted: &str| {
        let ready = client.get("/ready").await;
        let body = ready.json();
        let code = if wanted == "not ready" { 503 } else { 200 };
        (ready.status == code && body["status"] == wanted).then_some(body)
    };
    eventually("a ready gateway", async || status("ready").await).await;
    // The folder in the namespace of the command.
    let seen = PathBuf::from(format!("/proc/{}/root", home.pid())).join(data.strip_prefix("/").unwrap());
    let filler = seen.join("filler");
    fill(&filler);
    let body = eventually("a gateway that isn't ready", async || status("not ready").await).await;
    let states: Vec<&Value> = ["table", "bucket"].iter().map(|name| &body["checks"][name]["state"]).collect();
    assert!(states.iter().any(|state| **state == "disk full"), "{body}");
    // It lives, and reads are answered.
    assert_eq!(client.get("/health").await.status, 200);
    assert_eq!(client.get("/v1/models").await.status, 200);
    let refused = client.post("/v1/users/tokens", &json!({"name": "one more"})).await.error(500, "internal");
    let mut errors = vec![refused];
    // Those whose runs must be found later, and those whose answers are continued.
    let messages = json!([{"role": "user", "content": "Hi"}]);
    for (path, body) in [
        ("/v1/generate", json!({"model": "absent:m", "input": {"prompt": "Hi"}, "store": true})),
        ("/v1/chat/completions", json!({"model": "absent:m", "messages": messages, "store": true})),
        (
            "/v1/chat/completions",
            json!({"model": "absent:m", "messages": messages, "on_disconnect": "continue"}),
        ),
        ("/v1/responses", json!({"model": "absent:m", "input": "Hi", "background": true})),
        ("/v1/sessions", json!({"title": "one more"})),
    ] {
        errors.push(client.post(path, &body).await.error(500, "internal"));
    }
    for error in errors {
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("disk full") && message.contains("make room"), "{error}");
        assert_eq!(error["details"]["storage"], "disk full", "{error}");
    }
    fs::remove_file(&filler).unwrap();
    eventually("a ready gateway, without a restart", async || status("ready").await).await;
    home.stop().await;
}

#[tokio::test]
async fn start_on_a_full_disk_ends_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    fs::create_dir_all(&data).unwrap();
    if !may_mount(&data).await {
        return;
    }
    let up = hearth(folder.path(), &["up", "--no-node", "--json", "--port", "0", "--data"]);
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", MOUNT_FULL]).arg(&data).arg(up.as_std().get_program());
    command.args(up.as_std().get_args()).arg(&data);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).kill_on_drop(true);
    let ended = run(command, "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    let data = data.display().to_string();
    for part in ["make room on", &data] {
        assert!(ended.stderr.contains(part), "no {part}: {ended:?}");
    }
}

#[tokio::test]
async fn gateway_whose_objects_become_read_only_is_not_ready_until_they_can_be_written() {
    let setup = Setup::new();
    if !may_mount(setup.models_folder().parent().and_then(Path::parent).unwrap()).await {
        return;
    }
    let home = setup.under(&["unshare", "-Urm"]).without_node().start().await;
    let client = home.client();
    let state = async |code: u16, wanted: &str| {
        let ready = client.get("/ready").await;
        let body = ready.json();
        (ready.status == code && body["checks"]["bucket"]["state"] == wanted).then_some(body)
    };
    eventually("a ready gateway", async || state(200, "ok").await).await;
    let in_namespace = async |script: &str| {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--mount", "--preserve-credentials", "--target", &home.pid().to_string()]);
        command.args(["sh", "-c", script]).arg(home.data().join("objects"));
        let ended = run(command, "").await;
        assert!(ended.status.success(), "{ended:?}");
    };
    in_namespace(MOUNT_READ_ONLY).await;
    let body = eventually("a gateway that isn't ready", async || state(503, "read-only").await).await;
    assert_eq!(
        (&body["status"], &body["checks"]["table"]["state"]),
        (&json!("not ready"), &json!("ok")),
        "{body}"
    );
    // Items of the table are written.
    assert_eq!(client.post("/v1/sessions", &json!({"title": "one more"})).await.status, 201);
    in_namespace("umount \"$0\"").await;
    eventually("a ready gateway, without a restart", async || state(200, "ok").await).await;
    home.stop().await;
}
