use futures::channel::mpsc;
use hearth_domain::FinishReason;
use hearth_wire::relay::NodeEventBatch;

use super::*;

fn event(seq: u64, body: RunEventBody) -> LoggedEvent {
    LoggedEvent { seq, json: serde_json::to_string(&RunEvent { seq, body }).unwrap() }
}

fn text(seq: u64) -> LoggedEvent {
    event(seq, RunEventBody::text("x"))
}

fn batcher() -> Batcher {
    Batcher::new(LinkTiming::default(), Duration::from_secs(10))
}

/// The next batch's last seq, and the time that it took to collect.
async fn next(batcher: &mut Batcher, events: &mut mpsc::UnboundedReceiver<LoggedEvent>) -> (u64, Duration) {
    let began = Instant::now();
    match batcher.next(events).await {
        NextBatch::Events(batch) => (batch.last_seq().unwrap(), began.elapsed()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn first_piece_of_the_answer_is_sent_at_once_with_the_events_before_it() {
    let (sender, mut events) = mpsc::unbounded();
    let mut batcher = batcher();
    sender.unbounded_send(event(1, RunEventBody::Started { prompt_tokens: 3 })).unwrap();
    let late = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sender.unbounded_send(text(2)).unwrap();
    };
    let (batch, ()) = tokio::join!(next(&mut batcher, &mut events), late);
    assert_eq!(batch, (2, Duration::from_millis(100)));
}

#[tokio::test(start_paused = true)]
async fn events_before_the_answer_are_sent_after_the_linger() {
    let (sender, mut events) = mpsc::unbounded();
    let mut batcher = batcher();
    sender.unbounded_send(event(1, RunEventBody::Queued { position: 1 })).unwrap();
    assert_eq!(next(&mut batcher, &mut events).await, (1, Duration::from_millis(150)));
}

#[tokio::test(start_paused = true)]
async fn batches_follow_each_other_after_the_interval() {
    let (sender, mut events) = mpsc::unbounded();
    let mut batcher = batcher();
    sender.unbounded_send(text(1)).unwrap();
    let began = Instant::now();
    assert_eq!(next(&mut batcher, &mut events).await, (1, Duration::ZERO));
    batcher.note_post(began);
    for seq in 2..=4 {
        sender.unbounded_send(text(seq)).unwrap();
    }
    let (seq, waited) = next(&mut batcher, &mut events).await;
    assert_eq!((seq, waited), (4, Duration::from_millis(150)));
    // The last post took longer than the interval: the events that came meanwhile are due.
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    batcher.note_post(began);
    (5..=90).for_each(|seq| sender.unbounded_send(text(seq)).unwrap());
    assert_eq!(next(&mut batcher, &mut events).await, (90, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn terminal_event_and_a_full_batch_are_sent_at_once() {
    let (sender, mut events) = mpsc::unbounded();
    let mut batcher = batcher();
    sender.unbounded_send(text(1)).unwrap();
    next(&mut batcher, &mut events).await;
    batcher.note_post(Instant::now());
    sender.unbounded_send(event(2, RunEventBody::text("x".repeat(FULL_BYTES)))).unwrap();
    assert_eq!(next(&mut batcher, &mut events).await, (2, Duration::ZERO));
    batcher.note_post(Instant::now());
    sender.unbounded_send(event(3, RunEventBody::Done { finish_reason: FinishReason::Stop })).unwrap();
    assert_eq!(next(&mut batcher, &mut events).await, (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn silence_renews_the_lease_and_an_ended_log_is_cut() {
    let (sender, mut events) = mpsc::unbounded::<LoggedEvent>();
    let mut batcher = batcher();
    let began = Instant::now();
    assert!(matches!(batcher.next(&mut events).await, NextBatch::Silence));
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    drop(sender);
    assert!(matches!(batcher.next(&mut events).await, NextBatch::Cut));
}

#[tokio::test(start_paused = true)]
async fn large_log_is_cut_into_batches() {
    let (sender, mut events) = mpsc::unbounded();
    let mut batcher = batcher();
    let large = |seq| event(seq, RunEventBody::text("x".repeat(BATCH_MAX_BYTES / 3)));
    (1..=5).for_each(|seq| sender.unbounded_send(large(seq)).unwrap());
    assert_eq!(next(&mut batcher, &mut events).await.0, 3);
    assert_eq!(next(&mut batcher, &mut events).await.0, 5);
}

#[test]
fn body_of_a_batch_is_that_of_the_wire_format() {
    let batch = Batch::of(7, RunEventBody::Cancelled);
    assert!(batch.ends);
    let body: NodeEventBatch = serde_json::from_slice(&batch.to_json(3)).unwrap();
    let events = vec![RunEvent { seq: 7, body: RunEventBody::Cancelled }];
    assert_eq!(body, NodeEventBatch { fence: 3, events });
    let body: NodeEventBatch = serde_json::from_slice(&Batch::default().to_json(3)).unwrap();
    assert_eq!(body.events, []);
}
