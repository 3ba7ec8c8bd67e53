//! Settings of the HTTP server of `hearth up` and `hearth node`.

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, check_ranges},
    cors_origins::CorsOrigins,
    shown,
    trusted_proxies::TrustedProxies,
};

/// The table `server` of the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Threads that serve connections; absent: as many as the machine has processors.
    pub threads: Option<usize>,
    /// Connections at once.
    pub max_connections: usize,
    /// Seconds from a request's first byte, or from the beginning of a connection, to the end of the request's head.
    pub head_seconds: u64,
    /// Seconds that a connection may wait for its next request.
    pub idle_seconds: u64,
    /// Seconds that a body may pause.
    pub body_seconds: u64,
    /// Bytes a second that a body must have on average, after `body_seconds`.
    pub body_bytes_per_second: u64,
    /// Seconds that a client may read nothing of an answer that is waiting for it.
    pub write_seconds: u64,
    /// Memory for the bodies of all requests together, in bytes or as `256MB`.
    #[serde(serialize_with = "shown::bytes")]
    pub body_memory: ByteSize,
    /// Addresses and networks of proxies before the server, separated by commas. `x-forwarded-for` counts from them alone.
    pub trusted_proxies: TrustedProxies,
    /// Origins of pages that may read responses in a browser: `*` for all, or such as `https://app.example`.
    pub cors_origins: CorsOrigins,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: 2048,
            head_seconds: 15,
            // Longer than the 60 s after which the proxies of AWS and nginx close an idle connection themselves.
            idle_seconds: 75,
            body_seconds: 30,
            body_bytes_per_second: 1024,
            write_seconds: 60,
            body_memory: ByteSize::mib(256),
            trusted_proxies: TrustedProxies::default(),
            cors_origins: CorsOrigins::default(),
        }
    }
}

impl ServerSettings {
    /// Bytes of the largest request body, which `body_memory` must have room for.
    pub const REQUEST_BODY_MAX_BYTES: u64 = 10 << 20;

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "server.",
            [
                ("threads", self.threads.map(|threads| threads as u64), 1..=1024),
                ("max_connections", Some(self.max_connections as u64), 1..=1_000_000),
                ("head_seconds", Some(self.head_seconds), 1..=3600),
                ("idle_seconds", Some(self.idle_seconds), 1..=86_400),
                ("body_seconds", Some(self.body_seconds), 1..=3600),
                ("body_bytes_per_second", Some(self.body_bytes_per_second), 1..=1 << 30),
                ("write_seconds", Some(self.write_seconds), 1..=3600),
            ],
        )?;
        let min = Self::REQUEST_BODY_MAX_BYTES;
        if self.body_memory.as_u64() < min {
            return Err(InvalidSetting::new(format!(
                "server.body_memory must be {min} bytes or more: one request's body may take as many"
            )));
        }
        Ok(())
    }
}
