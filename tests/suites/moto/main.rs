//! Commands of the CLI on a cloud stack's stores, and the functions over them, with moto in AWS' place.
//!
//! Each test is below a module `in_moto`, and ignored unless `cargo xtask test --only moto` runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod backup;
mod credentials;
mod tokens;

use std::{fs, path::Path};

use hearth_tests::{Ended, Moto, run};
use lambda_emulator::{Emulator, Invocation};
use serde_json::Value;
use tokio::process::Command;

/// A stack's stores after its deployment: the template has created the table, the bucket and the secret.
async fn deployed() -> Moto {
    let moto = Moto::connect().await;
    let store = moto.store();
    store.migrate().await.unwrap();
    store.secret(Some(hearth_auth::Keys::generate_secret)).await.unwrap();
    moto
}

/// Runs a command that must succeed, and returns its output.
async fn succeeds(command: Command) -> String {
    let ended = run(command, "").await;
    assert!(ended.status.success(), "{ended:?}");
    ended.stdout
}

/// Runs a command that must fail, and returns its error.
async fn fails(command: Command) -> String {
    let Ended { status, stderr, .. } = run(command, "").await;
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

/// The sample event `file`, with `token`.
fn event(file: &str, token: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(file);
    let event = fs::read_to_string(path).unwrap().replace("${HEARTH_TOKEN}", token);
    serde_json::from_str(&event).unwrap()
}

/// Sends the function the sample event `file`, with `token`.
async fn invoke(function: &Emulator, file: &str, token: &str) -> Invocation {
    invoke_event(function, &event(file, token)).await
}

async fn invoke_event(function: &Emulator, event: &Value) -> Invocation {
    function.invoke(event).await.unwrap_or_else(|failure| panic!("{}: {failure}", event["path"]))
}
