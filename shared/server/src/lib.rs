//! The HTTP server of a process at home: accepts connections up to a limit, serves them on threads of their own, and shuts down in
//! order.

#![warn(missing_docs)]

mod connection;
mod descriptors;
mod idle_memory;
mod limits;
mod stream;
mod table;
mod threads;
mod tls;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_rustls::server::TlsStream;
use tokio_util::{
    either::Either,
    task::{AbortOnDropHandle, TaskTracker},
};

pub use descriptors::{low_descriptor_limit, raise_descriptor_limit};
pub use threads::ServingThreads;
pub use tls::Tls;

use connection::Connection;
use hearth_gateway::activity;
use hearth_settings::{ServerSettings, TrustedProxies};
use limits::Limits;
use table::{State, Table};

/// Time for open requests to end when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Delay after the system refused a connection because no file descriptor is left.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Interval of log lines about refused connections.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// Connections above the limit that are answered 503 at once; more are closed without an answer.
const OVERFLOW_MAX_COUNT: usize = 64;
/// Time for such a connection to send its request.
const OVERFLOW_HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// The bytes of a connection, below HTTP.
type Socket = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A listener, and the routes that it serves.
#[derive(Debug)]
pub struct Entrance {
    listener: TcpListener,
    router: Router,
    /// The listener's TLS; none: it serves plain HTTP.
    tls: Option<Arc<Tls>>,
}

impl Entrance {
    /// Plain HTTP.
    pub fn plain(listener: TcpListener, router: Router) -> Self {
        Self { listener, router, tls: None }
    }

    /// HTTP over TLS.
    pub fn secure(listener: TcpListener, router: Router, tls: Tls) -> Self {
        Self { listener, router: tls::secure_router(router), tls: Some(Arc::new(tls)) }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    threads: Arc<ServingThreads>,
    _idle_memory: AbortOnDropHandle<()>,
}

/// A server can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port is in use.
    #[error(
        "port {port} on {host} is in use by another program; choose another with --port, or any free one with --port 0"
    )]
    PortInUse {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
    },
    /// The address is of another machine.
    #[error(
        "{0} is no address of this machine; choose one of its own with --host, such as ::1 if it has only IPv6"
    )]
    ForeignAddress(IpAddr),
    /// The system refuses the address.
    #[error("{host}:{port} can't be listened on")]
    Listen {
        /// The address.
        host: IpAddr,
        /// The port.
        port: u16,
        /// The system's message.
        source: io::Error,
    },
    /// The system starts no thread.
    #[error("the threads that serve connections can't be started")]
    Threads(#[source] io::Error),
}

/// Listens on an address.
///
/// # Errors
/// The port is in use, or the address is of another machine.
pub async fn bind(host: IpAddr, port: u16) -> Result<TcpListener, ServerError> {
    TcpListener::bind((host, port)).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServerError::PortInUse { host, port },
        io::ErrorKind::AddrNotAvailable => ServerError::ForeignAddress(host),
        _ => ServerError::Listen { host, port, source },
    })
}

/// Serves the entrances, within the limits of `settings` and of the process' file descriptors, which they share. The current
/// runtime accepts the connections; threads of their own serve them.
///
/// # Errors
/// The system starts no thread.
pub fn start(entrances: Vec<Entrance>, settings: &ServerSettings) -> Result<Server, ServerError> {
    let cores = || thread::available_parallelism().map_or(1, Into::into);
    let threads = ServingThreads::start(settings.threads.unwrap_or_else(cores));
    let threads = Arc::new(threads.map_err(ServerError::Threads)?);
    let (stop, stopped) = watch::channel(false);
    let limits = Limits::new(settings, descriptors::descriptor_limit());
    let proxies = Arc::new(settings.trusted_proxies.clone());
    let table = Arc::new(Table::new(limits.connections));
    let overflow = Arc::new(Semaphore::new(OVERFLOW_MAX_COUNT));
    let upgrades = Arc::new(Semaphore::new(limits.sockets.min(Semaphore::MAX_PERMITS)));
    let accept = |entrance: Entrance| {
        let acceptor = Acceptor {
            overflow_router: hearth_http::serve::overloaded(entrance.router.clone()),
            router: entrance.router,
            tls: entrance.tls,
            limits,
            proxies: Arc::clone(&proxies),
            table: Arc::clone(&table),
            overflow: Arc::clone(&overflow),
            upgrades: Arc::clone(&upgrades),
            stopped: stopped.clone(),
            tasks: TaskTracker::new(),
            threads: Arc::clone(&threads),
        };
        tokio::spawn(acceptor.run(entrance.listener))
    };
    let tasks = entrances.into_iter().map(accept).collect();
    let idle_memory = tokio::spawn(idle_memory::release_unused(activity::of_process(), threads.runtimes()));
    Ok(Server { stop, tasks, threads, _idle_memory: AbortOnDropHandle::new(idle_memory) })
}

impl Server {
    /// Stops accepting connections, and waits for open requests up to a timeout. The returned threads run until they are
    /// dropped, since they also carry runs that outlive their connections, and records that are being written.
    pub async fn stop(self) -> Arc<ServingThreads> {
        self.stop.send_replace(true);
        let drained = futures::future::join_all(self.tasks);
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!("connections were still open at the end");
        }
        self.threads
    }
}

struct Acceptor {
    router: Router,
    /// Answers `/health`, and 503 to everything else.
    overflow_router: Router,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    /// Proxies whose `x-forwarded-for` counts.
    proxies: Arc<TrustedProxies>,
    table: Arc<Table>,
    overflow: Arc<Semaphore>,
    /// Places of WebSockets.
    upgrades: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    tasks: TaskTracker,
    threads: Arc<ServingThreads>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        let mut logged: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer),
                Err(error) if ended_early(&error) => {}
                Err(error) => {
                    if logged.is_none_or(|at| at.elapsed() >= ACCEPT_LOG_INTERVAL) {
                        logged = Some(Instant::now());
                        tracing::error!(%error, "connections can't be accepted");
                    }
                    self.table.close_longest_idle();
                    tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                }
            }
        }
        drop(listener);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Serves a new connection. At the limit the connection that has been idle for longest is closed; if all are busy, the
    /// new one is answered 503.
    fn admit(&self, socket: TcpStream, peer: SocketAddr) {
        // Tokens are small: send packets without waiting to fill them.
        let _ = socket.set_nodelay(true);
        if let Some(entry) = self.table.enter() {
            let connection = Connection {
                state: entry.state(),
                router: self.router.clone(),
                overflow_router: self.overflow_router.clone(),
                upgrades: Arc::clone(&self.upgrades),
                limits: self.limits,
                peer: peer.ip(),
                proxies: Arc::clone(&self.proxies),
                keep_alive: true,
            };
            self.serve(socket, connection, entry);
            return;
        }
        metrics::counter!("hearth_connections_refused_total").increment(1);
        let Ok(permit) = Arc::clone(&self.overflow).try_acquire_owned() else { return };
        let connection = Connection {
            state: Arc::new(State::new()),
            router: self.overflow_router.clone(),
            overflow_router: self.overflow_router.clone(),
            upgrades: Arc::clone(&self.upgrades),
            limits: Limits { head: OVERFLOW_HEAD_TIMEOUT.min(self.limits.head), ..self.limits },
            peer: peer.ip(),
            proxies: Arc::clone(&self.proxies),
            keep_alive: false,
        };
        self.serve(socket, connection, permit);
    }

    /// Serves a connection on the thread whose turn it is; `guard` is dropped at its end.
    fn serve(&self, socket: TcpStream, connection: Connection, guard: impl Send + Unpin + 'static) {
        let (runtime, place) = self.threads.place();
        let mut stopped = self.stopped.clone();
        let tls = self.tls.clone();
        let serve = async move {
            // Move the socket from the accepting runtime to the serving one.
            match socket.into_std().and_then(TcpStream::from_std) {
                Ok(socket) => {
                    let socket = match tls {
                        None => Some(Either::Left(socket)),
                        Some(tls) => connection.accept(&tls, socket, &mut stopped).await,
                    };
                    if let Some(socket) = socket {
                        connection.serve(socket, stopped, (guard, place)).await;
                    }
                }
                Err(error) => tracing::warn!(%error, "a connection can't be served"),
            }
        };
        self.tasks.spawn_on(serve, runtime);
    }
}

/// Returns whether the client closed the connection before it was accepted, which is no fault of the system.
fn ended_early(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
