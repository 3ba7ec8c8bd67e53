use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use futures::TryStreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::transport_error;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn request(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"{}")).unwrap()
}

/// A server that serves each connection with `serve`, which is given its number.
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

async fn body(answer: HttpAnswer) -> Vec<u8> {
    answer.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
async fn connection_is_reused_and_a_stale_one_replaced() {
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
    // The server has closed the connection; the next request goes over another one.
    closed.notified().await;
    assert_eq!(body(client.send_direct(request(&url)).await.unwrap()).await, b"ok");
    assert_eq!(opened.load(Relaxed), 2);
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
async fn failure_to_connect_has_its_reason() {
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

#[test]
fn proxy_takes_requests_away_from_hyper() {
    let client = |proxies: Matcher| {
        let connector = Connector::new(tls_config());
        VendorClient {
            http: reqwest::Client::new(),
            direct: Some(Arc::new(Direct { id: 0, connector, proxies })),
        }
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxied = client(Matcher::builder().https("http://proxy:3128").no("inner.example").build());
    let is_direct = |uri: &str| proxied.is_direct(&uri.parse().unwrap());
    assert!(!is_direct("https://api.example/v1"));
    assert!(is_direct("https://inner.example/v1") && is_direct("http://api.example/v1"));
    assert!(!VendorClient::from(reqwest::Client::new()).is_direct(&"http://x/".parse().unwrap()));
}
