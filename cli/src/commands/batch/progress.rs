//! The progress of a batch on the terminal.

use indicatif::{ProgressBar, ProgressStyle};

use super::any_batch::AnyBatch;

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
    pub(super) fn show(&self, batch: &AnyBatch) {
        let counts = batch.counts();
        self.0.set_length(counts.total);
        self.0.set_position(counts.answered + counts.failed);
        self.0.set_message(message(batch));
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn message(batch: &AnyBatch) -> String {
    let state = batch.state().replace('_', " ");
    let waits = batch.waits_for().map(|reason| format!(", waits for {reason}"));
    let failed = match batch.counts().failed {
        0 => String::new(),
        count => format!(", {count} failed"),
    };
    format!("{state}{}{failed}", waits.unwrap_or_default())
}
