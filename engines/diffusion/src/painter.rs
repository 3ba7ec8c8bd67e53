//! The thread that makes the pictures, one after another.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use hearth_domain::{FinishReason, ImageFormat, ImageTask, RunId, Task, Usage};
use hearth_wire::{ApiError, ErrorCode, RunEventBody};
use hearth_worker::frames::{Report, Timings};
use tokio::sync::mpsc::Sender;

use crate::{denoise::StepReport, error::PaintError, image_io, model::ImageModel, request::PictureRequest};

/// Bytes of a piece of a file: in base64 and with its names it is an event that every transport takes.
const PIECE_BYTES: usize = 192 << 10;
/// Time between two previews.
const PREVIEW_INTERVAL: Duration = Duration::from_secs(1);
/// Limit of a preview's bytes.
const PREVIEW_MAX_BYTES: usize = 64 << 10;

/// A run for the thread.
#[derive(Debug)]
pub(crate) struct PictureRun {
    pub(crate) run: RunId,
    pub(crate) task: Box<Task>,
    /// Set to stop the run between two steps.
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// Makes the pictures of the runs that come from `inbox`, until its sender is dropped.
pub(crate) fn paint_all(model: &ImageModel, inbox: &mpsc::Receiver<PictureRun>, report: &Sender<Report>) {
    while let Ok(PictureRun { run, task, cancelled }) = inbox.recv() {
        let mut painter = Painter { model, run, cancelled: &cancelled, report, preview_at: None, tokens: 0 };
        let began = Instant::now();
        let painted = catch_unwind(AssertUnwindSafe(|| painter.paint(&task)));
        let usage = Usage { prompt_tokens: painter.tokens, ..Usage::default() };
        let timings = Timings { prefilled: painter.tokens, decode: began.elapsed(), ..Timings::default() };
        let finished = |reason| Report::Finished { run, reason, usage, timings };
        let last = match painted {
            Ok(Ok(())) => finished(FinishReason::Stop),
            Ok(Err(PaintError::Cancelled)) => finished(FinishReason::Cancelled),
            Ok(Err(error)) => Report::Failed { run, error: error.into_api_error() },
            Err(_) => {
                let message = "the engine failed while it computed the picture; the node's log has details";
                Report::Failed { run, error: ApiError::new(ErrorCode::ProviderError, message) }
            }
        };
        let _ = report.blocking_send(last);
    }
}

struct Painter<'a> {
    model: &'a ImageModel,
    run: RunId,
    cancelled: &'a AtomicBool,
    report: &'a Sender<Report>,
    /// Time of the last preview.
    preview_at: Option<Instant>,
    /// Tokens of the prompts.
    tokens: u32,
}

impl Painter<'_> {
    fn paint(&mut self, task: &Task) -> Result<(), PaintError> {
        let Task::Image(task) = task else {
            return Err(PaintError::refused("model", "the model makes images"));
        };
        let request = self.read(task)?;
        self.send(RunEventBody::Started { prompt_tokens: self.tokens });
        let (model, cancelled) = (self.model, self.cancelled);
        let each = model.steps_of(&request);
        let steps = count(each * request.count as usize);
        for index in 0..request.count {
            let before = each * index as usize;
            let picture = model.paint(&request, index, cancelled, |report| {
                self.preview_at = self.report_step(report, before, steps);
            })?;
            self.send_file(index, &image_io::encode(&picture, request.format)?);
        }
        Ok(())
    }

    fn read(&mut self, task: &ImageTask) -> Result<PictureRequest, PaintError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(PaintError::Cancelled);
        }
        let request = PictureRequest::new(task, self.model.family())?;
        let negative = Some(&request.negative_prompt).filter(|text| !text.is_empty());
        let texts = [Some(&request.prompt), negative];
        self.tokens = count(texts.into_iter().flatten().map(|text| self.model.count_tokens(text)).sum());
        Ok(request)
    }

    /// Reports a step, with a preview if the last one is old enough. Returns the time of the last preview.
    fn report_step(&self, report: &StepReport<'_>, before: usize, steps: u32) -> Option<Instant> {
        let is_due =
            self.preview_at.is_none_or(|at| at.elapsed() >= PREVIEW_INTERVAL) && report.step < report.steps;
        // A picture without a preview is as good.
        let preview =
            is_due.then(|| image_io::encode(&report.preview().ok()?, ImageFormat::Png).ok()).flatten();
        let preview = preview.filter(|preview| preview.len() <= PREVIEW_MAX_BYTES).unwrap_or_default();
        let at = if preview.is_empty() { self.preview_at } else { Some(Instant::now()) };
        self.send(RunEventBody::Progress { step: count(before + report.step), steps, preview });
        at
    }

    fn send_file(&self, index: u32, file: &[u8]) {
        let mut pieces = file.chunks(PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            self.send(RunEventBody::FilePart { index, bytes: piece.to_vec(), last });
        }
    }

    fn send(&self, event: RunEventBody) {
        // It waits for a supervisor that reads slowly. An error means that it has hung up, which ends the process.
        let _ = self.report.blocking_send(Report::Event { run: self.run, event });
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
