//! A cloud stack on this machine, and a box that is enrolled in it by a code: the functions' own processes under Lambda's
//! emulator, behind the emulated API and its WebSocket API, with the roles of the template. For suites that aren't written in
//! Rust: it prints its address, a token and the box's model in one line of JSON, and serves until Ctrl-C.
//!
//! `cargo run --package hearth-tests --bin emulated-cloud`, after `cargo build --workspace --bins`

#![expect(clippy::print_stdout, reason = "the line on standard output is what this program is for")]

use anyhow::Result;
use hearth_tests::{
    Client, Cloud,
    relay::{NodeProcess, enrolment_code, wait_for_model},
};
use lambda_emulator::Placement;
use serde_json::json;

/// The model in the box's binary.
const MODEL: &str = "tiny-chat";

#[tokio::main]
async fn main() -> Result<()> {
    let cloud = Cloud::start_without_node().await;
    let api = cloud.api(Placement::Stage("dev".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let code = enrolment_code(&client).await;
    let mut node = NodeProcess::enroll(&api.url(), &code, &[]).await;
    node.start().await;
    wait_for_model(&client, MODEL).await;
    println!("{}", json!({"url": api.url(), "token": cloud.token, "model": MODEL}));
    tokio::signal::ctrl_c().await?;
    node.stop().await;
    Ok(())
}
