use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

fn leader(flights: &Flights<u8, u32>) -> Leader<u8, u32> {
    match flights.enter(&1) {
        Place::First(leader) => leader,
        Place::After(_) => panic!("somebody is getting it"),
    }
}

fn follower(flights: &Flights<u8, u32>) -> Follower<u32> {
    match flights.enter(&1) {
        Place::After(follower) => follower,
        Place::First(_) => panic!("nobody is getting it"),
    }
}

#[tokio::test]
async fn who_waits_is_given_it_and_who_comes_later_isnt() {
    let flights = Flights::default();
    let first = leader(&flights);
    let (one, other) = (follower(&flights), follower(&flights));
    drop(other);
    first.land(7);
    assert_eq!(one.landed().await, Some(7));
    drop(leader(&flights));
}

#[tokio::test]
async fn when_it_isnt_got_one_of_those_who_wait_is_the_next() {
    let flights = Flights::default();
    let first = leader(&flights);
    let (one, other) = (follower(&flights), follower(&flights));
    drop(first);
    assert_eq!((one.landed().await, other.landed().await), (None, None));
    let next = leader(&flights);
    let last = follower(&flights);
    next.land(8);
    assert_eq!(last.landed().await, Some(8));
}

/// What one of those who ask does when it is first.
#[derive(Debug, Clone, Copy)]
enum Does {
    Land,
    Fail,
    /// It is gone before it has anything.
    Leave,
}

fn does() -> impl Strategy<Value = (Does, u8)> {
    (prop_oneof![Just(Does::Land), Just(Does::Fail), Just(Does::Leave)], 0..4_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However those who lead fail or go away: never do two lead at once, and everybody comes to an end, with
    /// the answer, if it hasn't failed itself.
    #[test]
    fn nobody_hangs_and_one_leads(script in prop::collection::vec(does(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let ends = runtime.block_on(async {
            let flights = Arc::new(Flights::default());
            let leading = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = script.iter().map(|(does, yields)| {
                tokio::spawn(ask(Arc::clone(&flights), Arc::clone(&leading), *does, *yields))
            }).collect();
            let ends = async {
                let mut ends = Vec::new();
                for task in tasks {
                    ends.push(task.await.unwrap());
                }
                ends
            };
            tokio::time::timeout(Duration::from_secs(10), ends).await.expect("somebody hangs")
        });
        for ((does, _), end) in script.iter().zip(ends) {
            prop_assert!(end == Some(9) || !matches!(does, Does::Land), "{:?} came to {:?}", does, end);
        }
    }
}

async fn ask(
    flights: Arc<Flights<u8, u32>>,
    leading: Arc<AtomicUsize>,
    does: Does,
    yields: u8,
) -> Option<u32> {
    loop {
        let leader = match flights.enter(&1) {
            Place::First(leader) => leader,
            Place::After(follower) => match follower.landed().await {
                Some(what) => return Some(what),
                None => continue,
            },
        };
        assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "two lead");
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        leading.fetch_sub(1, Ordering::SeqCst);
        return match does {
            Does::Land => {
                leader.land(9);
                Some(9)
            }
            Does::Fail => None,
            Does::Leave => {
                drop(leader);
                None
            }
        };
    }
}
