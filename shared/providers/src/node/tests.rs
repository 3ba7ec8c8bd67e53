use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    body::Body,
    http::StatusCode,
    response::Sse,
    routing::{get, post},
};
use futures::{Stream, stream};
use hearth_domain::{
    Cost, Delivery, FinishReason, Generation, Message, Modality, ModelId, Role, Sampling, Selection, TextTask,
};
use hearth_wire::{RunEvent, node::NodeCancelled, node_limits::EVENT_MAX_BYTES};
use tower::ServiceExt as _;

use super::*;

/// Timeout between two pieces of a stream in these tests.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(400);

type Event = Result<axum::response::sse::Event, Infallible>;

fn event(seq: u64, body: RunEventBody) -> Event {
    let data = serde_json::to_string(&RunEvent { seq, body }).unwrap();
    Ok(axum::response::sse::Event::default().id(seq.to_string()).data(data))
}

fn done(seq: u64) -> Event {
    event(seq, RunEventBody::Done { finish_reason: FinishReason::Stop })
}

/// A comment after a delay below the timeout.
async fn comment() -> Event {
    tokio::time::sleep(SILENCE_TIMEOUT / 4).await;
    Ok(axum::response::sse::Event::default().comment("still here"))
}

/// A node whose first stream is `first`, and every later one `resumed`.
fn node<A, B>(first: fn() -> A, resumed: fn() -> B) -> Router
where
    A: Stream<Item = Event> + Send + 'static,
    B: Stream<Item = Event> + Send + 'static,
{
    Router::new()
        .route("/v1/runs", post(move || async move { Sse::new(first()) }))
        .route("/v1/runs/{id}/events", get(move || async move { Sse::new(resumed()) }))
}

fn call() -> Call {
    let task = TextTask::new(vec![Message::new(Role::User, "hi")], Sampling::default());
    let generation = Generation::new(None, task);
    Call {
        run: RunId::new(),
        model: ModelId::new("m"),
        generation: generation.into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    }
}

/// A link to `node` over a socket, and its server.
async fn link_to(node: Router) -> (NodeLink, tokio::task::JoinHandle<std::io::Result<()>>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, node).await });
    let http = reqwest::Client::builder().read_timeout(SILENCE_TIMEOUT).build().unwrap();
    (NodeLink::new(NodeId::new(), &url, http, LinkSigner::from_seed(&[7; 32])), server)
}

/// The events of a run on `node`, over a socket.
async fn over_a_socket(node: Router) -> Result<Vec<RunEventBody>, ApiError> {
    let (link, server) = link_to(node).await;
    let events = match link.generate(call()).await {
        Ok(events) => Ok(events.collect().await),
        Err(error) => Err(error),
    };
    server.abort();
    events
}

/// The events of a run in this process, which must be the same over a socket.
async fn follow(node: Router) -> Result<Vec<RunEventBody>, ApiError> {
    let router = node.clone();
    let local = LocalNode::new(NodeId::new(), move |request| {
        let answer = router.clone().oneshot(request.map(Body::from));
        Box::pin(async move {
            answer.await.unwrap().map(|body| reqwest::Body::wrap_stream(body.into_data_stream()))
        })
    });
    let here = match NodeLink::local(local).generate(call()).await {
        Ok(events) => Ok(events.collect().await),
        Err(error) => Err(error),
    };
    assert_eq!(here, over_a_socket(node).await);
    here
}

#[tokio::test]
async fn comments_keep_a_stream_alive() {
    let patient = || stream::iter(0..20).then(|_| comment()).chain(stream::iter([done(1)]));
    let events = follow(node(patient, stream::empty)).await.unwrap();
    assert_eq!(events, [RunEventBody::Done { finish_reason: FinishReason::Stop }]);
}

#[tokio::test]
async fn stream_is_resumed_after_the_last_event() {
    let delta = |text: &str| RunEventBody::text(text);
    let cut = || stream::iter([event(1, RunEventBody::text("a"))]);
    let rest = || stream::iter([event(2, RunEventBody::text("b")), done(3)]);
    let events = follow(node(cut, rest)).await.unwrap();
    assert_eq!(events, [delta("a"), delta("b"), RunEventBody::Done { finish_reason: FinishReason::Stop }]);
}

#[tokio::test]
async fn error_of_the_node_is_returned() {
    let full = || async {
        let error = ApiError::new(ErrorCode::QueueFull, "the queue is full");
        (StatusCode::TOO_MANY_REQUESTS, Json(error))
    };
    let refused = follow(Router::new().route("/v1/runs", post(full))).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::QueueFull, "the queue is full"));
}

#[tokio::test]
async fn silent_stream_ends_with_node_lost() {
    let events = over_a_socket(node(stream::pending, stream::pending)).await.unwrap();
    assert!(
        matches!(&events[..], [RunEventBody::Error { error }] if error.code == ErrorCode::NodeLost),
        "{events:?}"
    );
}

/// The events of a run on a node that sends these, and the number of times that it was told to stop the run.
async fn events_and_stops(sent: fn() -> Vec<RunEventBody>) -> (Result<Vec<RunEventBody>, ApiError>, usize) {
    let stops = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&stops);
    // Before the request, whose timeout is shorter than a slow machine needs for megabytes of JSON.
    let events: Vec<_> = (1..).zip(sent()).map(|(seq, body)| event(seq, body)).collect();
    let events = move || stream::iter(events.clone());
    let stop = async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Json(NodeCancelled { cancelled: true })
    };
    let node = Router::new()
        .route("/v1/runs", post(move || async move { Sse::new(events()) }))
        .route("/v1/runs/{id}/cancel", post(stop));
    let events = over_a_socket(node).await;
    (events, stops.load(Ordering::Relaxed))
}

#[tokio::test]
async fn event_that_no_node_may_send_ends_the_run_and_stops_it_at_the_node() {
    let forged: [fn() -> Vec<RunEventBody>; 3] = [
        || vec![RunEventBody::text("a"), RunEventBody::Cost { cost: Cost::ZERO }, RunEventBody::text("b")],
        || vec![RunEventBody::text("a"), RunEventBody::Selected(Selection::example("gpt-5", "openai"))],
        || vec![RunEventBody::text("a"), RunEventBody::text("x".repeat(EVENT_MAX_BYTES))],
    ];
    for sent in forged {
        let (events, stops) = events_and_stops(sent).await;
        let events = events.unwrap();
        let [first, RunEventBody::Error { error }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((first, error.code), (&RunEventBody::text("a"), ErrorCode::ProviderError), "{error}");
        assert_eq!(stops, 1);
    }
}

#[tokio::test]
async fn endless_event_ends_the_run_and_stops_it_at_the_node() {
    let (events, stops) = events_and_stops(|| vec![RunEventBody::text("x".repeat(4 << 20))]).await;
    let events = events.unwrap();
    assert!(
        matches!(&events[..], [RunEventBody::Error { error }] if error.code == ErrorCode::ProviderError),
        "{events:?}"
    );
    assert_eq!(stops, 1);
}

/// A body without an end.
fn endless() -> Body {
    Body::from_stream(stream::repeat(Ok::<_, Infallible>(&[b' '; 1 << 10][..])))
}

#[tokio::test]
async fn endless_answers_are_not_read_beyond_their_limit() {
    let answer = || async { endless() };
    let node = Router::new().route("/v1/challenge", get(answer)).route("/v1/status", get(answer));
    let (link, server) = link_to(node).await;
    for (error, limit) in [
        (link.challenge("00").await.unwrap_err(), "more than 4 KiB"),
        (link.status().await.unwrap_err(), "more than 16384 KiB"),
    ] {
        assert_eq!((error.code, error.message.contains(limit)), (ErrorCode::NodeOffline, true), "{error}");
    }
    server.abort();
}

#[tokio::test]
async fn node_with_too_long_a_model_id_is_offline_with_the_reason() {
    let status = || async {
        let mut status = NodeStatus::default();
        status.default_models.insert(Modality::Text, "m".repeat(201));
        Json(status)
    };
    let (link, server) = link_to(Router::new().route("/v1/status", get(status))).await;
    let error = link.status().await.unwrap_err();
    assert_eq!(
        (error.code, error.message.contains("200 characters")),
        (ErrorCode::NodeOffline, true),
        "{error}"
    );
    server.abort();
}
