use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use futures::TryStreamExt as _;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;

use super::*;
use crate::transport_error;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn request(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"{}")).unwrap()
}

/// A server that serves each connection with `serve`, called with the number of the connection.
async fn server<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(usize, TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, stream));
        }
    });
    address.to_string()
}

async fn body(response: HttpResponse) -> Vec<u8> {
    response.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
async fn connection_is_reused_and_a_closed_one_replaced() {
    let opened = Arc::new(AtomicUsize::new(0));
    let (count, closed) = (Arc::clone(&opened), Arc::new(tokio::sync::Notify::new()));
    let close = Arc::clone(&closed);
    let address = server(move |number, mut stream| {
        count.fetch_add(1, Relaxed);
        let close = Arc::clone(&close);
        async move {
            let answers = if number == 0 { 2 } else { usize::MAX };
            let mut bytes = [0; 1024];
            for _ in 0..answers {
                if !stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
                    return;
                }
                stream.write_all(OK).await.unwrap();
            }
            drop(stream);
            close.notify_one();
        }
    })
    .await;
    let client = VendorClient::new().unwrap();
    let url = format!("http://{address}/v1");
    for _ in 0..2 {
        assert_eq!(body(client.send_direct(request(&url)).await.unwrap()).await, b"ok");
    }
    assert_eq!(opened.load(Relaxed), 1);
    // The server has closed the connection; the next request needs another one.
    closed.notified().await;
    assert_eq!(body(client.send_direct(request(&url)).await.unwrap()).await, b"ok");
    assert_eq!(opened.load(Relaxed), 2);
}

#[tokio::test]
async fn connection_without_a_request_is_closed_after_a_while() {
    let closed = Arc::new(tokio::sync::Notify::new());
    let close = Arc::clone(&closed);
    let address = server(move |_, mut stream| {
        let close = Arc::clone(&close);
        async move {
            while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {
                stream.write_all(OK).await.unwrap();
            }
            close.notify_one();
        }
    })
    .await;
    let client = VendorClient::new().unwrap();
    assert_eq!(body(client.send_direct(request(&format!("http://{address}/"))).await.unwrap()).await, b"ok");
    tokio::time::pause();
    let idle_from = tokio::time::Instant::now();
    closed.notified().await;
    assert!(idle_from.elapsed() < 3 * POOL_IDLE_TIMEOUT, "{:?}", idle_from.elapsed());
}

#[tokio::test]
async fn request_that_may_have_been_processed_is_not_sent_again() {
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    let address = server(move |_, mut stream| {
        let count = Arc::clone(&count);
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            count.fetch_add(1, Relaxed);
        }
    })
    .await;
    let client = VendorClient::new().unwrap();
    let error = client.send_direct(request(&format!("http://{address}/"))).await.err().unwrap();
    assert_eq!(transport_error::reason(&*error), "connection closed before message completed");
    assert_eq!(received.load(Relaxed), 1);
}

#[tokio::test]
async fn connection_failure_has_a_reason() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let client = VendorClient::new().unwrap();
    let reason = async |url: &str| {
        let error = client.send_direct(request(url)).await.err().unwrap();
        transport_error::reason(&*error)
    };
    assert_eq!(reason(&format!("http://{free}/")).await, "connection refused");
    let unresolved = reason("http://no-such-host.invalid/").await;
    assert!(unresolved.starts_with("its name can't be resolved: "), "{unresolved}");
    let no_tls = server(async |_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let no_tls = reason(&format!("https://{no_tls}/")).await;
    assert!(no_tls.starts_with("TLS failed: "), "{no_tls}");
}

/// A client that trusts only the certificate of these tests.
fn client_of_test_server() -> VendorClient {
    let _ = ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(include_bytes!("testdata/cert.pem")).unwrap()).unwrap();
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = tls_config().alpn_protocols;
    let guard = AddressGuard::new(AllowedAddresses::All);
    let (connector, proxies) = (Connector::new(tls, guard.clone()), Matcher::builder().build());
    let direct = Direct { id: NEXT_ID.fetch_add(1, Relaxed), connector, proxies };
    VendorClient { http: reqwest::Client::new(), direct: Some(Arc::new(direct)), guard, identity: None }
}

/// Accepts TLS with the certificate of these tests and a protocol. None: the client doesn't trust the certificate.
async fn accept_tls(stream: TcpStream, protocol: &[u8]) -> Option<TlsStream<TcpStream>> {
    let cert = CertificateDer::from_pem_slice(include_bytes!("testdata/cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/key.pem")).unwrap();
    let tls = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert], key);
    let mut tls = tls.unwrap();
    tls.alpn_protocols = vec![protocol.to_vec()];
    tokio_rustls::TlsAcceptor::from(Arc::new(tls)).accept(stream).await.ok()
}

fn respond_ok(mut respond: h2::server::SendResponse<Bytes>) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(b"ok"), true).unwrap();
}

/// Serves requests by HTTP/2 over TLS, and counts them. It refuses the streams of the first `refused`.
async fn serve_http2(stream: TcpStream, refused: usize, received: Arc<AtomicUsize>) {
    let Some(stream) = accept_tls(stream, b"h2").await else { return };
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        if received.fetch_add(1, Relaxed) < refused {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        } else {
            respond_ok(respond);
        }
    }
}

#[tokio::test]
async fn http2_is_negotiated_and_a_refused_request_sent_again() {
    let (opened, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (connections, requests) = (Arc::clone(&opened), Arc::clone(&received));
    let client = client_of_test_server();
    let address = server(move |_, stream| {
        connections.fetch_add(1, Relaxed);
        serve_http2(stream, 1, Arc::clone(&requests))
    })
    .await;
    let url = format!("https://{address}/v1");
    for count in [2, 3] {
        assert_eq!(body(client.send_direct(request(&url)).await.unwrap()).await, b"ok");
        assert_eq!(received.load(Relaxed), count);
    }
    assert_eq!(opened.load(Relaxed), 1);
    // A certificate that the system doesn't trust is refused.
    let stranger = VendorClient::new().unwrap();
    let reason = transport_error::reason(&*stranger.send_direct(request(&url)).await.err().unwrap());
    assert!(reason.starts_with("TLS failed: "), "{reason}");
}

#[tokio::test]
async fn requests_around_goaway_are_answered_each_once() {
    const REQUESTS: usize = 8;
    let (opened, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (connections, answers) = (Arc::clone(&opened), Arc::clone(&answered));
    let address = server(move |number, stream| {
        connections.fetch_add(1, Relaxed);
        let answers = Arc::clone(&answers);
        async move {
            let Some(stream) = accept_tls(stream, b"h2").await else { return };
            // The client closes a connection that it opened beside another one.
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((_, respond))) = connection.accept().await {
                let answered = answers.fetch_add(1, Relaxed);
                // The first connection ends by GOAWAY while requests arrive.
                if number == 0 && answered == 1 {
                    connection.graceful_shutdown();
                }
                respond_ok(respond);
            }
        }
    })
    .await;
    let (client, url) = (client_of_test_server(), format!("https://{address}/v1"));
    // The connection is in the pool.
    assert_eq!(body(client.send_direct(request(&url)).await.unwrap()).await, b"ok");
    let ask = async || body(client.send_direct(request(&url)).await.unwrap()).await;
    for _ in 0..3 {
        let texts = futures::future::join_all((0..REQUESTS).map(|_| ask())).await;
        assert!(texts.iter().all(|text| text == b"ok"), "{texts:?}");
    }
    assert_eq!(answered.load(Relaxed), 1 + 3 * REQUESTS);
    assert!(opened.load(Relaxed) > 1);
}

#[tokio::test]
async fn closed_tls_connection_is_replaced() {
    // With an alert that closes it, and cut off.
    for has_alert in [true, false] {
        let (opened, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
        let (count, close) = (Arc::clone(&opened), Arc::clone(&closed));
        let address = server(move |_, stream| {
            count.fetch_add(1, Relaxed);
            let close = Arc::clone(&close);
            async move {
                let mut stream = accept_tls(stream, b"http/1.1").await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                stream.write_all(OK).await.unwrap();
                if has_alert {
                    stream.shutdown().await.unwrap();
                }
                drop(stream);
                close.notify_one();
            }
        })
        .await;
        let (client, url) = (client_of_test_server(), format!("https://{address}/v1"));
        for count in 1..=3 {
            assert_eq!(body(client.send_direct(request(&url)).await.unwrap()).await, b"ok");
            assert_eq!(opened.load(Relaxed), count);
            closed.notified().await;
        }
    }
}

#[test]
fn requests_for_a_proxy_are_not_direct() {
    let client = |proxies: Matcher| {
        let guard = AddressGuard::new(AllowedAddresses::All);
        let connector = Connector::new(tls_config(), guard.clone());
        VendorClient {
            http: reqwest::Client::new(),
            direct: Some(Arc::new(Direct { id: 0, connector, proxies })),
            guard,
            identity: None,
        }
    };
    let _ = ring::default_provider().install_default();
    let proxied = client(Matcher::builder().https("http://proxy:3128").no("inner.example").build());
    let is_direct = |uri: &str| proxied.is_direct(&uri.parse().unwrap());
    assert!(!is_direct("https://api.example/v1"));
    assert!(is_direct("https://inner.example/v1") && is_direct("http://api.example/v1"));
    assert!(!VendorClient::from(reqwest::Client::new()).is_direct(&"http://x/".parse().unwrap()));
}
