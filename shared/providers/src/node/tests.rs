use std::convert::Infallible;

use axum::{
    Router,
    response::Sse,
    routing::{get, post},
};
use futures::{Stream, stream};
use hearth_domain::{FinishReason, Generation, Message, ModelId, Role, Sampling, TextTask};

use super::*;

/// Silence longer than this is a cut stream, in these tests.
const SILENCE: Duration = Duration::from_millis(400);

type Event = Result<axum::response::sse::Event, Infallible>;

fn event(seq: u64, body: RunEventBody) -> Event {
    let data = serde_json::to_string(&RunEvent { seq, body }).unwrap();
    Ok(axum::response::sse::Event::default().id(seq.to_string()).data(data))
}

fn done(seq: u64) -> Event {
    event(seq, RunEventBody::Done { finish_reason: FinishReason::Stop })
}

/// A comment, a while after the one before.
async fn comment() -> Event {
    tokio::time::sleep(SILENCE / 4).await;
    Ok(axum::response::sse::Event::default().comment("still here"))
}

/// Follows a run on a node whose streams are `first`, then `resumed`.
async fn follow<A, B>(first: fn() -> A, resumed: fn() -> B) -> Vec<RunEventBody>
where
    A: Stream<Item = Event> + Send + 'static,
    B: Stream<Item = Event> + Send + 'static,
{
    let _ = rustls::crypto::ring::default_provider().install_default();
    let router = Router::new()
        .route("/v1/runs", post(move || async move { Sse::new(first()) }))
        .route("/v1/runs/{id}/events", get(move || async move { Sse::new(resumed()) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let http = reqwest::Client::builder().read_timeout(SILENCE).build().unwrap();
    let link = NodeLink::new(NodeId::new(), &url, http, LinkSigner::from_seed(&[7; 32]));
    let task = TextTask::new(vec![Message::new(Role::User, "hi")], Sampling::default());
    let generation = Generation::new(None, task);
    let call = Call { run: RunId::new(), model: ModelId::new("m"), generation: generation.into() };
    let events = link.generate(call).await.unwrap().collect().await;
    server.abort();
    events
}

#[tokio::test]
async fn a_stream_that_only_says_that_it_is_there_is_waited_for() {
    let patient = || stream::iter(0..20).then(|_| comment()).chain(stream::iter([done(1)]));
    let events = follow(patient, stream::empty).await;
    assert_eq!(events, [RunEventBody::Done { finish_reason: FinishReason::Stop }]);
}

#[tokio::test]
async fn a_cut_stream_is_read_on_from_where_it_broke() {
    let delta = |text: &str| RunEventBody::text(text);
    let cut = || stream::iter([event(1, RunEventBody::text("a"))]);
    let rest = || stream::iter([event(2, RunEventBody::text("b")), done(3)]);
    let events = follow(cut, rest).await;
    assert_eq!(events, [delta("a"), delta("b"), RunEventBody::Done { finish_reason: FinishReason::Stop }]);
}

#[tokio::test]
async fn a_stream_that_stays_silent_is_given_up() {
    let events = follow(stream::pending, stream::pending).await;
    assert!(
        matches!(&events[..], [RunEventBody::Error { error }] if error.code == ErrorCode::NodeLost),
        "{events:?}"
    );
}
