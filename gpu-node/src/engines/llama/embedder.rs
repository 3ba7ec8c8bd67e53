//! The engine of an embedding model: each batch takes texts of several runs, and yields a vector for each text.

use std::{collections::VecDeque, sync::mpsc::Receiver, time::Instant};

use hearth_domain::{FinishReason, RunId};
use hearth_wire::RunEventBody;
use llama_cpp_2::{context::LlamaContext, llama_batch::LlamaBatch};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    errors::engine_failure,
    load::EMBEDDING_BATCH_MAX_TEXTS,
    work::{EmbedJob, Wait, Work, receive},
};
use crate::frames::{Report, Timings};

/// Computes embeddings until the process is to end. The context takes `batch_tokens` tokens at once.
pub(super) fn run(
    context: &mut LlamaContext<'_>,
    batch_tokens: usize,
    work: &Receiver<Work>,
    reports: &UnboundedSender<Report>,
) {
    let mut batch = LlamaBatch::new(batch_tokens, 1);
    let mut embedder = Embedder { jobs: VecDeque::new(), reports: reports.clone(), batch_tokens };
    while embedder.receive_all(work) {
        let texts = embedder.fill_batch(&mut batch);
        match context.decode(&mut batch) {
            Ok(()) => embedder.report_vectors(context, texts),
            Err(error) => embedder.fail(&texts, &error.to_string()),
        }
        context.clear_kv_cache();
    }
}

struct Embedder {
    /// Jobs in round-robin order.
    jobs: VecDeque<EmbedJob>,
    reports: UnboundedSender<Report>,
    batch_tokens: usize,
}

/// A text in the batch. Its index in the batch is its sequence.
struct BatchText {
    run: RunId,
    /// Index of the text in its request.
    index: u32,
    dimensions: Option<usize>,
}

impl Embedder {
    /// Handles all work that has come, and waits for some if there is no job. Returns false when no more can come.
    fn receive_all(&mut self, work: &Receiver<Work>) -> bool {
        loop {
            let wait = if self.jobs.is_empty() { Wait::Forever } else { Wait::No };
            match receive(work, wait) {
                Ok(Some(Work::Embed(mut job))) => {
                    job.started_at = Some(Instant::now());
                    let started = RunEventBody::Started { prompt_tokens: job.tokens };
                    self.report(Report::Event { run: job.run, event: started });
                    self.jobs.push_back(job);
                }
                Ok(Some(Work::Cancel(run))) => {
                    if let Some(index) = self.jobs.iter().position(|job| job.run == run)
                        && let Some(job) = self.jobs.remove(index)
                    {
                        self.finish(&job, FinishReason::Cancelled);
                    }
                }
                Ok(Some(Work::Checked(_) | Work::Wake | Work::Stop)) => {}
                Ok(Some(Work::Admit(prepared))) => {
                    let error = engine_failure(prepared.run, "the model computes embeddings only");
                    self.report(Report::Failed { run: prepared.run, error });
                }
                Ok(None) if self.jobs.is_empty() => {}
                Ok(None) => return true,
                Err(()) => return false,
            }
        }
    }

    /// Fills the batch with one text of each job in turn, so that a job with many texts delays no other.
    fn fill_batch(&mut self, batch: &mut LlamaBatch<'_>) -> Vec<BatchText> {
        batch.clear();
        let (mut texts, mut room) = (Vec::new(), self.batch_tokens);
        let mut skipped = 0;
        while texts.len() < EMBEDDING_BATCH_MAX_TEXTS as usize
            && skipped < self.jobs.len()
            && let Some(mut job) = self.jobs.pop_front()
        {
            if let Some((index, tokens)) = job.inputs.pop_front_if(|(_, tokens)| tokens.len() <= room) {
                room -= tokens.len();
                // There are fewer texts than sequences, and the tokens fit: adding can't fail.
                let sequence = i32::try_from(texts.len()).unwrap_or(i32::MAX);
                for (token, position) in tokens.into_iter().zip(0..) {
                    let _ = batch.add(token, position, &[sequence], true);
                }
                texts.push(BatchText { run: job.run, index, dimensions: job.dimensions });
                skipped = 0;
            } else {
                skipped += 1;
            }
            self.jobs.push_back(job);
        }
        texts
    }

    /// Reports the vectors of a computed batch, and finishes the jobs without texts left.
    fn report_vectors(&mut self, context: &LlamaContext<'_>, texts: Vec<BatchText>) {
        for (text, sequence) in texts.into_iter().zip(0..) {
            match context.embeddings_seq_ith(sequence) {
                Ok(vector) => {
                    let vector = normalized(vector, text.dimensions);
                    let event = RunEventBody::Embedding { index: text.index, vector };
                    self.report(Report::Event { run: text.run, event });
                }
                Err(error) => self.fail(&[text], &error.to_string()),
            }
        }
        let is_done = |job: &EmbedJob| job.inputs.is_empty();
        while let Some(index) = self.jobs.iter().position(is_done)
            && let Some(job) = self.jobs.remove(index)
        {
            self.finish(&job, FinishReason::Stop);
        }
    }

    fn finish(&self, job: &EmbedJob, reason: FinishReason) {
        let prefill = job.started_at.map(|at| at.elapsed()).unwrap_or_default();
        let timings = Timings { prefilled: job.tokens, prefill, ..Timings::default() };
        self.report(Report::Finished { run: job.run, reason, usage: job.usage(), timings });
    }

    /// Fails the jobs of these texts.
    fn fail(&mut self, texts: &[BatchText], reason: &str) {
        for text in texts {
            if let Some(index) = self.jobs.iter().position(|job| job.run == text.run) {
                self.jobs.remove(index);
                self.report(Report::Failed { run: text.run, error: engine_failure(text.run, reason) });
            }
        }
    }

    fn report(&self, report: Report) {
        // The receiver is gone only when the process is about to end.
        let _ = self.reports.send(report);
    }
}

/// The vector's first `dimensions` numbers, scaled to length 1.
fn normalized(vector: &[f32], dimensions: Option<usize>) -> Vec<f32> {
    let vector = &vector[..dimensions.unwrap_or(vector.len()).min(vector.len())];
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 { vector.iter().map(|number| number / length).collect() } else { vector.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn vector_has_length_one_at_any_dimension() {
        assert_eq!(normalized(&[3.0, 4.0], None), [0.6, 0.8]);
        assert_eq!(normalized(&[3.0, 4.0, 12.0], Some(2)), [0.6, 0.8]);
        assert_eq!(normalized(&[0.0, 0.0], None), [0.0, 0.0]);
    }
}
