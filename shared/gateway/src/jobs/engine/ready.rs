//! The order of jobs in a process: by priority, which rises with waiting; of equal ones the owner with the fewest jobs in progress,
//! then the one who was served longest ago; of an owner's groups in the same way. A group has a part of the places at most. Pure: no
//! clock, no I/O.

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
    lines: HashMap<LineKey, Line>,
    owners: HashMap<Owner, Share>,
    in_progress: usize,
    served: u64,
}

/// The owner of the jobs of a line, and their group.
type LineKey = (Owner, Option<u32>);

/// The jobs of an owner's group, by priority.
#[derive(Debug, Default)]
struct Line {
    levels: [VecDeque<Waiting>; LEVELS.len()],
    in_progress: usize,
    /// The number of the service at which a job of the line was taken last.
    served: u64,
}

/// The part of an owner in the jobs of one kind.
#[derive(Debug, Default)]
struct Share {
    lines: usize,
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
        let lane = self.lanes.entry(message.kind).or_default();
        let line = lane.lines.entry(key(&message)).or_insert_with(|| {
            lane.owners.entry(message.owner).or_default().lines += 1;
            Line::default()
        });
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
        let lane = self.lanes.get_mut(&kind)?;
        let free = limit.checked_sub(lane.in_progress).filter(|free| *free > 0)?;
        let lines = lane.lines.iter().filter_map(|(key, line)| {
            let share = lane.owners.get(&key.0)?;
            (!is_paused(key.0) && has_place(*key, line, free)).then_some((*key, line, share))
        });
        let fronts = lines.flat_map(|(key, line, share)| {
            let levels = line.levels.iter().enumerate();
            levels.filter_map(move |(level, waiting)| Some((key, level, line, share, *waiting.front()?)))
        });
        let (key, level, ..) = fronts.max_by_key(|(_, level, line, share, front)| {
            let order = (share.in_progress, share.served, line.in_progress, line.served, front.since);
            (urgency(*level, front, now), Reverse(order))
        })?;
        let line = lane.lines.get_mut(&key)?;
        let message = line.levels[level].pop_front()?.message;
        lane.served += 1;
        lane.in_progress += 1;
        (line.served, line.in_progress) = (lane.served, line.in_progress + 1);
        let share = lane.owners.entry(key.0).or_default();
        (share.served, share.in_progress) = (lane.served, share.in_progress + 1);
        Some(message)
    }

    /// Ends the progress of a job that was taken.
    pub(super) fn finish(&mut self, message: &JobMessage) {
        let Some(lane) = self.lanes.get_mut(&message.kind) else { return };
        lane.in_progress = lane.in_progress.saturating_sub(1);
        let Some(line) = lane.lines.get_mut(&key(message)) else { return };
        line.in_progress = line.in_progress.saturating_sub(1);
        let is_over = line.in_progress == 0 && line.levels.iter().all(VecDeque::is_empty);
        if is_over {
            lane.lines.remove(&key(message));
        }
        if let Some(share) = lane.owners.get_mut(&message.owner) {
            share.in_progress = share.in_progress.saturating_sub(1);
            share.lines = share.lines.saturating_sub(usize::from(is_over));
            if share.lines == 0 {
                lane.owners.remove(&message.owner);
            }
        }
    }

    /// The number of jobs that wait, and the age of the oldest one, of a kind.
    pub(super) fn depth(&self, kind: JobKind, now: Instant) -> (usize, Duration) {
        let Some(lane) = self.lanes.get(&kind) else { return (0, Duration::ZERO) };
        let levels = || lane.lines.values().flat_map(|line| &line.levels);
        let oldest = levels().filter_map(|level| level.front()).map(|front| front.since).min();
        let age = oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (levels().map(VecDeque::len).sum(), age)
    }

    /// The number of jobs in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.lanes.values().map(|lane| lane.in_progress).sum()
    }
}

fn key(message: &JobMessage) -> LineKey {
    (message.owner, message.group)
}

/// True if a line may have one more job in progress. A group has one, and more only while it has fewer than half of the free
/// places: so the jobs of a group that take long, such as deliveries to a slow endpoint, leave places to the others.
fn has_place((_, group): LineKey, line: &Line, free: usize) -> bool {
    group.is_none() || line.in_progress == 0 || line.in_progress < free / 2
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
        JobMessage { job: JobId::new(), kind: KIND, priority, owner, group: None, start_at: Timestamp::now() }
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
        assert!(queue.lanes[&KIND].lines.is_empty());
    }

    #[test]
    fn group_whose_jobs_take_long_leaves_places_to_the_others() {
        let (mut queue, now, owner) = (ReadyQueue::default(), Instant::now(), owner());
        let in_group = |group| JobMessage { group: Some(group), ..message(owner, Priority::Normal) };
        for _ in 0..90 {
            queue.push(in_group(1), now);
        }
        let limit = 32;
        let take = |queue: &mut ReadyQueue| queue.take(KIND, limit, now, |_| false);
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
        let first: Vec<_> =
            (0..2).filter_map(|_| take(&mut queue, now)).map(|message| message.group).collect();
        assert!(first.contains(&Some(2)), "{first:?}");
    }
}
