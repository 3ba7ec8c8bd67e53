//! Portkey's gateway (<https://github.com/Portkey-AI/gateway>), configured by headers.

use std::{path::Path, process::Stdio, time::Instant};

use anyhow::Result;

use super::free_port;
use crate::{
    gateway::{client::Address, subject::Subject, upstream::MODEL},
    process::Process,
};

const SETUP: &str = "one process of Node; it has no authentication, records or rate limits of its own";

/// `program` is its `start-server.js`.
pub(super) async fn start(program: &Path, upstream: &str) -> Result<Subject> {
    let port = free_port()?;
    let began = Instant::now();
    let process = Process::start(Path::new("node"), |command, _| {
        command.stdout(Stdio::null()).env("NODE_ENV", "production");
        // An address of this machine is refused unless it is named.
        command.env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1,localhost");
        command.arg(program).arg(format!("--port={port}")).arg("--headless");
    })?;
    let headers = vec![
        ("x-portkey-provider", "openai".to_owned()),
        ("x-portkey-custom-host", format!("{upstream}/v1")),
        ("authorization", "Bearer none".to_owned()),
    ];
    let at = ([127, 0, 0, 1], port).into();
    let address = Address { at, path: "/v1/chat/completions", model: MODEL.to_owned(), headers };
    Subject::started("Portkey", SETUP, process, address, began).await
}
