use std::time::Instant;

use axum::{Router, extract::State as Shared, routing::post};

use super::*;

type Bodies = Arc<Mutex<Vec<String>>>;

/// A server that stores the bodies that it receives, behind a proxy.
async fn proxied() -> (FaultProxy, Bodies, reqwest::Client) {
    // The second test of a process finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bodies = Bodies::default();
    let store = |Shared(bodies): Shared<Bodies>, body: String| async move {
        bodies.lock().unwrap().push(body.clone());
        body
    };
    let router = Router::new().route("/store", post(store)).with_state(Arc::clone(&bodies));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let proxy = FaultProxy::start(&url).await.unwrap();
    (proxy, bodies, reqwest::Client::builder().no_proxy().build().unwrap())
}

async fn send(proxy: &FaultProxy, client: &reqwest::Client, body: &str) -> Option<String> {
    let request = client.post(format!("{}/store", proxy.url())).body(body.to_owned());
    request.send().await.ok()?.text().await.ok()
}

#[tokio::test]
async fn requests_pass_unchanged_and_are_logged() {
    let (proxy, bodies, client) = proxied().await;
    let long = "x".repeat(100_000);
    for body in ["one", &long] {
        assert_eq!(send(&proxy, &client, body).await.as_deref(), Some(body));
    }
    assert_eq!(*bodies.lock().unwrap(), ["one", &long]);
    assert_eq!(proxy.count("POST /store"), 2);
    assert_eq!(proxy.log()[0].status, Some(200));
}

#[tokio::test]
async fn doubled_request_arrives_twice() {
    let (proxy, bodies, client) = proxied().await;
    proxy.inject("/store", Fault::Double, 1);
    for body in ["one", "two"] {
        assert_eq!(send(&proxy, &client, body).await.as_deref(), Some(body));
    }
    assert_eq!(*bodies.lock().unwrap(), ["one", "one", "two"]);
}

#[tokio::test]
async fn late_request_arrives_after_the_next_one() {
    let (proxy, bodies, client) = proxied().await;
    proxy.inject("/store", Fault::Late, 1);
    assert_eq!(send(&proxy, &client, "one").await, None);
    assert_eq!(send(&proxy, &client, "two").await.as_deref(), Some("two"));
    assert_eq!(*bodies.lock().unwrap(), ["two", "one"]);
}

#[tokio::test]
async fn cut_requests_are_not_answered() {
    let (proxy, bodies, client) = proxied().await;
    for (fault, arrived) in [(Fault::CutRequest, 0), (Fault::CutAnswer, 1)] {
        proxy.inject("/store", fault, 1);
        assert_eq!(send(&proxy, &client, "body").await, None, "{fault:?}");
        assert_eq!(bodies.lock().unwrap().len(), arrived, "{fault:?}");
    }
    proxy.inject("/store", Fault::Refuse(503), 1);
    assert_eq!(send(&proxy, &client, "body").await.as_deref(), Some(""));
    assert_eq!(bodies.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn half_open_connection_lasts_until_the_cut() {
    let (proxy, _, client) = proxied().await;
    proxy.inject("/store", Fault::HalfOpen, 1);
    let (answer, ()) = tokio::join!(send(&proxy, &client, "body"), async {
        proxy.wait_for("/store", 1).await;
        proxy.cut();
    });
    assert_eq!(answer, None);
}

#[tokio::test]
async fn network_delays_and_limits_requests() {
    let (proxy, _, client) = proxied().await;
    let round_trip = Duration::from_millis(100);
    let limit = Some(50_000);
    proxy.set_network(Network { round_trip, ..Network::default() });
    for round_trips in [2, 1] {
        let began = Instant::now();
        send(&proxy, &client, "body").await.unwrap();
        assert!(began.elapsed() >= round_trip * round_trips, "{:?}", began.elapsed());
    }
    proxy.set_network(Network {
        upload_bytes_per_second: limit,
        buffers_answers: true,
        ..Network::default()
    });
    let began = Instant::now();
    send(&proxy, &client, &"x".repeat(10_000)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}
