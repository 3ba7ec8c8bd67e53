//! TensorZero's gateway (<https://www.tensorzero.com/docs>). Its server is shipped as a container only; PyPI's package
//! has the same server in it, for `patch_openai_client`, and a process of Python that does nothing else serves it.

use std::{fs, path::Path, time::Instant};

use anyhow::Result;

use crate::{
    gateway::{
        client::Address,
        subject::{Subject, address},
        upstream::MODEL,
    },
    hearth::text,
    process::Process,
};

const SETUP: &str = "its Rust server in a process of Python; authentication, records and rate limits off";

/// Starts the server, says where it is, and waits for the end.
const SERVE: &str = r#"
import asyncio, json, os, sys
# It logs to the standard output, which is for its address.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
from tensorzero.tensorzero import _start_http_gateway
async def main():
    gateway = await _start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None,
        valkey_url=None, async_setup=True)
    print(json.dumps({"url": gateway.base_url}), file=out, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"#;

/// `program` is the Python that has the package.
pub(super) async fn start(program: &Path, upstream: &str) -> Result<Subject> {
    let config = format!(
        r#"
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models."{MODEL}"]
routing = ["mock"]

[models."{MODEL}".providers.mock]
type = "openai"
model_name = "{MODEL}"
api_base = "{upstream}/v1/"
api_key_location = "none"
"#
    );
    let began = Instant::now();
    let mut process = Process::start(program, |command, folder| {
        let path = folder.join("tensorzero.toml");
        let _ = fs::write(&path, config);
        command.args(["-c", SERVE]).arg(path);
    })?;
    let url = text(&process.ready().await?, "url")?;
    let (base, path) = match url.find("/openai") {
        Some(at) => (&url[..at], "/openai/v1/chat/completions"),
        None => (url.trim_end_matches('/'), "/openai/v1/chat/completions"),
    };
    let model = format!("tensorzero::model_name::{MODEL}");
    let address = Address { at: address(base)?, path, model, headers: Vec::new() };
    Subject::started("TensorZero", SETUP, process, address, began).await
}
