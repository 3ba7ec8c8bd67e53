//! `hearth doctor`, by the real program.

#![expect(clippy::unwrap_used, reason = "a test's own steps may fail it")]

use std::{fs, path::Path, process::Stdio};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::Command,
    time::{Duration, timeout},
};

/// Runs `hearth doctor` on `data`: its exit status, and what it printed.
async fn doctor(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    doctor_with(data, arguments, &[]).await
}

async fn doctor_with(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.args(["doctor", "--data"]).arg(data).args(arguments);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", data);
    command.envs(variables.iter().copied());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(Duration::from_secs(120), command.output()).await.unwrap().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn about<'a>(report: &'a Value, what: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["about"] == what).unwrap_or_else(|| panic!("{what}: {report:#}"))
}

#[tokio::test]
async fn machine_that_runs_the_tests_is_healthy() {
    let data = tempfile::tempdir().unwrap();
    let (status, text) = doctor(data.path(), &["--port", "0", "--json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &report["healthy"]), (Some(0), &Value::Bool(true)), "{report:#}");
    for what in
        ["processor", "threads", "memory", "engine", "gpu", "data", "disk", "models", "default", "port"]
    {
        assert_ne!(about(&report, what)["level"], "problem");
    }
    let devices = report["devices"].as_array().unwrap();
    assert!(
        devices.iter().any(|device| device["kind"] == "cpu" && device["memory_total"].as_u64() > Some(0))
    );
    assert!(report["memory"]["total_bytes"].as_u64() > Some(0));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "a file was left behind");
}

#[tokio::test]
async fn problems_have_advice_and_set_the_exit_status() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fs::create_dir(data.path().join("models")).unwrap();
    fs::write(data.path().join("models/cut.gguf"), b"GGUF").unwrap();
    let (arguments, variables) =
        (["--port", &port, "--model", "missing"], [("HEARTH_URL", "http://127.0.0.1:1")]);
    let (status, text) = doctor_with(data.path(), &arguments, &variables).await;
    assert_eq!(status, Some(1), "{text}");
    for line in [
        "problem  port       127.0.0.1:",
        "problem  default    missing is neither a file nor a model of the folder",
        "warning  model      cut: the model file is truncated",
        "warning  gateway    no gateway answers at http://127.0.0.1:1",
        "-> choose another with --port",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}
