//! Memory of a gateway at home with idle nodes, each of which is connected by a socket.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use hearth_auth::NodeKey;
use hearth_domain::Timestamp;
use hearth_wire::relay::NodeOrders;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::node::{Gateway, json_of};
use crate::{
    client,
    gateway::memory::Memory,
    table::{Goal, Row, Table},
};

const MEGABYTE: f64 = 1e6;
/// Megabytes that the nodes may take.
const MEMORY_LIMIT_MB: f64 = 50.0;
/// Time for the gateway to come to rest.
const SETTLE_INTERVAL: Duration = Duration::from_secs(3);
/// An answer's head is smaller.
const HEAD_MAX_BYTES: usize = 8 << 10;

/// A node that is connected, and does nothing.
struct IdleNode {
    id: String,
    key: NodeKey,
}

/// Measures the memory before and after.
pub(super) async fn memory(hearth: &Path, count: usize, table: &mut Table) -> Result<()> {
    let gateway = Gateway::start(hearth).await?;
    let http = client::http()?;
    let before = resident_megabytes(&gateway).await?;
    let mut nodes = Vec::with_capacity(count);
    for number in 0..count {
        nodes.push(IdleNode::enroll(&gateway, &http, number).await?);
    }
    let enrolled = resident_megabytes(&gateway).await?;
    let mut sockets = Vec::with_capacity(count);
    for node in &nodes {
        node.report(&gateway, &http).await?;
        sockets.push(node.connect(&gateway).await?);
    }
    let connected = resident_megabytes(&gateway).await?;
    table.push(Row::difference(format!("{count} nodes enrolled, resident"), "MB", &[enrolled], &[before]));
    let row = Row::difference(format!("{count} nodes connected, resident"), "MB", &[connected], &[before]);
    table.push(row.goal(Goal::AtMost(MEMORY_LIMIT_MB)));
    drop(sockets);
    gateway.process.stop().await
}

async fn resident_megabytes(gateway: &Gateway) -> Result<f64> {
    tokio::time::sleep(SETTLE_INTERVAL).await;
    let memory =
        Memory::of(gateway.process.pid()).context("the memory of a process is known on Linux only")?;
    Ok(memory.resident as f64 / MEGABYTE)
}

impl IdleNode {
    async fn enroll(gateway: &Gateway, http: &reqwest::Client, number: usize) -> Result<Self> {
        let (code, key) = (gateway.code().await?, NodeKey::generate());
        let body = json!({
            "code": code, "public_key": key.public_key(), "name": format!("idle-{number}"), "version": "bench",
        });
        let enrolled = json_of(http.post(format!("{}/v1/node/enroll", gateway.url)).json(&body)).await?;
        let id = enrolled["node"].as_str().context("no node")?.to_owned();
        Ok(Self { id, key })
    }

    async fn report(&self, gateway: &Gateway, http: &reqwest::Client) -> Result<()> {
        let body = json!({"status": {"models": []}, "version": "bench", "now": Timestamp::now()}).to_string();
        let credential = self.credential("POST /v1/node/report", body.as_bytes())?;
        let request = http.post(format!("{}/v1/node/report", gateway.url)).bearer_auth(credential);
        let orders: Value = json_of(request.header("content-type", "application/json").body(body)).await?;
        let orders: NodeOrders = serde_json::from_value(orders)?;
        ensure!(orders.socket.is_some(), "the gateway has no socket");
        Ok(())
    }

    async fn connect(&self, gateway: &Gateway) -> Result<TcpStream> {
        let credential = self.credential("GET /v1/socket", b"")?;
        let host = gateway.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).await.context("no connection")?;
        // The key is RFC 6455's example.
        let request = format!(
            "GET /v1/socket HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {credential}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX_BYTES {
            head.push(stream.read_u8().await.context("no answer")?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        ensure!(head.starts_with("HTTP/1.1 101"), "no socket: {head}");
        Ok(stream)
    }

    fn credential(&self, call: &str, body: &[u8]) -> Result<String> {
        Ok(self.key.sign(&self.id, call, body, SystemTime::now())?)
    }
}
