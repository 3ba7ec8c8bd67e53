use std::{
    future::{pending, ready},
    sync::atomic::AtomicUsize,
};

use futures::FutureExt as _;
use tokio::sync::oneshot;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A cache whose values are stale at once.
fn stale_cache(outlives_response: bool) -> ReadCache<&'static str, u32> {
    let limits = ReadCacheLimits { ttl: Duration::ZERO, max_stale_age: DAY, max_count: 4 };
    ReadCache::new(limits, Background::new(outlives_response))
}

fn cache() -> ReadCache<&'static str, u32> {
    let limits = ReadCacheLimits { ttl: DAY, max_stale_age: DAY, max_count: 4 };
    ReadCache::new(limits, Background::new(true))
}

fn error(code: ErrorCode) -> ApiError {
    ApiError::new(code, "no")
}

#[tokio::test]
async fn stale_value_serves_while_it_is_read_again() {
    let cache = stale_cache(true);
    cache.put_unless_changed("a", 1, cache.changes());
    let (send, receive) = oneshot::channel();
    let value = cache.cached(&"a", || async { Ok(receive.await.unwrap()) });
    assert_eq!((value, cache.cached(&"a", pending)), (Some(1), Some(1)), "the store doesn't answer");
    send.send(2).unwrap();
    while cache.latest(&"a") != Some(2) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stale_value_whose_read_is_refused_ends_and_one_whose_store_fails_does_not() {
    for (code, expected) in [(ErrorCode::Internal, Some(1)), (ErrorCode::Unauthorized, None)] {
        let cache = stale_cache(true);
        cache.put_unless_changed("a", 1, cache.changes());
        assert_eq!(cache.cached(&"a", || ready(Err(error(code)))), Some(1));
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(cache.latest(&"a"), expected, "{code:?}");
    }
}

#[test]
fn process_that_is_frozen_after_a_response_serves_no_stale_value() {
    let cache = stale_cache(false);
    cache.put_unless_changed("a", 1, cache.changes());
    assert_eq!(cache.cached(&"a", pending), None);
}

#[tokio::test]
async fn concurrent_requests_share_a_read() {
    let (cache, reads) = (cache(), AtomicUsize::new(0));
    let read = || {
        cache.read("a", || async {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(1)
        })
    };
    let (one, other, third) = tokio::join!(read(), read(), read());
    assert_eq!((one.unwrap(), other.unwrap(), third.unwrap()), (1, 1, 1));
    assert_eq!((reads.into_inner(), cache.cached(&"a", pending)), (1, Some(1)));
    // An error is shared too, and not cached.
    let refused = || cache.read("b", || async { Err(error(ErrorCode::Unauthorized)) });
    let (one, other) = tokio::join!(refused(), refused());
    assert!(one.is_err() && other.is_err() && cache.latest(&"b").is_none());
}

#[tokio::test]
async fn request_whose_reader_was_cancelled_reads_itself() {
    let cache = cache();
    let mut cancelled = Box::pin(cache.read("a", pending));
    assert!((&mut cancelled).now_or_never().is_none());
    let mut follower = Box::pin(cache.read("a", || ready(Ok(2))));
    assert!((&mut follower).now_or_never().is_none());
    drop(cancelled);
    assert_eq!(follower.await.unwrap(), 2);
}

#[tokio::test]
async fn request_after_a_change_gets_no_value_of_before() {
    let cache = cache();
    let (send, receive) = oneshot::channel();
    let mut before = Box::pin(cache.read("a", || async { Ok(receive.await.unwrap()) }));
    assert!((&mut before).now_or_never().is_none());
    cache.forget(&"a");
    // It doesn't wait for the read that began before the change.
    assert_eq!(cache.read("a", || ready(Ok(2))).now_or_never().unwrap().unwrap(), 2);
    send.send(1).unwrap();
    assert_eq!(before.await.unwrap(), 1);
    assert_eq!(cache.latest(&"a"), Some(2), "the state of before isn't cached");
}

#[tokio::test]
async fn background_read_that_overlaps_a_change_is_not_cached() {
    let cache = stale_cache(true);
    cache.put_unless_changed("a", 1, cache.changes());
    let (send, receive) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let read = async move {
        let value = receive.await.unwrap();
        ended.send(()).unwrap();
        Ok(value)
    };
    assert_eq!(cache.cached(&"a", || read), Some(1));
    cache.retain(|value| *value != 1);
    send.send(1).unwrap();
    has_ended.await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(cache.latest(&"a"), None);
}
