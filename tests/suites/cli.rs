//! The commands, called as by a user or a script.

use hearth_tests::{Ended, Home, Setup, hearth, run};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const QUESTION: &str = "What is the capital of France?";

/// A command with the gateway's address and the owner's token.
fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = hearth(home.folder(), arguments);
    command.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", &home.token);
    command
}

async fn succeeds(command: Command, input: &str) -> String {
    let ended = run(command, input).await;
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

async fn fails(command: Command) -> Ended {
    let ended = run(command, "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "", "an error belongs on standard error");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    ended
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn version_and_completions_are_printed() {
    let folder = TempDir::new().unwrap();
    let version = succeeds(hearth(folder.path(), &["--version"]), "").await;
    assert_eq!(version.trim(), concat!("hearth ", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeds(hearth(folder.path(), &["completions", shell]), "").await;
        assert!(script.contains("hearth") && script.contains("generate"), "{shell}: {script}");
    }
}

#[tokio::test]
async fn settings_are_printed_without_secrets() {
    let folder = TempDir::new().unwrap();
    let mut command = hearth(folder.path(), &["config"]);
    command.env("HEARTH_TOKEN", "hth_0123456789secret").env("HEARTH_URL", "http://gateway.example:1234");
    let ended = run(command, "").await;
    assert!(ended.status.success() && !ended.stdout.is_empty(), "{ended:?}");
    assert!(!format!("{ended:?}").contains("0123456789secret"), "{ended:?}");
}

#[tokio::test]
async fn generate_prints_text_or_json() {
    let home = Home::start().await;
    let text = succeeds(command(&home, &["generate", "--temperature", "0", QUESTION]), "").await;
    assert!(text.contains("Paris") && text.ends_with('\n'), "{text:?}");
    let whole = succeeds(command(&home, &["generate", "--temperature", "0", "--json", QUESTION]), "").await;
    let whole = json(&whole);
    assert_eq!(whole["output"]["text"].as_str().unwrap().trim_end(), text.trim_end());
    assert_eq!(whole["model"], home.model.as_str());
    let piped = succeeds(command(&home, &["generate", "--temperature", "0"]), QUESTION).await;
    assert_eq!(piped, text);
    home.stop().await;
}

#[tokio::test]
async fn chat_reads_turns_from_a_pipe() {
    let home = Home::start().await;
    let turns = "My name is Ada.\nWhat is my name?\n";
    let answers = succeeds(command(&home, &["chat", "--temperature", "0"]), turns).await;
    assert_eq!(answers.lines().count(), 2, "{answers}");
    assert!(answers.lines().nth(1).unwrap().contains("Ada"), "{answers}");
    home.stop().await;
}

#[tokio::test]
async fn models_are_listed_as_table_or_json() {
    let home = Home::start().await;
    let table = succeeds(command(&home, &["models", "list"]), "").await;
    assert!(table.lines().any(|line| line.starts_with(&home.model)), "{table}");
    let list = json(&succeeds(command(&home, &["models", "list", "--json"]), "").await);
    let models = list["models"].as_array().or(list.as_array()).unwrap();
    assert!(models.iter().any(|model| model["id"] == home.model.as_str()), "{models:?}");
    home.stop().await;
}

#[tokio::test]
async fn doctor_computes_with_and_without_a_gateway() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let alone =
        ["doctor", "--port", "0", "--json", "--data", data.to_str().unwrap(), "--url", "http://127.0.0.1:9"];
    let report = json(&succeeds(hearth(folder.path(), &alone), "").await);
    let line = |report: &Value, about: &str| {
        let findings = report["findings"].as_array().unwrap().iter();
        let matching: Vec<Value> = findings.filter(|finding| finding["about"] == about).cloned().collect();
        assert!(!matching.is_empty(), "no line about {about}: {report}");
        matching[0].clone()
    };
    assert!(
        line(&report, "backend")["message"].as_str().unwrap().contains("passed its self-test"),
        "{report}"
    );
    let answer = line(&report, "answer")["message"].as_str().unwrap().to_owned();
    assert!(answer.starts_with("tiny-chat answers with cpu-"), "{answer}");
    assert!(!data.exists(), "the doctor leaves nothing behind");

    let home = Home::start().await;
    let report = json(&succeeds(command(&home, &["doctor", "--port", "0", "--json"]), "").await);
    let answer = line(&report, "answer")["message"].as_str().unwrap().to_owned();
    assert!(answer.starts_with("tiny-chat answers with the running gateway"), "{answer}");
    home.stop().await;
}

#[tokio::test]
async fn tokens_are_created_listed_and_revoked() {
    let home = Home::start().await;
    let created = json(&succeeds(command(&home, &["token", "create", "laptop", "--json"]), "").await);
    let (token, id) = (created["token"].as_str().unwrap(), created["id"].as_str().unwrap());
    let with_token = || {
        let mut command = command(&home, &["models", "list"]);
        command.env("HEARTH_TOKEN", token);
        command
    };
    succeeds(with_token(), "").await;
    let list = succeeds(command(&home, &["token", "list"]), "").await;
    assert!(list.contains("laptop") && list.contains(id) && !list.contains(token), "{list}");
    succeeds(command(&home, &["token", "revoke", id]), "").await;
    fails(with_token()).await;
    home.stop().await;
}

#[tokio::test]
async fn error_has_the_request_id_and_advice() {
    let home = Home::start().await;
    let mut wrong = command(&home, &["generate", QUESTION]);
    wrong.env("HEARTH_TOKEN", "hth_wrong");
    let ended = fails(wrong).await;
    assert!(ended.stderr.contains("unauthorized") && ended.stderr.contains("req_"), "{}", ended.stderr);

    let ended = fails(command(&home, &["generate", "--model", "no-such-model", QUESTION])).await;
    assert!(ended.stderr.contains("model_not_found") && ended.stderr.contains("req_"), "{}", ended.stderr);
    let url = home.url.clone();
    let folder = home.stop().await;
    let mut gone = hearth(folder.path(), &["generate", QUESTION]);
    gone.env("HEARTH_URL", &url).env("HEARTH_TOKEN", "hth_any");
    let ended = fails(gone).await;
    assert!(ended.stderr.contains(&url) && ended.stderr.contains("hearth up"), "{}", ended.stderr);
}

#[tokio::test]
async fn chat_checks_model_and_token_before_the_first_message() {
    let home = Home::start().await;
    let mut chat = command(&home, &["chat", "--model", "no-such-model"]);
    let ended = fails(std::mem::replace(&mut chat, hearth(home.folder(), &["chat"]))).await;
    assert!(ended.stderr.contains("model_not_found"), "{}", ended.stderr);
    chat.env("HEARTH_URL", &home.url).env("HEARTH_TOKEN", "hth_wrong");
    let ended = fails(chat).await;
    assert!(ended.stderr.contains("unauthorized"), "{}", ended.stderr);
    home.stop().await;
}

#[tokio::test]
async fn models_are_described_and_removed() {
    let home = Setup::new().models(&["second", "third"]).start().await;
    let data = home.data();
    let data = data.to_str().unwrap();
    let info = succeeds(command(&home, &["models", "info", "second", "--data", data]), "").await;
    for words in ["second\n", "Q8_0", "4096 tokens", "parameters", "second.gguf"] {
        assert!(info.contains(words), "{words:?} in {info}");
    }
    let info = json(&succeeds(command(&home, &["models", "info", "second", "--json"]), "").await);
    assert_eq!(info["model"]["id"], "second", "{info}");
    let ended = fails(command(&home, &["models", "remove", "second"])).await;
    assert!(ended.stderr.contains("--yes"), "{}", ended.stderr);
    let removed = succeeds(command(&home, &["models", "remove", "second", "--yes"]), "").await;
    assert!(removed.contains("removed second") && !home.model_file("second").exists(), "{removed}");
    let ended = fails(command(&home, &["models", "remove", &home.model, "--yes"])).await;
    assert!(ended.stderr.contains("default model"), "{}", ended.stderr);
    // Without a gateway, on the folder itself.
    let data = data.to_owned();
    let folder = home.stop().await;
    let alone = |arguments: &[&str]| hearth(folder.path(), &[arguments, &["--data", &data]].concat());
    let info = succeeds(alone(&["models", "info", "third"]), "").await;
    assert!(info.contains("third.gguf") && info.contains("4096 tokens"), "{info}");
    let ended = fails(alone(&["models", "remove", "thrid", "--yes"])).await;
    assert!(ended.stderr.contains("did you mean third?"), "{}", ended.stderr);
    let removed = json(&succeeds(alone(&["models", "remove", "third", "--yes", "--json"]), "").await);
    assert_eq!((&removed["removed"], &removed["link"]), (&Value::Bool(true), &Value::Bool(false)));
}

#[tokio::test]
async fn service_is_printed_and_refused_without_systemd() {
    let folder = TempDir::new().unwrap();
    let unit = succeeds(hearth(folder.path(), &["service", "print", "--system"]), "").await;
    assert!(
        unit.contains("ExecStart=/") && unit.contains("up --quiet") && unit.contains("DynamicUser"),
        "{unit}"
    );
    if !std::path::Path::new("/run/systemd/system").exists() {
        let ended = fails(hearth(folder.path(), &["service", "install"])).await;
        assert!(ended.stderr.contains("systemd doesn't run this machine"), "{}", ended.stderr);
    }
}
