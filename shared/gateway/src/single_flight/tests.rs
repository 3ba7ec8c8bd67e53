use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

fn leader(flights: &Flights<u8, u32>) -> Leader<u8, u32> {
    match flights.enter(&1) {
        Entrance::Lead(leader) => leader,
        Entrance::Follow(_) => panic!("there is a flight"),
    }
}

fn follower(flights: &Flights<u8, u32>) -> Follower<u32> {
    match flights.enter(&1) {
        Entrance::Follow(follower) => follower,
        Entrance::Lead(_) => panic!("there is no flight"),
    }
}

#[tokio::test]
async fn followers_get_the_answer_and_a_later_request_leads() {
    let flights = Flights::default();
    let first = leader(&flights);
    let (one, other) = (follower(&flights), follower(&flights));
    drop(other);
    first.finish(7);
    assert_eq!(one.wait().await, Some(7));
    drop(leader(&flights));
}

#[tokio::test]
async fn follower_of_a_failed_leader_leads() {
    let flights = Flights::default();
    let first = leader(&flights);
    let (one, other) = (follower(&flights), follower(&flights));
    drop(first);
    assert_eq!((one.wait().await, other.wait().await), (None, None));
    let next = leader(&flights);
    let last = follower(&flights);
    next.finish(8);
    assert_eq!(last.wait().await, Some(8));
}

/// The end of a request that leads.
#[derive(Debug, Clone, Copy)]
enum End {
    Answer,
    Fail,
    /// The guard is dropped explicitly.
    Leave,
}

fn end() -> impl Strategy<Value = (End, u8)> {
    (prop_oneof![Just(End::Answer), Just(End::Fail), Just(End::Leave)], 0..4_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However leaders fail: there is one leader at a time, and every request ends, with the answer unless it has failed
    /// itself.
    #[test]
    fn no_request_hangs_and_one_leads(script in prop::collection::vec(end(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let ends = runtime.block_on(async {
            let flights = Arc::new(Flights::default());
            let leading = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = script.iter().map(|(end, yields)| {
                tokio::spawn(ask(Arc::clone(&flights), Arc::clone(&leading), *end, *yields))
            }).collect();
            let ends = async {
                let mut ends = Vec::new();
                for task in tasks {
                    ends.push(task.await.unwrap());
                }
                ends
            };
            tokio::time::timeout(Duration::from_secs(10), ends).await.expect("a request hangs")
        });
        for ((end, _), result) in script.iter().zip(ends) {
            prop_assert!(result == Some(9) || !matches!(end, End::Answer), "{:?} came to {:?}", end, result);
        }
    }
}

async fn ask(flights: Arc<Flights<u8, u32>>, leading: Arc<AtomicUsize>, end: End, yields: u8) -> Option<u32> {
    loop {
        let leader = match flights.enter(&1) {
            Entrance::Lead(leader) => leader,
            Entrance::Follow(follower) => match follower.wait().await {
                Some(answer) => return Some(answer),
                None => continue,
            },
        };
        assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "two lead");
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        leading.fetch_sub(1, Ordering::SeqCst);
        return match end {
            End::Answer => {
                leader.finish(9);
                Some(9)
            }
            End::Fail => None,
            End::Leave => {
                drop(leader);
                None
            }
        };
    }
}
