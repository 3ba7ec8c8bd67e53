//! Settings of the server, and the limits that come of them.

use std::time::Duration;

use anyhow::Result;
use bytesize::ByteSize;
use hearth_http::paced_body::Pace;
use serde::Deserialize;
use serde_json::{Value, json};

/// File descriptors for all but connections and their requests: the database, logs, files of models.
const DESCRIPTORS_RESERVED: u64 = 64;
/// Connections that are served however few file descriptors there are.
const CONNECTIONS_MIN_COUNT: usize = 8;

/// The table `server` of the settings.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerSettings {
    /// Threads that serve connections; absent: as many as the machine has processors.
    pub(crate) threads: Option<usize>,
    /// Connections at once.
    pub(crate) max_connections: usize,
    /// Seconds from a request's first byte, or from the beginning of a connection, to the end of the request's head.
    pub(crate) head_seconds: u64,
    /// Seconds that a connection may wait for its next request.
    pub(crate) idle_seconds: u64,
    /// Seconds that a body may pause.
    pub(crate) body_seconds: u64,
    /// Bytes a second that a body must have on average, after `body_seconds`.
    pub(crate) body_bytes_per_second: u64,
    /// Seconds that a client may read nothing of an answer that is waiting for it.
    pub(crate) write_seconds: u64,
    /// Memory for the bodies of all requests together, in bytes or as `256MB`.
    pub(crate) body_memory: ByteSize,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: 2048,
            head_seconds: 15,
            // Longer than the 60 s after which AWS' and nginx' proxies let go of an idle connection themselves.
            idle_seconds: 75,
            body_seconds: 30,
            body_bytes_per_second: 1024,
            write_seconds: 60,
            body_memory: ByteSize::mib(256),
        }
    }
}

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) body: Pace,
    pub(super) write: Duration,
}

impl ServerSettings {
    /// The limits of a process that may have `descriptors` files and sockets open. Half of them are for what requests
    /// open themselves, such as a connection to a provider.
    pub(super) fn limits(&self, descriptors: u64) -> Limits {
        let most =
            usize::try_from(descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2).unwrap_or(usize::MAX);
        Limits {
            connections: self.max_connections.min(most.max(CONNECTIONS_MIN_COUNT)),
            head: Duration::from_secs(self.head_seconds),
            idle: Duration::from_secs(self.idle_seconds),
            body: Pace {
                pause: Duration::from_secs(self.body_seconds),
                bytes_per_second: self.body_bytes_per_second,
            },
            write: Duration::from_secs(self.write_seconds),
        }
    }

    /// Checks that each number is one that a server can work with.
    pub(crate) fn check(&self) -> Result<()> {
        let bounds = [
            ("threads", self.threads.unwrap_or(1) as u64, 1, 1024),
            ("max_connections", self.max_connections as u64, 1, 1_000_000),
            ("head_seconds", self.head_seconds, 1, 3600),
            ("idle_seconds", self.idle_seconds, 1, 86_400),
            ("body_seconds", self.body_seconds, 1, 3600),
            ("body_bytes_per_second", self.body_bytes_per_second, 1, 1 << 30),
            ("write_seconds", self.write_seconds, 1, 3600),
        ];
        for (name, value, least, most) in bounds {
            anyhow::ensure!(
                (least..=most).contains(&value),
                "server.{name} must be {least} to {most}, and is {value}"
            );
        }
        let least = hearth_http::extract::MAX_BODY as u64;
        anyhow::ensure!(
            self.body_memory.as_u64() >= least,
            "server.body_memory must be {least} bytes or more: one request's body may take as many"
        );
        Ok(())
    }

    /// The settings as JSON.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "threads": self.threads,
            "max_connections": self.max_connections,
            "head_seconds": self.head_seconds,
            "idle_seconds": self.idle_seconds,
            "body_seconds": self.body_seconds,
            "body_bytes_per_second": self.body_bytes_per_second,
            "write_seconds": self.write_seconds,
            "body_memory": self.body_memory.as_u64(),
        })
    }
}
