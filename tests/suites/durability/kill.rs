//! `kill -9` under load.

use std::time::{Duration, Instant};

use hearth_tests::eventually;

use crate::{
    load::{Checks, Load, faults},
    scheduling_delay::SchedulingDelay,
    vendor::home_with_vendor,
};

const ROUNDS: u32 = 10;

async fn kills(seed: u32) {
    let mut home = home_with_vendor("").await;
    let (mut all, mut checked, mut cut) = (Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        let delay = SchedulingDelay::start();
        let load = Load::start(&home.client(), &home.model);
        let millis = 300 + u64::from((round * 7 + seed) * 131 % 1200);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        eventually("answers", async || load.can_be_killed().then_some(())).await;
        let killed_at = Instant::now();
        home = home.crash_and_restart().await;
        let received = load.end().await;
        let Checks { faults, count, cut_count } = faults(&home.client(), received, killed_at, &delay).await;
        (checked, cut) = (checked + count, cut + cut_count);
        all.extend(faults);
    }
    home.stop().await;
    assert!(all.is_empty(), "{} of {checked}: {all:#?}", all.len());
    assert!(checked > 20 * ROUNDS as usize, "only {checked} things were received");
    assert!(cut > 0, "no stream with text that must be stored was cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_received_is_stored_after_ten_kills() {
    kills(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_received_is_stored_after_ten_other_kills() {
    kills(3).await;
}
