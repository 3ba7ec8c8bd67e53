//! The order of jobs in a process: by priority, which rises with waiting; of equal ones the owner with the fewest jobs in progress,
//! then the one who was served longest ago. Pure: no clock, no I/O.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use hearth_domain::{JobKind, Owner, Priority};

use super::queue::JobMessage;

/// Waiting time by which a job's priority rises one level.
const AGEING_INTERVAL: Duration = Duration::from_secs(60);
const LEVELS: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// A job that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    message: JobMessage,
    since: Instant,
}

/// The jobs of one kind that may be carried out.
#[derive(Debug, Default)]
struct Lane {
    owners: HashMap<Owner, Line>,
    in_progress: usize,
    served: u64,
}

/// An owner's jobs, by priority.
#[derive(Debug, Default)]
struct Line {
    levels: [VecDeque<Waiting>; LEVELS.len()],
    in_progress: usize,
    /// The number of the service at which a job of the owner was taken last.
    served: u64,
}

/// The jobs that may be carried out, of all kinds.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    lanes: HashMap<JobKind, Lane>,
}

impl ReadyQueue {
    /// Adds a job.
    pub(super) fn push(&mut self, message: JobMessage, now: Instant) {
        let line = self.lanes.entry(message.kind).or_default().owners.entry(message.owner).or_default();
        line.levels[level(message.priority)].push_back(Waiting { message, since: now });
    }

    /// Takes the next job of a kind, if fewer than `limit` are in progress. `is_paused`: the owner's jobs wait.
    pub(super) fn take(
        &mut self,
        kind: JobKind,
        limit: usize,
        now: Instant,
        is_paused: impl Fn(Owner) -> bool,
    ) -> Option<JobMessage> {
        let lane = self.lanes.get_mut(&kind).filter(|lane| lane.in_progress < limit)?;
        let fronts = lane.owners.iter().filter(|(owner, _)| !is_paused(**owner)).flat_map(|(owner, line)| {
            let levels = line.levels.iter().enumerate();
            levels.filter_map(move |(level, waiting)| Some((*owner, level, line, *waiting.front()?)))
        });
        let (owner, level, ..) = fronts.max_by_key(|(_, level, line, front)| {
            (urgency(*level, front, now), Reverse((line.in_progress, line.served, front.since)))
        })?;
        let line = lane.owners.get_mut(&owner)?;
        let message = line.levels[level].pop_front()?.message;
        lane.served += 1;
        (line.served, line.in_progress) = (lane.served, line.in_progress + 1);
        lane.in_progress += 1;
        Some(message)
    }

    /// Ends the progress of a job that was taken.
    pub(super) fn finish(&mut self, message: &JobMessage) {
        let Some(lane) = self.lanes.get_mut(&message.kind) else { return };
        lane.in_progress = lane.in_progress.saturating_sub(1);
        if let Some(line) = lane.owners.get_mut(&message.owner) {
            line.in_progress = line.in_progress.saturating_sub(1);
            if line.in_progress == 0 && line.levels.iter().all(VecDeque::is_empty) {
                lane.owners.remove(&message.owner);
            }
        }
    }

    /// The number of jobs that wait, and the age of the oldest one, of a kind.
    pub(super) fn depth(&self, kind: JobKind, now: Instant) -> (usize, Duration) {
        let Some(lane) = self.lanes.get(&kind) else { return (0, Duration::ZERO) };
        let levels = || lane.owners.values().flat_map(|line| &line.levels);
        let oldest = levels().filter_map(|level| level.front()).map(|front| front.since).min();
        let age = oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (levels().map(VecDeque::len).sum(), age)
    }

    /// The number of jobs in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.lanes.values().map(|lane| lane.in_progress).sum()
    }
}

fn level(priority: Priority) -> usize {
    LEVELS.iter().position(|level| *level == priority).unwrap_or(LEVELS.len() - 1)
}

/// The level from below, and one more for each interval of waiting.
fn urgency(level: usize, front: &Waiting, now: Instant) -> u64 {
    let waited = now.saturating_duration_since(front.since).as_secs() / AGEING_INTERVAL.as_secs();
    (LEVELS.len() - level) as u64 + waited
}

#[cfg(test)]
mod tests {
    use hearth_domain::{JobId, OrganisationId, Timestamp, UserId};

    use super::*;

    const KIND: JobKind = JobKind::Generate;

    fn owner() -> Owner {
        let user = UserId::new();
        Owner { user, organisation: OrganisationId::of_operator(user) }
    }

    fn message(owner: Owner, priority: Priority) -> JobMessage {
        JobMessage { job: JobId::new(), kind: KIND, priority, owner, start_at: Timestamp::now() }
    }

    fn take(queue: &mut ReadyQueue, now: Instant) -> Option<JobMessage> {
        queue.take(KIND, usize::MAX, now, |_| false)
    }

    #[test]
    fn higher_priority_is_first_until_the_lower_one_has_waited() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let low = message(owner, Priority::Low);
        queue.push(low, now);
        let later = now + AGEING_INTERVAL;
        let high = message(owner, Priority::High);
        queue.push(high, later);
        assert_eq!(take(&mut queue, later), Some(high));
        queue.push(message(owner, Priority::High), later + 2 * AGEING_INTERVAL);
        assert_eq!(take(&mut queue, later + 2 * AGEING_INTERVAL), Some(low));
    }

    #[test]
    fn owner_with_many_jobs_does_not_hold_up_another_one() {
        let (mut queue, now, busy, other) = (ReadyQueue::default(), Instant::now(), owner(), owner());
        for _ in 0..100 {
            queue.push(message(busy, Priority::Normal), now);
        }
        queue.push(message(other, Priority::Normal), now + Duration::from_secs(1));
        let order: Vec<Owner> =
            (0..3).filter_map(|_| take(&mut queue, now + Duration::from_secs(2))).map(|m| m.owner).collect();
        assert!(order[..2].contains(&other), "{order:?}");
    }

    #[test]
    fn limit_and_pause_hold_jobs_back() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let (first, second) = (message(owner, Priority::Normal), message(owner, Priority::Normal));
        queue.push(first, now);
        queue.push(second, now);
        assert_eq!(queue.take(KIND, 1, now, |_| true), None);
        assert_eq!(queue.take(KIND, 1, now, |_| false), Some(first));
        assert_eq!(queue.take(KIND, 1, now, |_| false), None);
        assert_eq!(queue.depth(KIND, now + Duration::from_secs(3)), (1, Duration::from_secs(3)));
        queue.finish(&first);
        assert_eq!(queue.take(KIND, 1, now, |_| false), Some(second));
        queue.finish(&second);
        assert_eq!((queue.in_progress(), queue.lanes[&KIND].owners.len()), (0, 0));
    }
}
