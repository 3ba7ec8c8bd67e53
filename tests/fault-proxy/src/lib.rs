//! A proxy that injects faults between an HTTP client and a server on loopback, for tests and benchmarks.
//!
//! It reads HTTP/1.1 requests and WebSocket frames as far as it needs, and passes them on as they are. A [`Fault`] is of a
//! request, a [`MessageFault`] of a message over a WebSocket, and a [`Network`] is slow.

mod connection;
mod frames;
mod line;
mod message;
mod rules;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use rules::Rules;
pub use rules::{Fault, MessageFault};

/// The network between client and proxy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network {
    /// Round trip time: half of it in each direction. A new connection takes one more, as TCP's handshake does.
    pub round_trip: Duration,
    /// Limit of the bytes from client to server in a second; none for no limit.
    pub upload_bytes_per_second: Option<u32>,
    /// Reads each answer whole before it passes it on.
    pub buffers_answers: bool,
}

/// A request that the proxy has read, and what became of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Its method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// Its body, as it was framed.
    pub body: Bytes,
    /// Status of the server's answer; none if it wasn't delivered.
    pub status: Option<u16>,
}

/// Number of messages that went over WebSockets, in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// From the client to the server.
    pub from_client: u64,
    /// From the server to the client.
    pub from_server: u64,
}

/// A running proxy. Dropping it closes its port and all connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// State that all connections share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Incremented by each cut: connections end on a change.
    cuts: watch::Sender<u64>,
    /// Incremented with each entry of the log and each message.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    network: Network,
    rules: Rules,
    log: Vec<Exchange>,
    messages: MessageCounts,
}

impl FaultProxy {
    /// Starts a proxy in front of the server at `upstream`, as in `http://127.0.0.1:8000`, on a free port.
    ///
    /// # Errors
    /// If there is no port, or the address can't be read.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let state = State {
            upstream: address(upstream)?,
            network: Network::default(),
            rules: Rules::default(),
            log: Vec::new(),
            messages: MessageCounts::default(),
        };
        let (cuts, changes) = (watch::Sender::new(0), watch::Sender::new(0));
        let shared = Arc::new(Shared { state: Mutex::new(state), cuts, changes });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Its own address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Passes further requests to another server, such as the same one after its restart.
    ///
    /// # Errors
    /// If the address can't be read.
    pub fn set_upstream(&self, upstream: &str) -> io::Result<()> {
        self.shared.state().upstream = address(upstream)?;
        Ok(())
    }

    /// Sets the network.
    pub fn set_network(&self, network: Network) {
        self.shared.state().network = network;
    }

    /// Treats the next `count` requests whose method and path contain `part`, as in `POST /v1/node/report`, in this way.
    pub fn inject(&self, part: &str, fault: Fault, count: usize) {
        self.shared.state().rules.add(part, fault, count);
    }

    /// Treats the next `count` messages of the server whose text contains `part` in this way.
    pub fn inject_message(&self, part: &str, fault: MessageFault, count: usize) {
        self.shared.state().rules.add_message(part, fault, count);
    }

    /// Removes all faults that are still to come.
    pub fn heal(&self) {
        self.shared.state().rules = Rules::default();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The requests so far.
    #[must_use]
    pub fn log(&self) -> Vec<Exchange> {
        self.shared.state().log.clone()
    }

    /// Number of requests so far whose method and path contain `part`.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.shared.state().log.iter().filter(|exchange| exchange.matches(part)).count()
    }

    /// Number of messages so far.
    #[must_use]
    pub fn messages(&self) -> MessageCounts {
        self.shared.state().messages
    }

    /// Waits until `is_reached`, which is asked again after each request and message.
    pub async fn wait_until(&self, is_reached: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        while !is_reached(self) {
            // The sender lives as long as this.
            let _ = changes.changed().await;
        }
    }

    /// Waits for `count` further requests whose method and path contain `part`.
    pub async fn wait_for(&self, part: &str, count: usize) {
        let before = self.count(part);
        self.wait_until(|proxy| proxy.count(part) >= before + count).await;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Exchange {
    /// Returns whether its method and path contain `part`.
    #[must_use]
    pub fn matches(&self, part: &str) -> bool {
        format!("{} {}", self.method, self.path).contains(part)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, exchange: Exchange) {
        self.state().log.push(exchange);
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn count_message(&self, count: impl FnOnce(&mut MessageCounts)) {
        count(&mut self.state().messages);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let (shared, mut cuts) = (Arc::clone(&shared), shared.cuts.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                // A connection that breaks is no failure of the proxy.
                _ = connection::serve(&shared, client) => (),
                _ = cuts.changed() => (),
            }
        });
    }
}

fn address(url: &str) -> io::Result<SocketAddr> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    host.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("{url}: {error}")))
}

#[cfg(test)]
mod tests;
