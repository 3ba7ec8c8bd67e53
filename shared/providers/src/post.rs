//! Requests to addresses that users have named, beside those of providers: webhooks.
//!
//! The client's guard of addresses applies, and no redirect is followed. Of the answer only the status, the time of the next try,
//! and a short beginning are read.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Uri, header::RETRY_AFTER};

use crate::{VendorClient, retry_after, transport_error};

/// Bytes of an answer that are read.
const EXCERPT_MAX_BYTES: usize = 1 << 10;
/// Characters of an answer that are returned.
const EXCERPT_MAX_CHARS: usize = 200;

/// Answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAnswer {
    /// Status.
    pub status: u16,
    /// Time after which the server wants the next try.
    pub retry_after: Option<Duration>,
    /// Beginning of the body, without control characters.
    pub excerpt: String,
}

/// Request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PostError {
    /// Reason, without the address.
    pub reason: String,
}

impl VendorClient {
    /// Posts a body, and waits for the head of the answer and a beginning of its body.
    ///
    /// # Errors
    /// If there is no answer within `timeout`.
    pub async fn post(
        &self,
        address: &Uri,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<PostAnswer, PostError> {
        let mut request = Request::post(address.clone())
            .body(body)
            .map_err(|_| PostError { reason: "the address can't be used".to_owned() })?;
        *request.headers_mut() = headers;
        tokio::time::timeout(timeout, self.exchange(request))
            .await
            .unwrap_or_else(|_| Err(PostError { reason: "timed out".to_owned() }))
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<PostAnswer, PostError> {
        let response = self.send(request).await;
        let response = response.map_err(|error| PostError { reason: transport_error::reason(&*error) })?;
        let retry_after = response
            .headers
            .contains_key(RETRY_AFTER)
            .then(|| retry_after::of_header(&response.headers, SystemTime::now()))
            .flatten();
        let (status, mut body) = (response.status.as_u16(), response.body);
        let mut bytes = Vec::new();
        // A body that breaks off changes nothing: the status is there.
        while bytes.len() < EXCERPT_MAX_BYTES {
            let Some(Ok(piece)) = body.next().await else { break };
            bytes.extend_from_slice(&piece[..piece.len().min(EXCERPT_MAX_BYTES - bytes.len())]);
        }
        Ok(PostAnswer { status, retry_after, excerpt: excerpt(&bytes) })
    }
}

fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(EXCERPT_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        net::IpAddr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::AllowedAddresses;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// A server that answers each connection with `answer` and closes it, and the number of its connections.
    async fn server(answer: String) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, count) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, count)
    }

    async fn post(client: &VendorClient, address: &str) -> Result<PostAnswer, PostError> {
        let body = Bytes::from_static(b"{}");
        client.post(&address.parse().unwrap(), HeaderMap::new(), body, TIMEOUT).await
    }

    fn client(allowed: AllowedAddresses) -> VendorClient {
        let _ = rustls::crypto::ring::default_provider().install_default();
        VendorClient::for_addresses(allowed).unwrap()
    }

    #[tokio::test]
    async fn redirect_is_the_answer_and_its_address_is_not_connected_to() {
        let (target, connections) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        let redirect = format!(
            "HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:{target}/\r\ncontent-length: 0\r\n\r\n"
        );
        let (port, _) = server(redirect).await;
        let answer = post(&client(AllowedAddresses::All), &format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(answer.unwrap().status, 307);
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn name_of_a_link_local_address_is_refused_before_any_connection() {
        let (port, connections) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        // The resolver is the test's: nothing is sent to such an address.
        let names = |name: &str| -> Vec<IpAddr> {
            let ip = match name {
                "metadata.example" => "169.254.169.254",
                _ => "127.0.0.1",
            };
            vec![ip.parse().unwrap()]
        };
        let client = client(AllowedAddresses::Public).with_names(names);
        for host in ["metadata.example", "here.example"] {
            let error = post(&client, &format!("http://{host}:{port}/")).await.unwrap_err();
            assert!(error.reason.contains("no public address"), "{host}: {error}");
        }
        for host in ["169.254.169.254", "127.0.0.1", "[::1]"] {
            let error = post(&client, &format!("http://{host}:{port}/")).await.unwrap_err();
            assert!(error.reason.contains("is no public address"), "{host}: {error}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn answer_is_cut_and_names_the_time_of_the_next_try() {
        let body = "a\u{1b}[31m\r\n".repeat(100_000);
        let answer = format!(
            "HTTP/1.1 429 Slow down\r\nretry-after: 7\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let (port, _) = server(answer).await;
        let answer =
            post(&client(AllowedAddresses::All), &format!("http://127.0.0.1:{port}/")).await.unwrap();
        assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(7))));
        assert!(answer.excerpt.chars().count() <= EXCERPT_MAX_CHARS, "{answer:?}");
        assert!(!answer.excerpt.contains(char::is_control), "{answer:?}");
    }

    #[tokio::test]
    async fn server_that_closes_early_and_one_that_is_silent_are_errors() {
        let (port, _) = server(String::new()).await;
        let error = post(&client(AllowedAddresses::All), &format!("http://127.0.0.1:{port}/")).await;
        assert!(error.unwrap_err().reason.contains("connection"), "closed");
        let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}/", silent.local_addr().unwrap()).parse().unwrap();
        let client = client(AllowedAddresses::All);
        let posted = client.post(&address, HeaderMap::new(), Bytes::new(), Duration::from_millis(50)).await;
        assert_eq!(posted.unwrap_err().reason, "timed out");
    }
}
