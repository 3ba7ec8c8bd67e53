//! The progress of a batch on the terminal.

use hearth_domain::BatchState;
use hearth_wire::openai::batches::BatchBody;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; it is hidden where that isn't a terminal.
#[derive(Debug)]
pub(super) struct BatchProgress(ProgressBar);

impl BatchProgress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows the state and the requests with a result.
    pub(super) fn show(&self, batch: &BatchBody) {
        let counts = batch.request_counts;
        self.0.set_length(counts.total);
        self.0.set_position(counts.completed + counts.failed);
        self.0.set_message(message(batch));
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn message(batch: &BatchBody) -> String {
    let state = match batch.status {
        BatchState::InProgress => "in progress",
        state => state.as_str(),
    };
    let waits = batch.waits_for.as_ref().map(|reason| format!(", waits for {reason}"));
    let failed = match batch.request_counts.failed {
        0 => String::new(),
        count => format!(", {count} failed"),
    };
    format!("{state}{}{failed}", waits.unwrap_or_default())
}
