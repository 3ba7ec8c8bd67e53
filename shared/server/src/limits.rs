//! The limits of the server.

use std::time::Duration;

use hearth_http::paced_body::Pace;
use hearth_settings::ServerSettings;

/// File descriptors for all but connections and their requests: the database, logs, files of models.
const DESCRIPTORS_RESERVED: u64 = 64;
/// Connections that are served however few file descriptors there are.
const CONNECTIONS_MIN_COUNT: usize = 8;

/// Part of the connections that may be WebSockets, which stay for hours and make no room for others.
const SOCKETS_PART: usize = 4;

/// The limits of a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    /// Connections of these that may be WebSockets.
    pub(super) sockets: usize,
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) body: Pace,
    pub(super) write: Duration,
}

impl Limits {
    /// The limits of a process that may have `descriptors` files and sockets open. Half of them are for what requests
    /// open themselves, such as a connection to a provider.
    pub(super) fn new(settings: &ServerSettings, descriptors: u64) -> Self {
        let max = usize::try_from(descriptors.saturating_sub(DESCRIPTORS_RESERVED) / 2).unwrap_or(usize::MAX);
        let connections = settings.max_connections.min(max.max(CONNECTIONS_MIN_COUNT));
        Self {
            connections,
            sockets: (connections / SOCKETS_PART).max(1),
            head: Duration::from_secs(settings.head_seconds),
            idle: Duration::from_secs(settings.idle_seconds),
            body: Pace {
                pause: Duration::from_secs(settings.body_seconds),
                bytes_per_second: settings.body_bytes_per_second,
            },
            write: Duration::from_secs(settings.write_seconds),
        }
    }
}
