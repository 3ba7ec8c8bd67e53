//! The order of jobs in a process: by priority, which rises with waiting; of equal ones the owner with the fewest jobs in progress,
//! then the one who was served longest ago; of an owner's groups in the same way. A group has a part of the places at most. Pure: no
//! clock, no I/O.

mod lane;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use hearth_domain::{JobKind, Owner, Priority};

use super::queue::JobMessage;
use lane::{Lane, Waiting};

/// Waiting time by which a job's priority rises one level. The intervals begin with the first job of the queue.
const AGEING_INTERVAL: Duration = Duration::from_secs(60);
const LEVELS: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// The jobs that may be carried out, of all kinds.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    lanes: HashMap<JobKind, Lane>,
    /// The time of the first job.
    began: Option<Instant>,
}

impl ReadyQueue {
    /// Adds a job.
    pub(super) fn push(&mut self, message: JobMessage, now: Instant) {
        let waited = now.saturating_duration_since(*self.began.get_or_insert(now));
        let level = level(message.priority);
        let rank = waited.as_secs() / AGEING_INTERVAL.as_secs() + level as u64;
        self.lanes.entry(message.kind).or_default().push(level, Waiting { message, since: now, rank });
    }

    /// Takes the next job of a kind, if fewer than `limit` are in progress. `is_paused`: the owner's jobs wait.
    pub(super) fn take(
        &mut self,
        kind: JobKind,
        limit: usize,
        is_paused: impl Fn(Owner) -> bool,
    ) -> Option<JobMessage> {
        self.lanes.get_mut(&kind)?.take(limit, is_paused)
    }

    /// Ends the progress of a job that was taken.
    pub(super) fn finish(&mut self, message: &JobMessage) {
        if let Some(lane) = self.lanes.get_mut(&message.kind) {
            lane.finish(message);
        }
    }

    /// The number of jobs that wait, and the age of the oldest one, of a kind.
    pub(super) fn depth(&self, kind: JobKind, now: Instant) -> (usize, Duration) {
        let (count, oldest) = self.lanes.get(&kind).map(Lane::depth).unwrap_or_default();
        (count, oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since)))
    }

    /// The number of jobs in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.lanes.values().map(Lane::in_progress).sum()
    }
}

fn level(priority: Priority) -> usize {
    LEVELS.iter().position(|level| *level == priority).unwrap_or(LEVELS.len() - 1)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{JobId, OrganisationId, Timestamp, UserId};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const KIND: JobKind = JobKind::Generate;

    fn owner() -> Owner {
        let user = UserId::new();
        Owner { user, organisation: OrganisationId::of_operator(user) }
    }

    fn message(owner: Owner, priority: Priority) -> JobMessage {
        JobMessage { job: JobId::new(), kind: KIND, priority, owner, group: None, start_at: Timestamp::now() }
    }

    fn take(queue: &mut ReadyQueue) -> Option<JobMessage> {
        queue.take(KIND, usize::MAX, |_| false)
    }

    #[test]
    fn higher_priority_is_first_until_the_lower_one_has_waited() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let low = message(owner, Priority::Low);
        queue.push(low, now);
        let later = now + AGEING_INTERVAL;
        let high = message(owner, Priority::High);
        queue.push(high, later);
        assert_eq!(take(&mut queue), Some(high));
        queue.push(message(owner, Priority::High), later + 2 * AGEING_INTERVAL);
        assert_eq!(take(&mut queue), Some(low));
    }

    #[test]
    fn owner_with_many_jobs_does_not_hold_up_another_one() {
        let (mut queue, now, busy, other) = (ReadyQueue::default(), Instant::now(), owner(), owner());
        for _ in 0..100 {
            queue.push(message(busy, Priority::Normal), now);
        }
        queue.push(message(other, Priority::Normal), now + Duration::from_secs(1));
        let order: Vec<Owner> = (0..3).filter_map(|_| take(&mut queue)).map(|m| m.owner).collect();
        assert!(order[..2].contains(&other), "{order:?}");
    }

    #[test]
    fn limit_and_pause_hold_jobs_back() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let (first, second) = (message(owner, Priority::Normal), message(owner, Priority::Normal));
        queue.push(first, now);
        queue.push(second, now);
        assert_eq!(queue.take(KIND, 1, |_| true), None);
        assert_eq!(queue.take(KIND, 1, |_| false), Some(first));
        assert_eq!(queue.take(KIND, 1, |_| false), None);
        assert_eq!(queue.depth(KIND, now + Duration::from_secs(3)), (1, Duration::from_secs(3)));
        queue.finish(&first);
        assert_eq!(queue.take(KIND, 1, |_| false), Some(second));
        queue.finish(&second);
        assert_eq!(queue.in_progress(), 0);
        assert!(queue.lanes[&KIND].is_empty());
    }

    #[test]
    fn group_whose_jobs_take_long_leaves_places_to_the_others() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let in_group = |group| JobMessage { group: Some(group), ..message(owner, Priority::Normal) };
        for _ in 0..90 {
            queue.push(in_group(1), now);
        }
        let limit = 32;
        let take = |queue: &mut ReadyQueue| queue.take(KIND, limit, |_| false);
        let slow = std::iter::from_fn(|| take(&mut queue)).collect::<Vec<_>>();
        assert_eq!(slow.len(), 11);
        // The others have places at once, also those without a group, and another owner.
        let others =
            [in_group(2), message(owner, Priority::Normal), message(self::owner(), Priority::Normal)];
        for other in others {
            queue.push(other, now);
            assert_eq!(take(&mut queue), Some(other));
            queue.finish(&other);
        }
        // A place that becomes free is the group's again.
        queue.finish(&slow[0]);
        assert_eq!(take(&mut queue).and_then(|message| message.group), Some(1));
        assert_eq!(take(&mut queue), None);
        // Many slow groups have one place each at least.
        for group in 2..40 {
            (0..90).for_each(|_| queue.push(in_group(group), now));
        }
        let rest = std::iter::from_fn(|| take(&mut queue)).collect::<Vec<_>>();
        assert_eq!(rest.len(), limit - slow.len());
        let groups: std::collections::HashSet<_> = rest.iter().map(|message| message.group).collect();
        assert_eq!(groups.len(), rest.len());
    }

    #[test]
    fn groups_of_an_owner_take_turns() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let in_group = |group| JobMessage { group: Some(group), ..message(owner, Priority::Normal) };
        (0..90).for_each(|_| queue.push(in_group(1), now));
        queue.push(in_group(2), now + Duration::from_secs(1));
        let first: Vec<_> = (0..2).filter_map(|_| take(&mut queue)).map(|message| message.group).collect();
        assert!(first.contains(&Some(2)), "{first:?}");
    }

    /// The order by its definition: every job that waits is compared.
    #[derive(Debug, Default)]
    struct Model {
        waiting: Vec<(JobMessage, usize, u64, Instant)>,
        in_progress: Vec<JobMessage>,
        served: u64,
        lines: HashMap<(Owner, Option<u32>), u64>,
        owners: HashMap<Owner, u64>,
    }

    impl Model {
        fn take(&mut self, limit: usize, paused: Option<Owner>) -> Option<JobMessage> {
            let free = limit.checked_sub(self.in_progress.len()).filter(|free| *free > 0)?;
            let line = |message: &JobMessage| (message.owner, message.group);
            let order = |(at, (message, level, rank, since)): (usize, &(JobMessage, usize, u64, Instant))| {
                let same_line = |other: &&JobMessage| line(other) == line(message);
                let of_line = self.in_progress.iter().filter(same_line).count();
                let of_owner = self.in_progress.iter().filter(|other| other.owner == message.owner).count();
                let served = self.lines.get(&line(message)).copied().unwrap_or_default();
                let owner_served = self.owners.get(&message.owner).copied().unwrap_or_default();
                let is_first = !self.waiting[..at]
                    .iter()
                    .any(|other| (line(&other.0), other.1) == (line(message), *level));
                let has_place = message.group.is_none() || of_line == 0 || of_line < free / 2;
                let may_begin = is_first && has_place && paused != Some(message.owner);
                may_begin.then_some(((*rank, of_owner, owner_served, of_line, served, *since), at))
            };
            let (_, at) = self.waiting.iter().enumerate().filter_map(order).min()?;
            let (message, ..) = self.waiting.remove(at);
            self.served += 1;
            self.lines.insert(line(&message), self.served);
            self.owners.insert(message.owner, self.served);
            self.in_progress.push(message);
            Some(message)
        }

        fn finish(&mut self, message: &JobMessage) {
            self.in_progress.retain(|other| other.job != message.job);
            let waiting = self.waiting.iter().map(|waiting| &waiting.0);
            let rest: Vec<_> =
                waiting.chain(&self.in_progress).map(|rest| (rest.owner, rest.group)).collect();
            self.lines.retain(|line, _| rest.contains(line));
            self.owners.retain(|owner, _| rest.iter().any(|line| line.0 == *owner));
        }
    }

    proptest! {
        #[test]
        fn next_job_is_the_first_of_all_that_wait(
            steps in vec((0..4_u32, 0..3_usize, 0..3_usize, 0..4_u32, 1..40_u64), 1..120),
            limit in 1..12_usize,
        ) {
            let (mut queue, mut model) = (ReadyQueue::default(), Model::default());
            let owners = [owner(), owner(), owner()];
            let mut now = Instant::now();
            for (step, who, priority, group, seconds) in steps {
                now += Duration::from_secs(seconds);
                match step {
                    0 | 1 => {
                        let group = (group > 0).then_some(group);
                        let message = JobMessage { group, ..message(owners[who], LEVELS[priority]) };
                        queue.push(message, now);
                        let waited = queue.began.map_or(0, |began| (now - began).as_secs() / 60);
                        model.waiting.push((message, priority, waited + priority as u64, now));
                    }
                    2 => {
                        let paused = (group == 0).then(|| owners[who]);
                        let taken = queue.take(KIND, limit, |owner| Some(owner) == paused);
                        prop_assert_eq!(taken, model.take(limit, paused));
                    }
                    _ => if let Some(message) = model.in_progress.first().copied() {
                        queue.finish(&message);
                        model.finish(&message);
                    },
                }
                let ages = model.waiting.iter().map(|(.., since)| now - *since);
                prop_assert_eq!(
                    queue.depth(KIND, now),
                    (model.waiting.len(), ages.max().unwrap_or_default())
                );
                prop_assert_eq!(queue.in_progress(), model.in_progress.len());
            }
        }
    }
}
