//! The stages of a request, and the time that it spends in each, as a metric.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use metrics::Histogram;

/// A stage of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The token is looked up.
    Authenticate,
    /// The cache is searched, or the answer to an identical request awaited.
    Cache,
    /// The request is resolved to candidates.
    Resolve,
    /// An answer in one piece, from the request to a node or a provider to its end. Of a streamed one, in place of this:
    Answer,
    /// A node's run waits for its model and its slot.
    Queue,
    /// From the request to a provider, or a node's slot, to the first piece of the answer.
    FirstByte,
    /// From the first piece of the answer to its end.
    Stream,
    /// The record's end is written. At home few responses wait for that.
    Record,
}

/// The stages' names, in the order of the variants.
const NAMES: [&str; 8] =
    ["authenticate", "cache", "resolve", "answer", "queue", "first_byte", "stream", "record"];

/// Made at the first request, when the recorder of metrics is installed.
static SECONDS: LazyLock<[Histogram; 8]> =
    LazyLock::new(|| NAMES.map(|stage| metrics::histogram!("hearth_stage_seconds", "stage" => stage)));

impl Stage {
    /// Records the time of one request in this stage.
    pub(crate) fn record(self, took: Duration) {
        SECONDS[self as usize].record(took);
    }

    /// Records the time of `work` in this stage.
    pub(crate) async fn measure<T>(self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let result = work.await;
        self.record(began.elapsed());
        result
    }
}
