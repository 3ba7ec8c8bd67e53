//! Sockets that the process has itself.

use std::time::Duration;

use hearth_domain::{RunId, Timestamp};
use hearth_settings::SocketSettings;
use hearth_store::sockets::SocketOwner;
use hearth_tests::{Home, Setup, Socket, create_token, eventually};
use hearth_wire::relay::{Doorbell, SOCKET_MESSAGE_MAX_BYTES};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{EnrolledNode, World};

/// Status codes of a close frame.
const AWAY: u16 = 1001;
const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const INVALID: u16 = 1007;
const POLICY: u16 = 1008;
const TOO_LARGE: u16 = 1009;
/// Limit of the time until the connection of a refused socket ends; an idle one has more.
const REFUSED_CONNECTION_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn socket_without_a_valid_credential_is_refused() {
    let world = World::start().await;
    let stranger = EnrolledNode::new(world.node().await.id, hearth_auth::NodeKey::generate());
    for headers in [
        vec![],
        vec![("authorization", "Bearer hth_wrong".to_owned())],
        vec![("sec-websocket-protocol", "hearth.v1, hearth.token.hth_wrong".to_owned())],
        vec![("authorization", format!("Bearer {}", stranger.credential()))],
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(Socket::open(&world.url, &headers).await.unwrap_err(), 401, "{headers:?}");
    }
    // Never in the URL.
    let with_token = format!("{}?token={}", world.url, world.token);
    assert_eq!(Socket::open(&with_token, &[]).await.unwrap_err(), 401);
    let node = world.node().await;
    let for_another_call = node.sign("GET /v1/node/orders", b"");
    let refused = Socket::open(&world.url, &[("authorization", &format!("Bearer {for_another_call}"))]).await;
    assert_eq!(refused.unwrap_err(), 401);
}

#[tokio::test]
async fn browser_sends_its_token_as_a_subprotocol() {
    let world = World::start().await;
    let protocols = format!("hearth.v1, hearth.token.{}", world.token);
    let mut socket = Socket::open(&world.url, &[("sec-websocket-protocol", &protocols)]).await.unwrap();
    assert_eq!(socket.protocol.as_deref(), Some("hearth.v1"));
    socket.send(&json!({"type": "heartbeat"})).await;
    assert_eq!(socket.next().await, json!({"type": "heartbeat"}));
}

#[tokio::test]
async fn doorbell_reaches_each_socket_of_its_node_and_no_other() {
    let world = World::start().await;
    let (node, other) = (world.node().await, world.node().await);
    let sockets = world.gateway.sockets();
    let doorbell = Doorbell::Run { run: RunId::new() };
    assert!(!sockets.ring(node.id, &doorbell).await, "there is no socket yet");
    let mut first = Socket::open_as(&world.url, &node.credential()).await;
    let mut second = Socket::open_as(&world.url, &node.credential()).await;
    let mut others = Socket::open_as(&world.url, &other.credential()).await;
    // Twice: the node asks for its orders, and finds nothing new the second time.
    for _ in 0..2 {
        assert!(sockets.ring(node.id, &doorbell).await);
        for socket in [&mut first, &mut second] {
            assert_eq!(socket.next().await, serde_json::to_value(&doorbell).unwrap());
        }
    }
    others.send(&json!({"type": "heartbeat"})).await;
    assert_eq!(others.next().await, json!({"type": "heartbeat"}), "the first message of the other node");
    first.close().await;
    second.close().await;
    let gone = async || (!sockets.ring(node.id, &doorbell).await).then_some(());
    eventually("the sockets to be gone", gone).await;
    let records = async || {
        Some(world.store.sockets().of(SocketOwner::Node(node.id)).await.unwrap()).filter(Vec::is_empty)
    };
    eventually("the records to be removed", records).await;
}

#[tokio::test]
async fn bad_message_of_a_node_is_answered_and_the_socket_stays_open() {
    let world = World::start().await;
    let mut socket = Socket::open_as(&world.url, &world.node().await.credential()).await;
    for bad in [json!({"type": "subscribe", "topic": "models"}), json!(["heartbeat"])] {
        socket.send(&bad).await;
        let refused = socket.next().await;
        assert_eq!(
            (&refused["type"], &refused["error"]["code"]),
            (&json!("error"), &json!("invalid_request")),
            "{bad}: {refused}"
        );
    }
    socket.send(&json!({"type": "heartbeat"})).await;
    assert_eq!(socket.next().await, json!({"type": "heartbeat"}));
}

#[tokio::test]
async fn fifth_socket_of_a_node_closes_the_first() {
    let world = World::start().await;
    let node = world.node().await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(Socket::open_as(&world.url, &node.credential()).await);
    }
    assert_eq!(sockets[0].close_code().await, AWAY);
    assert!(world.gateway.sockets().ring(node.id, &Doorbell::Orders).await);
    for socket in &mut sockets[1..] {
        assert_eq!(socket.next().await, json!({"type": "orders"}));
    }
}

#[tokio::test]
async fn sockets_of_a_revoked_node_and_of_a_revoked_token_are_closed() {
    let world = World::start().await;
    let node = world.node().await;
    let mut socket = Socket::open_as(&world.url, &node.credential()).await;
    world.gateway.sockets().close_all_of(node.id).await;
    assert_eq!(socket.close_code().await, AWAY);
    // The last token of the operator can't be revoked.
    let other = create_token(&world.store, world.gateway.operator().await.unwrap()).await;
    let mut client = Socket::open_as(&world.url, &other).await;
    let caller = world.gateway.authenticate(&other).await.unwrap();
    world.gateway.access().revoke_token(&caller, caller.token().unwrap()).await.unwrap();
    assert_eq!(client.close_code().await, POLICY);
}

#[tokio::test]
async fn silent_socket_is_closed_and_heartbeats_keep_one_open() {
    let world = World::with(SocketSettings { idle_seconds: 2, ..SocketSettings::default() }).await;
    let mut silent = Socket::open_as(&world.url, &world.token).await;
    let mut lively = Socket::open_as(&world.url, &world.token).await;
    let beats = async {
        for _ in 0..6 {
            lively.send(&json!({"type": "heartbeat"})).await;
            assert_eq!(lively.next().await, json!({"type": "heartbeat"}));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let (code, ()) = tokio::join!(silent.close_code(), beats);
    assert_eq!(code, AWAY);
}

#[tokio::test]
async fn socket_is_closed_at_the_end_of_its_lifetime() {
    let world = World::with(SocketSettings { seconds: 1, ..SocketSettings::default() }).await;
    let mut socket = Socket::open_as(&world.url, &world.token).await;
    socket.send(&json!({"type": "heartbeat"})).await;
    assert_eq!(socket.close_code().await, AWAY);
}

#[tokio::test]
async fn large_and_binary_messages_close_the_socket() {
    let world = World::start().await;
    let message = |bytes: usize| Message::text(" ".repeat(bytes));
    for (message, code) in
        [(message(SOCKET_MESSAGE_MAX_BYTES + 1), TOO_LARGE), (Message::binary(b"{}".as_slice()), UNSUPPORTED)]
    {
        let mut socket = Socket::open_as(&world.url, &world.token).await;
        socket.send_message(message).await;
        assert_eq!(socket.close_code().await, code);
    }
    let mut socket = Socket::open_as(&world.url, &world.token).await;
    socket.send_message(message(SOCKET_MESSAGE_MAX_BYTES)).await;
    assert_eq!(socket.next().await["error"]["code"], "invalid_request", "it is no JSON");
}

#[tokio::test]
async fn frame_that_is_not_allowed_closes_the_socket_with_its_code() {
    let world = World::start().await;
    // The mask is all zeros: a masked payload is the payload.
    const MASK: [u8; 4] = [0; 4];
    let masked = |head: &[u8], payload: &[u8]| [head, &MASK, payload].concat();
    for (violation, bytes, code) in [
        ("an unmasked frame", vec![0x81, 0x01, b'a'], PROTOCOL),
        ("a reserved bit", masked(&[0xc1, 0x80], b""), PROTOCOL),
        ("a reserved kind of frame", masked(&[0x83, 0x80], b""), PROTOCOL),
        ("a continuation of nothing", masked(&[0x80, 0x80], b""), PROTOCOL),
        ("a ping in pieces", masked(&[0x09, 0x80], b""), PROTOCOL),
        ("a ping of 126 bytes", masked(&[0x89, 0xfe, 0, 126], &[0; 126]), PROTOCOL),
        ("a close of one byte", masked(&[0x88, 0x81], &[3]), PROTOCOL),
        ("a close with a code that may not be sent", masked(&[0x88, 0x82], &[0x03, 0xed]), PROTOCOL),
        ("a close whose reason isn't UTF-8", masked(&[0x88, 0x83], &[0x03, 0xe8, 0xff]), INVALID),
        ("a text that isn't UTF-8", masked(&[0x81, 0x81], &[0xff]), INVALID),
        ("a text that ends within a character", masked(&[0x81, 0x81], &[0xc3]), INVALID),
        ("a text of a gigabyte", masked(&[0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0], b""), TOO_LARGE),
    ] {
        for url in [&world.url, &world.responses_url()] {
            let mut socket = Socket::open_as(url, &world.token).await;
            socket.send_bytes(&bytes).await;
            assert_eq!(socket.close_code().await, code, "{violation}, {url}");
        }
    }
}

#[tokio::test]
async fn ping_is_answered() {
    let world = World::start().await;
    let mut socket = Socket::open_as(&world.url, &world.token).await;
    socket.send_message(Message::Ping(b"a".as_slice().into())).await;
    assert_eq!(socket.pong().await, b"a");
}

#[tokio::test]
async fn client_that_reads_nothing_is_disconnected() {
    let world = World::start().await;
    let node = world.node().await;
    let _socket = Socket::open_as(&world.url, &node.credential()).await;
    // More than the buffers of both ends and the queue have room for.
    let id = world.store.sockets().of(SocketOwner::Node(node.id)).await.unwrap().remove(0).id;
    let id = hearth_gateway::sockets::SocketId::new(id);
    let hub = world.gateway.sockets().hub().unwrap();
    let text = "x".repeat(SOCKET_MESSAGE_MAX_BYTES);
    let filled = async {
        use hearth_gateway::sockets::SocketSender as _;
        while hub.send(&id, text.clone()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    hearth_tests::within("the socket to be closed", filled).await;
    assert!(!world.gateway.sockets().ring(node.id, &Doorbell::Orders).await);
}

#[tokio::test]
async fn request_that_is_no_upgrade_is_refused() {
    let home = Home::start_with(&["--no-node"]).await;
    let answer = home.client().get("/v1/socket").await;
    answer.error(400, "invalid_request");
    home.client().with_token(None).get("/v1/socket").await.error(401, "unauthorized");
    home.stop().await;
}

#[tokio::test]
async fn open_sockets_are_a_quarter_of_the_connections_at_most_and_end_with_the_server() {
    let setup = Setup::new().arguments(&["--no-node"]).settings("[server]\nmax_connections = 12\n");
    let home = setup.start().await;
    let url = format!("{}/v1/socket", home.url);
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Socket::open_as(&url, &home.token).await);
    }
    assert_eq!(
        Socket::open(&url, &[("authorization", &format!("Bearer {}", home.token))]).await.unwrap_err(),
        503
    );
    assert_connection_ends(&home.url, &home.token).await;
    // The others stay for requests.
    assert_eq!(home.client().get("/v1/models").await.status, 200);
    sockets.pop().unwrap().close().await;
    let again =
        async || Socket::open(&url, &[("authorization", &format!("Bearer {}", home.token))]).await.ok();
    let mut last = eventually("a place for another socket", again).await;
    let (code, _) = tokio::join!(last.close_code(), home.stop());
    assert_eq!(code, AWAY);
}

/// Requests a socket that is refused, and checks that the server closes the connection long before it counts as idle.
async fn assert_connection_ends(url: &str, token: &str) {
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /v1/socket HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let ended = tokio::time::timeout(REFUSED_CONNECTION_LIMIT, connection.read_to_string(&mut answer)).await;
    ended.unwrap_or_else(|_| panic!("the connection is still open after {answer:?}")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn end_of_the_last_socket_ends_the_lease_of_its_node_soon() {
    let world = World::start().await;
    let node = world.node().await;
    let first = Socket::open_as(&world.url, &node.credential()).await;
    let second = Socket::open_as(&world.url, &node.credential()).await;
    let lease = async || world.store.relay().state(node.id).await.unwrap().unwrap().lease_until.unwrap();
    let sockets = async || world.store.sockets().of(SocketOwner::Node(node.id)).await.unwrap().len();
    let full = lease().await;
    assert!(full > Timestamp::now().plus(Duration::from_secs(60)));
    drop(first);
    eventually("the first socket's end", async || (sockets().await == 1).then_some(())).await;
    assert_eq!(lease().await, full);
    drop(second);
    eventually("a short lease", async || {
        (lease().await <= Timestamp::now().plus(Duration::from_secs(10))).then_some(())
    })
    .await;
    // A node that connects again is alive as before.
    let _third = Socket::open_as(&world.url, &node.credential()).await;
    eventually("a full lease", async || (lease().await > full).then_some(())).await;
}
