//! A run's events as JSON, in one string.
//!
//! A run has a hundred small events and more, which remain for minutes after its end. As separate values they would use
//! four times as much memory, and fragment it.

use std::collections::VecDeque;

use hearth_wire::RunEvent;

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// From 1, without gaps.
    pub seq: u64,
    /// The whole event, a [`RunEvent`], as JSON.
    pub json: String,
}

/// Bytes of events that a reader gets at once. A larger event is a batch of its own.
const BATCH_MAX_BYTES: usize = 256 << 10;

/// The newest events of a run.
#[derive(Debug)]
pub(super) struct EventBuffer {
    json: String,
    /// The end of each event, counted in bytes from the run's first event.
    ends: VecDeque<usize>,
    /// Bytes of the dropped events.
    dropped_bytes: usize,
    /// The seq of the oldest event.
    oldest: u64,
    max_bytes: usize,
}

impl EventBuffer {
    /// Creates an empty buffer for at most `max_bytes` bytes of events.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { json: String::new(), ends: VecDeque::new(), dropped_bytes: 0, oldest: 1, max_bytes }
    }

    /// Appends an event, and drops old ones if the buffer is full.
    pub(super) fn push(&mut self, event: &RunEvent) {
        // Every event can be serialised.
        self.json.push_str(&serde_json::to_string(event).unwrap_or_default());
        self.ends.push_back(self.dropped_bytes + self.json.len());
        if self.json.len() > self.max_bytes {
            self.drop_oldest();
        }
    }

    /// Drops the oldest events, a quarter of the buffer at once, since the others are moved.
    fn drop_oldest(&mut self) {
        let (all, mut dropped) = (self.json.len(), 0);
        while all - dropped > self.max_bytes / 4 * 3
            && let Some(end) = self.ends.pop_front()
        {
            dropped = end - self.dropped_bytes;
            self.oldest += 1;
        }
        self.json.drain(..dropped);
        self.dropped_bytes += dropped;
    }

    /// Frees the unused memory, after the last event.
    pub(super) fn shrink(&mut self) {
        self.json.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The seq of the oldest event; of the next one, if the buffer is empty.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Bytes of memory that the buffer uses.
    pub(super) fn bytes(&self) -> usize {
        self.json.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Returns the next events after seq `after`, up to [`BATCH_MAX_BYTES`]. They must not have been dropped.
    pub(super) fn after(&self, after: u64) -> VecDeque<LoggedEvent> {
        let skip = usize::try_from((after + 1).saturating_sub(self.oldest)).unwrap_or(usize::MAX);
        let skip = skip.min(self.ends.len());
        let mut begin =
            skip.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(self.dropped_bytes);
        let (mut events, mut bytes) = (VecDeque::new(), 0);
        for (seq, end) in (self.oldest + skip as u64..).zip(self.ends.range(skip..)) {
            bytes += end - begin;
            if bytes > BATCH_MAX_BYTES && !events.is_empty() {
                break;
            }
            let json = self.json[begin - self.dropped_bytes..end - self.dropped_bytes].to_owned();
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

    fn filled(max_bytes: usize, texts: &[String]) -> EventBuffer {
        let mut buffer = EventBuffer::new(max_bytes);
        (1..).zip(texts).for_each(|(seq, text)| buffer.push(&event(seq, text)));
        buffer
    }

    fn read(buffer: &EventBuffer, after: u64) -> Vec<RunEvent> {
        buffer
            .after(after)
            .iter()
            .map(|event| {
                let read: RunEvent = serde_json::from_str(&event.json).unwrap();
                assert_eq!(read.seq, event.seq);
                read
            })
            .collect()
    }

    #[test]
    fn events_are_read_as_they_were_pushed() {
        let texts = ["a", "ö\n\"", "", "c"].map(str::to_owned);
        let buffer = filled(1 << 20, &texts);
        let all: Vec<RunEvent> = (1..).zip(&texts).map(|(seq, text)| event(seq, text)).collect();
        for after in 0..=4 {
            assert_eq!(read(&buffer, after), all[after as usize..], "after {after}");
        }
    }

    #[test]
    fn oldest_events_are_dropped_when_the_buffer_is_full() {
        let texts: Vec<String> = (0..1000).map(|n| format!("the text of event {n}")).collect();
        let mut buffer = filled(4096, &texts);
        assert!(
            buffer.oldest() > 900 && buffer.bytes() <= 4 * 4096,
            "{} {}",
            buffer.oldest(),
            buffer.bytes()
        );
        buffer.shrink();
        assert!(buffer.bytes() <= 2 * 4096, "{}", buffer.bytes());
        let rest = read(&buffer, buffer.oldest() - 1);
        assert_eq!(rest.last(), Some(&event(1000, &texts[999])));
        assert_eq!(rest.len() as u64, 1001 - buffer.oldest());
        assert_eq!(read(&buffer, 1000), []);
    }

    #[test]
    fn too_large_event_is_dropped() {
        let buffer = filled(100, &["x".repeat(200), "y".to_owned()]);
        assert_eq!((buffer.oldest(), read(&buffer, 1)), (2, vec![event(2, "y")]));
    }

    #[test]
    fn long_log_is_read_in_batches() {
        let buffer = filled(1 << 30, &vec!["x".repeat(BATCH_MAX_BYTES / 3); 5]);
        assert_eq!([0, 2, 4].map(|after| read(&buffer, after).len()), [2, 2, 1]);
    }
}
