//! Describes why a connection failed: by the innermost cause, which is clearer than "error sending request".

use std::{
    error::Error,
    io::{self, ErrorKind},
    iter::successors,
};

/// Maximum length of the description, in characters.
const REASON_MAX_CHARS: usize = 200;

/// Describes the innermost cause of `error`, without an address or URL.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let causes = || successors(Some(error), |error| Error::source(*error));
    let innermost = causes().last().unwrap_or(error);
    let detail: String = innermost.to_string().chars().take(REASON_MAX_CHARS).collect();
    if causes().any(|cause| cause.to_string() == "dns error") {
        return format!("its name can't be resolved: {detail}");
    }
    if is_timeout(error) {
        return "timed out".to_owned();
    }
    let io = causes().filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    let Some(io) = io.and_then(|io| nested(io).last()) else { return detail };
    if io.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
        return format!("TLS failed: {detail}");
    }
    let words = match io.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "connection reset",
        ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            "connection closed"
        }
        ErrorKind::TimedOut => "timed out",
        ErrorKind::HostUnreachable => "host unreachable",
        ErrorKind::NetworkUnreachable => "network unreachable",
        _ => return detail,
    };
    words.to_owned()
}

/// Returns whether the cause is a timeout, of reqwest or of a connection.
pub(crate) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let is_timeout = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
            || cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == ErrorKind::TimedOut)
    };
    successors(Some(error), |error| Error::source(*error)).any(is_timeout)
}

/// Iterates over an I/O error and the errors inside it, which `source` doesn't return.
fn nested(error: &io::Error) -> impl Iterator<Item = &io::Error> {
    successors(Some(error), |error| error.get_ref()?.downcast_ref())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn reason_of(url: &str) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(2)).build().unwrap();
        reason(&client.get(url).send().await.unwrap_err())
    }

    /// The reason of a request to a server that accepts one connection and does `serve` with it.
    async fn reason_with<F: Future<Output = ()> + Send + 'static>(
        scheme: &str,
        serve: impl FnOnce(tokio::net::TcpStream) -> F + Send + 'static,
    ) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
        let reason = reason_of(&url).await;
        server.abort();
        reason
    }

    #[tokio::test]
    async fn reason_describes_the_innermost_cause() {
        let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        assert_eq!(reason_of(&format!("http://{free}/")).await, "connection refused");
        let unresolved = reason_of("http://no-such-host.invalid/").await;
        assert!(unresolved.starts_with("its name can't be resolved: "), "{unresolved}");
        let silent = reason_with("http", async |stream| {
            std::future::pending::<()>().await;
            drop(stream);
        });
        assert_eq!(silent.await, "timed out");
        let closed = reason_with("http", async |mut stream| {
            let _ = stream.read(&mut [0; 1024]).await;
        });
        assert_eq!(closed.await, "connection closed before message completed");
        let no_tls = reason_with("https", async |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        });
        let no_tls = no_tls.await;
        assert!(no_tls.starts_with("TLS failed: "), "{no_tls}");
        for reason in [unresolved, no_tls] {
            assert!(!reason.contains("127.0.0.1") && !reason.contains("http://"), "{reason}");
        }
    }
}
