//! Checks of the stores. A probe waits for one for a limited time: a write may wait 5 s for a database that another program
//! has locked, or longer for a disk.

use std::time::Duration;

use hearth_store::StoreCheck;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    background::{self, Background},
    moment::Moment,
};

/// Time after which stores that don't answer count as unavailable. A busy disk is slow for a moment.
const SLOW_STORES_GRACE: Duration = Duration::from_secs(10);
/// Time for which the problem that a check has found counts while the next check isn't complete.
const STORE_PROBLEM_TTL: Duration = Duration::from_secs(60);

/// The latest checks.
#[derive(Debug, Default)]
pub(super) struct StoreChecks {
    /// The check that goes on after its probe. There is one at most.
    running: Option<JoinHandle<CompleteCheck>>,
    latest: Option<CompleteCheck>,
    /// The first probe, since the latest complete check, for which a check took too long.
    slow_since: Option<Moment>,
}

/// The result of a check that is complete, with the time of its end.
#[derive(Debug)]
struct CompleteCheck {
    at: Moment,
    stores: Vec<StoreCheck>,
}

/// The state of the stores at a probe.
#[derive(Debug)]
pub(super) enum StoresState<'a> {
    /// The result of a check for this probe; of an earlier one with a problem, if this probe's isn't complete.
    Checked(&'a [StoreCheck]),
    /// The check isn't complete.
    Slow,
    /// No check has been complete for too long.
    Unavailable,
}

impl StoreChecks {
    /// Runs `check`, and waits for it for `limit` at most. Where the process runs on, a check that takes longer goes on, and its
    /// result is for a later probe; until then no other check begins.
    pub(super) async fn run(
        &mut self,
        background: Background,
        limit: Duration,
        check: impl Future<Output = Vec<StoreCheck>> + Send + 'static,
    ) -> StoresState<'_> {
        let check = async move {
            let stores = check.await;
            CompleteCheck { at: Moment::now(), stores }
        };
        if !background.outlives_response() {
            return match timeout(limit, check).await {
                Ok(complete) => self.complete(complete),
                Err(_) => self.slow(),
            };
        }
        let ended = self.running.take_if(|running| running.is_finished());
        if let Some(running) = ended
            && let Ok(complete) = running.await
        {
            self.complete(complete);
        }
        let running = self.running.get_or_insert_with(|| background::spawn(check));
        let Ok(ended) = timeout(limit, running).await else { return self.slow() };
        self.running = None;
        match ended {
            Ok(complete) => self.complete(complete),
            // It has panicked, or the process ends.
            Err(_) => self.slow(),
        }
    }

    fn complete(&mut self, complete: CompleteCheck) -> StoresState<'_> {
        for StoreCheck { name, problem, .. } in &complete.stores {
            if let Some(error) = problem {
                tracing::error!(name, %error, "a store can't be used");
            }
        }
        self.slow_since = None;
        StoresState::Checked(&self.latest.insert(complete).stores)
    }

    fn slow(&mut self) -> StoresState<'_> {
        let slow_since = *self.slow_since.get_or_insert_with(Moment::now);
        let has_problem = |check: &&CompleteCheck| {
            check.at.age() < STORE_PROBLEM_TTL && check.stores.iter().any(|store| store.problem.is_some())
        };
        match self.latest.as_ref().filter(has_problem) {
            Some(check) => StoresState::Checked(&check.stores),
            None if slow_since.age() >= SLOW_STORES_GRACE => StoresState::Unavailable,
            None => StoresState::Slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_store::{DiskProblem, StoreError};
    use tokio::sync::oneshot;

    use super::*;

    /// A limit that no check of these tests keeps.
    const SHORT_LIMIT: Duration = Duration::from_millis(20);
    /// A limit that each check keeps that has its result.
    const LONG_LIMIT: Duration = Duration::from_secs(30);

    fn result(problem: Option<DiskProblem>) -> Vec<StoreCheck> {
        let problem =
            problem.map(|problem| StoreError::Disk { operation: "write", reason: "busy".into(), problem });
        vec![StoreCheck { name: "table", problem, took: Duration::ZERO }]
    }

    /// A check that ends when a result is sent, and the end of the channel to send it.
    fn check() -> (oneshot::Sender<Vec<StoreCheck>>, impl Future<Output = Vec<StoreCheck>> + Send) {
        let (send, receive) = oneshot::channel();
        (send, async move { receive.await.unwrap() })
    }

    /// The state, and the problem of the table.
    fn text(state: &StoresState<'_>) -> &'static str {
        match state {
            StoresState::Checked(stores) => {
                let problem = stores[0].problem.as_ref();
                problem.map_or("ok", |error| error.disk_problem().unwrap().as_str())
            }
            StoresState::Slow => "slow",
            StoresState::Unavailable => "unavailable",
        }
    }

    #[tokio::test]
    async fn problem_of_a_slow_check_is_the_state_of_later_probes() {
        let (mut checks, background) = (StoreChecks::default(), Background::new(true));
        let (send, first) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, first).await), "slow");
        // The next probe waits for the same check.
        let (_unused, second) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, second).await), "slow");
        send.send(result(Some(DiskProblem::Locked))).unwrap();
        let (_unused, third) = check();
        assert_eq!(text(&checks.run(background, LONG_LIMIT, third).await), "locked");
        let (send, fourth) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, fourth).await), "locked");
        // An old problem counts no more.
        checks.latest.as_mut().unwrap().at = Moment::hour_ago();
        let (_unused, fifth) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, fifth).await), "slow");
        send.send(result(None)).unwrap();
        let (_unused, sixth) = check();
        assert_eq!(text(&checks.run(background, LONG_LIMIT, sixth).await), "ok");
    }

    #[tokio::test]
    async fn check_that_ended_between_two_probes_counts() {
        let (mut checks, background) = (StoreChecks::default(), Background::new(true));
        let (send, first) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, first).await), "slow");
        send.send(result(Some(DiskProblem::Locked))).unwrap();
        while !checks.running.as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await;
        }
        let (send, second) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, second).await), "locked");
        send.send(result(None)).unwrap();
        let (_unused, third) = check();
        assert_eq!(text(&checks.run(background, LONG_LIMIT, third).await), "ok");
        // A check that is slow after a good one isn't a problem yet.
        let (_unused, fourth) = check();
        assert_eq!(text(&checks.run(background, SHORT_LIMIT, fourth).await), "slow");
    }

    #[tokio::test]
    async fn stores_without_a_complete_check_are_unavailable_after_a_while() {
        for long_lived in [true, false] {
            let (mut checks, background) = (StoreChecks::default(), Background::new(long_lived));
            let (_unused, first) = check();
            assert_eq!(text(&checks.run(background, SHORT_LIMIT, first).await), "slow");
            checks.slow_since = Some(Moment::ago(SLOW_STORES_GRACE));
            let (_unused, second) = check();
            assert_eq!(text(&checks.run(background, SHORT_LIMIT, second).await), "unavailable");
        }
    }
}
