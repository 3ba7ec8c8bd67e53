//! A run's events as they are sent: JSON, one behind the other in one piece of memory.
//!
//! A run has a hundred small events and more, and they stay for minutes after its end. As values of their own
//! they would take four times as much, in pieces so small that what is freed between them stays unused.

use std::collections::VecDeque;

use hearth_wire::RunEvent;

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// From 1, without gaps.
    pub seq: u64,
    /// The whole event, a [`RunEvent`], as JSON.
    pub json: String,
}

/// What a reader is given at once, in bytes; of an event that is larger, that one.
const BATCH: usize = 256 << 10;

/// The newest events of a run.
#[derive(Debug)]
pub(super) struct Kept {
    json: String,
    /// Where each event ends, counted from the first byte of the run's first event.
    ends: VecDeque<usize>,
    /// Bytes of the events that were given up.
    gone: usize,
    /// The seq of the oldest event.
    oldest: u64,
    most: usize,
}

impl Kept {
    /// None yet; at most `most` bytes of them.
    pub(super) fn new(most: usize) -> Self {
        Self { json: String::new(), ends: VecDeque::new(), gone: 0, oldest: 1, most }
    }

    /// Appends an event, and gives up old ones for it where they are too many.
    pub(super) fn push(&mut self, event: &RunEvent) {
        // There is no event that JSON can't say.
        self.json.push_str(&serde_json::to_string(event).unwrap_or_default());
        self.ends.push_back(self.gone + self.json.len());
        if self.json.len() > self.most {
            self.give_up();
        }
    }

    /// Gives up the oldest, a quarter at once: what stays is moved.
    fn give_up(&mut self) {
        let (all, mut given) = (self.json.len(), 0);
        while all - given > self.most / 4 * 3
            && let Some(end) = self.ends.pop_front()
        {
            given = end - self.gone;
            self.oldest += 1;
        }
        self.json.drain(..given);
        self.gone += given;
    }

    /// No more will come: gives back the room for them.
    pub(super) fn close(&mut self) {
        self.json.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The seq of the oldest event; of the next one, if there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// What they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.json.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// The next events after seq `after`, which must be kept: all, or as many as are given at once.
    pub(super) fn after(&self, after: u64) -> VecDeque<LoggedEvent> {
        let skip = usize::try_from((after + 1).saturating_sub(self.oldest)).unwrap_or(usize::MAX);
        let skip = skip.min(self.ends.len());
        let mut begin =
            skip.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(self.gone);
        let (mut events, mut bytes) = (VecDeque::new(), 0);
        for (seq, end) in (self.oldest + skip as u64..).zip(self.ends.range(skip..)) {
            bytes += end - begin;
            if bytes > BATCH && !events.is_empty() {
                break;
            }
            let json = self.json[begin - self.gone..end - self.gone].to_owned();
            events.push_back(LoggedEvent { seq, json });
            begin = *end;
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use hearth_wire::RunEventBody;

    use super::*;

    fn event(seq: u64, text: &str) -> RunEvent {
        RunEvent { seq, body: RunEventBody::text(text) }
    }

    fn kept(most: usize, texts: &[String]) -> Kept {
        let mut kept = Kept::new(most);
        (1..).zip(texts).for_each(|(seq, text)| kept.push(&event(seq, text)));
        kept
    }

    fn read(kept: &Kept, after: u64) -> Vec<RunEvent> {
        kept.after(after)
            .iter()
            .map(|event| {
                let read: RunEvent = serde_json::from_str(&event.json).unwrap();
                assert_eq!(read.seq, event.seq);
                read
            })
            .collect()
    }

    #[test]
    fn events_come_back_as_they_were() {
        let texts = ["a", "ö\n\"", "", "c"].map(str::to_owned);
        let kept = kept(1 << 20, &texts);
        let all: Vec<RunEvent> = (1..).zip(&texts).map(|(seq, text)| event(seq, text)).collect();
        for after in 0..=4 {
            assert_eq!(read(&kept, after), all[after as usize..], "after {after}");
        }
    }

    #[test]
    fn the_oldest_are_given_up_and_the_rest_can_be_read() {
        let texts: Vec<String> = (0..1000).map(|n| format!("the text of event {n}")).collect();
        let mut kept = kept(4096, &texts);
        assert!(kept.oldest() > 900 && kept.bytes() <= 4 * 4096, "{} {}", kept.oldest(), kept.bytes());
        kept.close();
        assert!(kept.bytes() <= 2 * 4096, "{}", kept.bytes());
        let rest = read(&kept, kept.oldest() - 1);
        assert_eq!(rest.last(), Some(&event(1000, &texts[999])));
        assert_eq!(rest.len() as u64, 1001 - kept.oldest());
        assert_eq!(read(&kept, 1000), []);
    }

    #[test]
    fn an_event_that_is_too_large_is_not_kept() {
        let kept = kept(100, &["x".repeat(200), "y".to_owned()]);
        assert_eq!((kept.oldest(), read(&kept, 1)), (2, vec![event(2, "y")]));
    }

    #[test]
    fn much_is_read_piece_by_piece() {
        let kept = kept(1 << 30, &vec!["x".repeat(BATCH / 3); 5]);
        assert_eq!([0, 2, 4].map(|after| read(&kept, after).len()), [2, 2, 1]);
    }
}
