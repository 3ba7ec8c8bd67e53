//! Minimal and broken systems: Hearth starts and answers, or ends with an error that names the missing part.
//!
//! Systems that need root (no `/proc`, a read-only root, only IPv6) are tested by hand; docs/doctor.md has the results.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path};

use hearth_store::{
    database::{Condition, Durability, Item, Key, Write},
    home,
};
use hearth_tests::{Ended, Process, hearth, run};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// `hearth up` on a free port with its data in `folder`. Results of the self-test are copied from other tests, if any.
fn up(folder: &Path) -> Command {
    let data = folder.join("data");
    if fs::create_dir_all(&data).is_ok() {
        let _ = fs::copy(hearth_tests::backend_results(), data.join("backends.json"));
    }
    hearth(folder, &["up", "--json", "--port", "0", "--data", &data.to_string_lossy()])
}

/// Starts the command, and generates an answer with tiny-chat.
async fn starts_and_answers(command: Command, folder: &Path) {
    let mut process = Process::spawn(command, folder.join("stderr.log"));
    let ready = process.ready().await;
    let text = |name: &str| ready[name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}"));
    let (url, token) = (text("url"), text("token"));
    let answer = hearth_tests::Client::new(url, Some(token)).ask("What is the capital of France?").await;
    assert!(answer.contains("Paris"), "{answer}");
    process.stop().await;
}

async fn fails(command: Command) -> Ended {
    let ended = run(command, "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

async fn succeeds(command: Command) -> String {
    let ended = run(command, "").await;
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

/// Returns whether the tests run as root, which can write everywhere.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[tokio::test]
async fn starts_without_home_locale_and_terminal() {
    let folder = TempDir::new().unwrap();
    let mut command = up(folder.path());
    command.env_remove("HOME").env("TERM", "dumb").env("LC_ALL", "xx_YY.nonsense");
    starts_and_answers(command, folder.path()).await;
}

#[tokio::test]
async fn data_folder_replaces_a_missing_temporary_folder() {
    let folder = TempDir::new().unwrap();
    let mut command = up(folder.path());
    // The self-test needs a temporary folder.
    let _ = fs::remove_file(folder.path().join("data/backends.json"));
    command.env("TMPDIR", folder.path().join("missing"));
    starts_and_answers(command, folder.path()).await;
}

#[tokio::test]
async fn starts_with_closed_standard_streams() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    // The address is in the file for this machine's commands.
    let mut command = Command::new("sh");
    let program = hearth_tests::binary("hearth");
    command.args(["-c", "exec \"$0\" up --port 0 --data \"$1\" <&- >&- 2>&-"]).arg(program).arg(&data);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let file = data.join("commands.json");
    let access: Value = hearth_tests::eventually("the commands' access", async || {
        serde_json::from_slice(&fs::read(&file).ok()?).ok()
    })
    .await;
    let client = hearth_tests::Client::new(access["url"].as_str().unwrap(), access["token"].as_str());
    assert!(client.ask("What is the capital of France?").await.contains("Paris"));
    child.kill().await.unwrap();
}

#[tokio::test]
async fn commands_are_authorised_as_soon_as_the_gateway_answers() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = hearth(folder.path(), &["up", "--quiet", "--data"]);
    command.arg(&data).args(["--port", &port.to_string()]).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let client = hearth_tests::Client::new(&format!("http://127.0.0.1:{port}"), None);
    let health = async || client.request(Method::GET, "/health").send().await.ok();
    hearth_tests::eventually("the gateway", health).await;
    let mut list = hearth(folder.path(), &["models", "list", "--data"]);
    list.arg(&data);
    let listed = run(list, "").await;
    assert!(listed.status.success() && listed.stdout.contains("tiny-chat"), "{}", listed.stderr);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn read_only_folder_is_named() {
    if is_root() {
        return;
    }
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let ended = fails(up(folder.path())).await;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = folder.path().join("data").display().to_string();
    assert!(ended.stderr.contains(&path) && ended.stderr.contains("can't be written"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("Permission denied").count(), 1, "{}", ended.stderr);
}

#[tokio::test]
async fn address_of_another_machine_is_refused_with_advice() {
    let folder = TempDir::new().unwrap();
    let mut command = up(folder.path());
    command.args(["--host", "192.0.2.1"]);
    let ended = fails(command).await;
    assert!(ended.stderr.contains("192.0.2.1 is no address of this machine"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--host"), "{}", ended.stderr);
}

#[tokio::test]
async fn only_https_fails_without_certificates() {
    let folder = TempDir::new().unwrap();
    let none = folder.path().join("none.pem");
    fs::write(&none, "").unwrap();
    let without = |mut command: Command| {
        command.env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", folder.path().join("none"));
        command
    };
    starts_and_answers(without(up(folder.path())), folder.path()).await;
    let pull = hearth(folder.path(), &["models", "pull", "owner/repo"]);
    let ended = fails(without(pull)).await;
    assert!(ended.stderr.contains("no CA certificates"), "{}", ended.stderr);
}

#[tokio::test]
async fn unknown_variable_is_named() {
    let folder = TempDir::new().unwrap();
    let mut command = hearth(folder.path(), &["config"]);
    command.env("HEARTH_NODE_SLOTS", "2");
    let ended = fails(command).await;
    assert!(ended.stderr.contains("did you mean HEARTH_NODE__SLOTS?"), "{}", ended.stderr);
}

#[tokio::test]
async fn closed_output_is_no_error() {
    let folder = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = hearth(folder.path(), &["config"]).stdout(writer).status().await.unwrap();
    // The status that a shell has for a program ended by SIGPIPE; a panic would be 101.
    assert_eq!(status.code(), Some(141));
}

#[tokio::test]
async fn data_folder_of_an_interrupted_import_is_refused_until_the_import_is_repeated() {
    let folder = TempDir::new().unwrap();
    let alone = |arguments: &[&str]| hearth(folder.path(), arguments);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, file, new) = (path("data"), path("export.jsonl"), path("new"));
    succeeds(alone(&["token", "create", "old", "--data", &data])).await;
    succeeds(alone(&["export", "--data", &data, "--out", &file])).await;
    let header = fs::read_to_string(&file).unwrap();
    let header: Value = serde_json::from_str(header.lines().next().unwrap()).unwrap();
    // The store right after the import has begun.
    let mark = Item {
        key: Key::new("IMPORT", "META"),
        gsi1: None,
        gsi2: None,
        ttl: None,
        version: 1,
        body: serde_json::json!({"export": header["entry"]["header"]["id"]}).to_string(),
        bytes: None,
    };
    let store = home::open(new.as_ref(), Durability::Fsync).unwrap();
    store.database().write(Write::Put(mark, Condition::Always)).await.unwrap();
    store.close().await;
    drop(store);
    for arguments in [&["up", "--port", "0"][..], &["token", "create", "laptop"]] {
        let mut command = alone(arguments);
        command.args(["--data", &new]);
        let ended = fails(command).await;
        assert!(ended.stderr.contains("repeat `hearth import FILE`"), "{}", ended.stderr);
    }
    succeeds(alone(&["import", &file, "--data", &new])).await;
    let tokens = succeeds(alone(&["token", "list", "--data", &new])).await;
    assert!(tokens.contains("old"), "{tokens}");
}
