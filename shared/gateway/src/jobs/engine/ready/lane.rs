//! The jobs of one kind that may be carried out, with an index of the next one: a take reads few of the waiting jobs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Instant,
};

use hearth_domain::Owner;

use super::{JobMessage, LEVELS};

/// A job that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) message: JobMessage,
    pub(super) since: Instant,
    /// The ageing interval in which it began to wait, and its level from above: the job of the lowest rank is the next.
    pub(super) rank: u64,
}

/// The owner of the jobs of a line, and their group.
type LineKey = (Owner, Option<u32>);
/// The place of a line among those of its owner that have the same rank: its jobs in progress, its last service, the beginning of
/// its next job's wait, and its group.
type LinePlace = (usize, u64, Instant, Option<u32>);
/// The place of an owner among those with a line of the same rank: the jobs in progress, the last service, and the first of these
/// lines.
type OwnerPlace = (usize, u64, LinePlace, Owner);

/// The jobs of one kind that may be carried out.
#[derive(Debug, Default)]
pub(super) struct Lane {
    lines: HashMap<LineKey, Line>,
    owners: HashMap<Owner, Share>,
    /// The owners with a line of each rank.
    ranks: BTreeMap<u64, BTreeSet<OwnerPlace>>,
    waiting: usize,
    /// The number of levels whose first job began to wait at a time. The first job of a level is its oldest one.
    fronts: BTreeMap<Instant, usize>,
    in_progress: usize,
    served: u64,
}

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
    /// The lines with a job that waits, by the rank of the next one.
    waiting: BTreeMap<u64, BTreeSet<LinePlace>>,
    in_progress: usize,
    /// The number of the service at which a job of the owner was taken last.
    served: u64,
}

impl Lane {
    /// Adds a job at a level.
    pub(super) fn push(&mut self, level: usize, job: Waiting) {
        self.waiting += 1;
        // Behind others, it changes nothing of its line's place.
        if let Some(line) = self.lines.get_mut(&key(&job.message))
            && line.levels[level].back().is_some()
        {
            return line.levels[level].push_back(job);
        }
        self.update(key(&job.message), |line, _| line.levels[level].push_back(job));
    }

    /// Takes the next job, if fewer than `limit` are in progress. `is_paused`: the owner's jobs wait.
    pub(super) fn take(&mut self, limit: usize, is_paused: impl Fn(Owner) -> bool) -> Option<JobMessage> {
        let free = limit.checked_sub(self.in_progress).filter(|free| *free > 0)?;
        let key = self.next(free, is_paused)?;
        let message = self.lines.get_mut(&key)?.next_level().and_then(|level| level.front())?.message;
        self.served += 1;
        self.waiting -= 1;
        self.in_progress += 1;
        let served = self.served;
        self.update(key, |line, share| {
            if let Some(level) = line.next_level() {
                level.pop_front();
            }
            (line.served, line.in_progress) = (served, line.in_progress + 1);
            (share.served, share.in_progress) = (served, share.in_progress + 1);
        });
        Some(message)
    }

    /// Ends the progress of a job that was taken.
    pub(super) fn finish(&mut self, message: &JobMessage) {
        self.in_progress = self.in_progress.saturating_sub(1);
        if self.lines.contains_key(&key(message)) {
            self.update(key(message), |line, share| {
                line.in_progress = line.in_progress.saturating_sub(1);
                share.in_progress = share.in_progress.saturating_sub(1);
            });
        }
    }

    /// The number of jobs that wait, and the time at which the oldest one began to. The cost doesn't depend on the number of jobs
    /// and owners.
    pub(super) fn depth(&self) -> (usize, Option<Instant>) {
        (self.waiting, self.fronts.first_key_value().map(|(since, _)| *since))
    }

    /// The number of jobs in progress.
    pub(super) fn in_progress(&self) -> usize {
        self.in_progress
    }

    /// The line of the next job. Those that are passed over are of paused owners, or have jobs in progress.
    fn next(&self, free: usize, is_paused: impl Fn(Owner) -> bool) -> Option<LineKey> {
        let owners =
            self.ranks.iter().flat_map(|(rank, owners)| owners.iter().map(move |place| (rank, place.3)));
        let mut lines = owners.filter(|(_, owner)| !is_paused(*owner)).flat_map(|(rank, owner)| {
            let lines = self.owners.get(&owner).and_then(|share| share.waiting.get(rank));
            lines.into_iter().flatten().map(move |line| (owner, line))
        });
        let (owner, line) = lines.find(|(_, line)| has_place(line, free))?;
        Some((owner, line.3))
    }

    /// Changes a line and the share of its owner, and their places in the index.
    fn update(&mut self, key: LineKey, change: impl FnOnce(&mut Line, &mut Share)) {
        let (owner, group) = key;
        let share = self.owners.entry(owner).or_default();
        let line = self.lines.entry(key).or_insert_with(|| {
            share.lines += 1;
            Line::default()
        });
        let before = line.place(group);
        let fronts_before = line.fronts();
        for (rank, place) in share.places(owner) {
            remove(&mut self.ranks, rank, &place);
        }
        change(line, share);
        let after = line.place(group);
        replace_fronts(&mut self.fronts, fronts_before, line.fronts());
        let is_over = line.in_progress == 0 && after.is_none();
        if let Some((rank, place)) = before {
            remove(&mut share.waiting, rank, &place);
        }
        if let Some((rank, place)) = after {
            share.waiting.entry(rank).or_default().insert(place);
        }
        for (rank, place) in share.places(owner) {
            self.ranks.entry(rank).or_default().insert(place);
        }
        if is_over {
            self.lines.remove(&key);
            share.lines -= 1;
            if share.lines == 0 {
                self.owners.remove(&owner);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.owners.is_empty() && self.ranks.is_empty() && self.fronts.is_empty()
    }
}

impl Line {
    /// The level of the next job.
    fn next_level(&mut self) -> Option<&mut VecDeque<Waiting>> {
        let rank = |level: &VecDeque<Waiting>| level.front().map(|front| (front.rank, front.since));
        self.levels.iter_mut().filter(|level| !level.is_empty()).min_by_key(|level| rank(level))
    }

    /// The time at which the first job of each level began to wait.
    fn fronts(&self) -> [Option<Instant>; LEVELS.len()] {
        self.levels.each_ref().map(|level| level.front().map(|front| front.since))
    }

    /// The rank of the next job, and the line's place among those of the same rank.
    fn place(&self, group: Option<u32>) -> Option<(u64, LinePlace)> {
        let fronts = self.levels.iter().filter_map(VecDeque::front);
        let front = fronts.min_by_key(|front| (front.rank, front.since))?;
        Some((front.rank, (self.in_progress, self.served, front.since, group)))
    }
}

impl Share {
    /// The ranks of its lines, and the owner's place among those of each.
    fn places(&self, owner: Owner) -> impl Iterator<Item = (u64, OwnerPlace)> {
        let (in_progress, served) = (self.in_progress, self.served);
        let first = |(rank, lines): (&u64, &BTreeSet<LinePlace>)| Some((*rank, *lines.first()?));
        self.waiting
            .iter()
            .filter_map(first)
            .map(move |(rank, line)| (rank, (in_progress, served, line, owner)))
    }
}

fn key(message: &JobMessage) -> LineKey {
    (message.owner, message.group)
}

/// True if a line may have one more job in progress. A group has one, and more only while it has fewer than half of the free
/// places: so the jobs of a group that take long, such as deliveries to a slow endpoint, leave places to the others.
fn has_place((in_progress, _, _, group): &LinePlace, free: usize) -> bool {
    group.is_none() || *in_progress == 0 || *in_progress < free / 2
}

/// Counts the first jobs of a line's levels after a change in place of those before it.
fn replace_fronts<const N: usize>(
    fronts: &mut BTreeMap<Instant, usize>,
    before: [Option<Instant>; N],
    after: [Option<Instant>; N],
) {
    for (before, after) in before.into_iter().zip(after).filter(|(before, after)| before != after) {
        if let Some(before) = before
            && let Some(count) = fronts.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                fronts.remove(&before);
            }
        }
        if let Some(after) = after {
            *fronts.entry(after).or_default() += 1;
        }
    }
}

/// Removes a place of a rank, and the rank without a place.
fn remove<T: Ord>(ranks: &mut BTreeMap<u64, BTreeSet<T>>, rank: u64, place: &T) {
    if let Some(places) = ranks.get_mut(&rank) {
        places.remove(place);
        if places.is_empty() {
            ranks.remove(&rank);
        }
    }
}
