//! `hearth doctor`.

use hearth_tests::{Home, Setup, hearth, own_selector, program_without_backends, run, wrap_backend};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{command, json, succeeds};

#[tokio::test]
async fn doctor_finds_no_problem_with_a_gateway_at_home() {
    let home = Home::start().await;
    let doctor = |token: &str| {
        let mut command = hearth(home.folder(), &["doctor", "--url", &home.url]);
        command.env("HEARTH_TOKEN", token);
        command
    };
    let text = succeeds(doctor(&home.token), "").await;
    for about in
        ["connect", "version", "latency", "clock", "auth", "token", "ready", "models", "answer", "stream"]
    {
        let is_ok = |line: &str| line.starts_with("ok") && line.split_whitespace().nth(1) == Some(about);
        assert!(text.lines().any(is_ok), "{about}: {text}");
    }
    assert!(text.contains("tiny-chat answered in"), "{text}");
    let ended = run(doctor("hth_wrong"), "").await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("problem  token"), "{ended:?}");
    home.stop().await;
}

#[tokio::test]
async fn doctor_computes_with_and_without_a_gateway() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut alone =
        hearth(folder.path(), &["doctor", "--port", "0", "--json", "--data", data.to_str().unwrap()]);
    alone.env("HEARTH_URL", "http://127.0.0.1:9");
    let report = json(&succeeds(alone, "").await);
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
    // Without the gateway's models a worker answers.
    let created = command(&home, &["token", "create", "generates", "--scope", "generate", "--json"]);
    let token = json(&succeeds(created, "").await)["token"].as_str().unwrap().to_owned();
    for token in [None, Some(&token)] {
        let mut doctor = hearth(home.folder(), &["doctor", "--port", "0", "--json"]);
        doctor.env("HEARTH_URL", &home.url).envs(token.map(|token| ("HEARTH_TOKEN", token)));
        let report = json(&succeeds(doctor, "").await);
        let answer = line(&report, "answer")["message"].as_str().unwrap().to_owned();
        assert!(answer.starts_with("tiny-chat answers with cpu-"), "{answer}");
    }
    home.stop().await;
}

#[tokio::test]
async fn doctor_fails_with_the_reason_if_the_default_model_gives_no_answer() {
    let setup = Setup::new()
        .model_with_template("silent", "{{ bos_token }}")
        .model_with_template("broken", "{% for message in messages %}");
    for (name, reason) in [
        ("silent", "its chat template omits the user's message"),
        ("broken", "its chat template can't be read"),
        ("missing", "is neither a file nor a model of the folder"),
    ] {
        let (folder, file) = (TempDir::new().unwrap(), setup.model_file(name));
        let mut command =
            hearth(folder.path(), &["doctor", "--port", "0", "--model", file.to_str().unwrap()]);
        command.env("HEARTH_URL", "http://127.0.0.1:9");
        let ended = run(command, "").await;
        assert_eq!(ended.status.code(), Some(1), "{name}: {ended:?}");
        let line = ended.stdout.lines().find(|line| line.starts_with("problem  answer"));
        let line = line.unwrap_or_else(|| panic!("{name}: {ended:?}"));
        assert!(line.contains("gives no answer: ") && line.contains(reason), "{name}: {line}");
        assert!(!ended.stdout.contains("answers with"), "{name}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn doctor_finds_a_machine_whose_only_backend_is_broken() {
    let real = own_selector().select().await.libraries.pop().unwrap();
    let doctor = async |definition: &'static str, reason: &'static str| {
        let (folder, program) = program_without_backends();
        wrap_backend(&folder.path().join("libggml-cpu-broken.so"), &real, &["SCORE=9", definition]);
        let mut command = Command::new(program);
        command.args(["doctor", "--port", "0", "--data"]).arg(folder.path().join("data"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path());
        command.env("HEARTH_URL", "http://127.0.0.1:9").kill_on_drop(true);
        let ended = run(command, "").await;
        assert_eq!(ended.status.code(), Some(1), "{definition}: {ended:?}");
        let line =
            "problem  backend    no backend for this processor passed its self-test: libggml-cpu-broken.so";
        assert!(
            ended.stdout.contains(line) && ended.stdout.contains(reason),
            "{definition}: {}",
            ended.stdout
        );
        assert!(!ended.stdout.contains("answers with"), "{definition}: {}", ended.stdout);
    };
    tokio::join!(
        doctor("CRASH", "F32, 1 row: its process ended with signal: 4 (SIGILL)"),
        doctor("WRONG", "F32, 1 row: wrong numbers"),
        doctor("HANG", "F32, 1 row: it hung: no answer for 20 s"),
    );
}
