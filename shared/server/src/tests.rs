use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Request,
    routing::{get, post},
};
use futures::StreamExt as _;
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use hearth_settings::ServerSettings;

use super::{Entrance, Server, start};

/// Longer than any time limit of these tests.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves `/health`, `/echo`, `/upgrade`, `/stream`, which sends a piece each 180 ms, and `/endless`, which never stops sending.
async fn serve(settings: ServerSettings) -> (std::net::SocketAddr, Server) {
    let pieces = async || {
        let ticks = tokio::time::interval(Duration::from_millis(180));
        let pieces = futures::stream::unfold(ticks, async |mut ticks| {
            ticks.tick().await;
            Some((Ok::<_, std::io::Error>("piece\n"), ticks))
        });
        Body::from_stream(pieces.take(8))
    };
    let endless = async || {
        let piece = || Ok::<_, std::io::Error>(vec![b'x'; 64 << 10]);
        Body::from_stream(futures::stream::repeat_with(piece))
    };
    let upgrade = async |request: Request| {
        let upgraded = hyper::upgrade::on(request);
        drop(tokio::spawn(async move {
            // Its client ends it.
            if let Ok(upgraded) = upgraded.await {
                let _ = TokioIo::new(upgraded).read_to_end(&mut Vec::new()).await;
            }
        }));
        let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
        (StatusCode::SWITCHING_PROTOCOLS, headers)
    };
    let router = Router::new()
        .route("/upgrade", get(upgrade))
        .route("/health", get(async || "fine"))
        .route("/echo", post(async |body: String| body))
        .route("/stream", get(pieces))
        .route("/endless", get(endless));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, start(vec![Entrance::plain(listener, router)], &settings).unwrap())
}

fn short() -> ServerSettings {
    ServerSettings {
        head_seconds: 1,
        idle_seconds: 1,
        body_seconds: 1,
        write_seconds: 1,
        ..ServerSettings::default()
    }
}

async fn connect(address: std::net::SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    timeout(TEST_TIMEOUT, stream.read_to_end(&mut bytes)).await.expect("the server closes").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: here\r\n\r\n";

/// Reads an answer to [`HEALTH`].
async fn receive_health(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("fine") {
        let byte = timeout(TEST_TIMEOUT, stream.read_u8()).await.expect("an answer");
        text.push(char::from(byte.expect("an open connection")));
    }
    text
}

#[tokio::test]
async fn silent_connection_and_head_in_part_are_closed() {
    let (address, server) = serve(ServerSettings { idle_seconds: 60, ..short() }).await;
    for text in ["", "GET /health HTTP/1.1\r\nx-a: "] {
        assert_eq!(until_closed(&mut connect(address, text).await).await, "");
    }
    // Bytes arrive one by one: the timeout of the head starts with the first.
    let mut stream = connect(address, "").await;
    let began = Instant::now();
    while stream.write_all(b"G").await.is_ok() && began.elapsed() < TEST_TIMEOUT {
        let _ = timeout(Duration::from_millis(100), stream.readable()).await;
    }
    assert!(began.elapsed() < TEST_TIMEOUT);
    let _threads = server.stop().await;
}

#[tokio::test]
async fn idle_connection_is_closed_and_one_with_requests_is_not() {
    let (address, server) = serve(short()).await;
    let mut stream = connect(address, HEALTH).await;
    receive_health(&mut stream).await;
    assert_eq!(until_closed(&mut stream).await, "");
    let mut stream = connect(address, "").await;
    // All requests together take longer than the idle timeout.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        stream.write_all(HEALTH.as_bytes()).await.unwrap();
        receive_health(&mut stream).await;
        let _ = timeout(Duration::from_millis(200), stream.readable()).await;
    }
    let _threads = server.stop().await;
}

#[tokio::test]
async fn request_names_one_host() {
    let (address, server) = serve(short()).await;
    for (head, status) in [
        ("HTTP/1.1\r\nhost: here\r\n", "200"),
        ("HTTP/1.0\r\n", "200"),
        ("HTTP/1.1\r\n", "400"),
        ("HTTP/1.1\r\nhost: here\r\nhost: there\r\n", "400"),
        ("HTTP/1.0\r\nhost: here\r\nhost: there\r\n", "400"),
    ] {
        let answer = until_closed(&mut connect(address, &format!("GET /health {head}\r\n")).await).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head:?}: {answer}");
    }
    let _threads = server.stop().await;
}

#[tokio::test]
async fn slow_body_is_refused_and_its_connection_closed() {
    let (address, server) = serve(short()).await;
    let mut stream =
        connect(address, "POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\nx").await;
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let _threads = server.stop().await;
}

#[tokio::test]
async fn stream_outlives_the_idle_limit() {
    let (address, server) = serve(short()).await;
    let mut stream =
        connect(address, "GET /stream HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await;
    let answer = until_closed(&mut stream).await;
    assert_eq!(answer.matches("piece").count(), 8, "{answer}");
    let _threads = server.stop().await;
}

#[tokio::test]
async fn client_that_reads_nothing_loses_its_connection() {
    let (address, server) = serve(ServerSettings { max_connections: 1, ..short() }).await;
    let stuck = connect(address, "GET /endless HTTP/1.1\r\nhost: here\r\n\r\n").await;
    stuck.readable().await.unwrap();
    let began = Instant::now();
    // The place is free when the write has timed out.
    loop {
        let request = "GET /stream HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
        let answer = until_closed(&mut connect(address, request).await).await;
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(answer.starts_with("HTTP/1.1 503") && began.elapsed() < TEST_TIMEOUT, "{answer}");
    }
    drop(stuck);
    let _threads = server.stop().await;
}

#[tokio::test]
async fn new_connection_takes_the_place_of_an_idle_one() {
    let (address, server) = serve(ServerSettings { max_connections: 2, ..ServerSettings::default() }).await;
    let mut oldest = connect(address, HEALTH).await;
    receive_health(&mut oldest).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(address, HEALTH).await;
        receive_health(&mut stream).await;
        others.push(stream);
    }
    assert_eq!(until_closed(&mut oldest).await, "");
    let _threads = server.stop().await;
}

#[tokio::test]
async fn full_server_answers_503_and_health() {
    let (address, server) = serve(ServerSettings { max_connections: 1, ..ServerSettings::default() }).await;
    let mut busy = connect(address, "GET /endless HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let mut head = [0; 12];
    busy.read_exact(&mut head).await.unwrap();
    let mut refused = connect(address, "GET /stream HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let answer = until_closed(&mut refused).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"code\":\"overloaded\"") && answer.contains("retry-after: 1"), "{answer}");
    let answer = receive_health(&mut connect(address, HEALTH).await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(busy);
    let _threads = server.stop().await;
}

#[tokio::test]
async fn sockets_take_a_quarter_of_the_connections() {
    let (address, server) = serve(ServerSettings { max_connections: 8, ..ServerSettings::default() }).await;
    let request = "GET /upgrade HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let open = async || {
        let mut stream = connect(address, request).await;
        let mut head = [0; 12];
        timeout(TEST_TIMEOUT, stream.read_exact(&mut head)).await.unwrap().unwrap();
        (stream, String::from_utf8_lossy(&head).into_owned())
    };
    let (first, second) = (open().await, open().await);
    assert_eq!((first.1.as_str(), second.1.as_str()), ("HTTP/1.1 101", "HTTP/1.1 101"));
    let mut refused = connect(address, request).await;
    let mut answer = String::new();
    while !answer.contains("\"code\":\"overloaded\"") {
        let byte = timeout(TEST_TIMEOUT, refused.read_u8()).await.expect("an answer");
        answer.push(char::from(byte.expect("the code of the refusal")));
    }
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(refused);
    receive_health(&mut connect(address, HEALTH).await).await;
    drop(first);
    let began = Instant::now();
    loop {
        let (_stream, status) = open().await;
        if status == "HTTP/1.1 101" {
            break;
        }
        assert!(status == "HTTP/1.1 503" && began.elapsed() < TEST_TIMEOUT, "{status}");
    }
    drop(second);
    let _threads = server.stop().await;
}

#[tokio::test]
async fn stop_answers_the_open_request_and_closes_idle_connections() {
    let (address, server) = serve(ServerSettings::default()).await;
    let mut idle = connect(address, HEALTH).await;
    receive_health(&mut idle).await;
    let mut streaming = connect(address, "GET /stream HTTP/1.1\r\nhost: here\r\n\r\n").await;
    let mut head = [0; 12];
    streaming.read_exact(&mut head).await.unwrap();
    let began = Instant::now();
    let (answer, left, _threads) =
        tokio::join!(until_closed(&mut streaming), until_closed(&mut idle), server.stop());
    assert_eq!((answer.matches("piece").count(), left.as_str()), (8, ""), "{answer}");
    assert!(began.elapsed() < super::DRAIN_TIMEOUT);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn http_2_is_refused() {
    let (address, server) = serve(ServerSettings::default()).await;
    let mut stream = connect(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let answer = until_closed(&mut stream).await;
    assert!(!answer.contains(" 200 "), "{answer}");
    let _threads = server.stop().await;
}
