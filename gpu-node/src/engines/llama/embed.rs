//! Embeddings: each batch takes texts of several runs, and gives a vector for each.

use std::{collections::VecDeque, sync::mpsc::Receiver, time::Instant};

use hearth_domain::{FinishReason, RunId, Usage};
use hearth_wire::RunEventBody;
use llama_cpp_2::{context::LlamaContext, llama_batch::LlamaBatch, token::LlamaToken};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    load::{EMBEDDINGS_AT_ONCE, fault},
    thread::{Wait, Work, receive},
};
use crate::frames::{Report, Timings};

/// A run that wants vectors.
pub(super) struct EmbedJob {
    run: RunId,
    /// Texts that aren't embedded yet, with their places in the request.
    inputs: VecDeque<(u32, Vec<LlamaToken>)>,
    dimensions: Option<usize>,
    tokens: u32,
    began: Option<Instant>,
}

impl EmbedJob {
    pub(super) fn new(run: RunId, inputs: Vec<Vec<LlamaToken>>, dimensions: Option<u32>) -> Self {
        let tokens = inputs.iter().map(Vec::len).sum::<usize>();
        let dimensions = dimensions.map(|n| n as usize);
        Self {
            run,
            inputs: (0..).zip(inputs).collect(),
            dimensions,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            began: None,
        }
    }

    fn usage(&self) -> Usage {
        Usage { prompt_tokens: self.tokens, ..Usage::default() }
    }
}

/// Embeds until the process ends. `batch_tokens` is what the context takes at once.
pub(super) fn run(
    context: &mut LlamaContext<'_>,
    batch_tokens: usize,
    work: &Receiver<Work>,
    reports: &UnboundedSender<Report>,
) {
    let mut batch = LlamaBatch::new(batch_tokens, 1);
    let mut embedder = Embedder { jobs: VecDeque::new(), reports: reports.clone(), batch_tokens };
    while embedder.drain(work) {
        let texts = embedder.fill(&mut batch);
        match context.decode(&mut batch) {
            Ok(()) => embedder.give(context, texts),
            Err(error) => embedder.fail(&texts, &error.to_string()),
        }
        context.clear_kv_cache();
    }
}

struct Embedder {
    /// The first one's turn is next.
    jobs: VecDeque<EmbedJob>,
    reports: UnboundedSender<Report>,
    batch_tokens: usize,
}

/// A text in the batch; its sequence is its place.
struct Text {
    run: RunId,
    index: u32,
    dimensions: Option<usize>,
}

impl Embedder {
    /// Takes in what came; false when nothing can come.
    fn drain(&mut self, work: &Receiver<Work>) -> bool {
        loop {
            let wait = if self.jobs.is_empty() { Wait::Forever } else { Wait::No };
            match receive(work, wait) {
                Ok(Some(Work::Embed(mut job))) => {
                    job.began = Some(Instant::now());
                    let started = RunEventBody::Started { prompt_tokens: job.tokens };
                    self.report(Report::Event { run: job.run, event: started });
                    self.jobs.push_back(job);
                }
                Ok(Some(Work::Cancel(run))) => {
                    if let Some(place) = self.jobs.iter().position(|job| job.run == run)
                        && let Some(job) = self.jobs.remove(place)
                    {
                        self.finish(&job, FinishReason::Cancelled);
                    }
                }
                Ok(Some(Work::Checked(_) | Work::Wake | Work::Stop)) => {}
                Ok(Some(Work::Admit(admission))) => {
                    let error = fault(admission.run, "the model gives embeddings only");
                    self.report(Report::Failed { run: admission.run, error });
                }
                Ok(None) if self.jobs.is_empty() => {}
                Ok(None) => return true,
                Err(()) => return false,
            }
        }
    }

    /// Fills the batch with texts, one of each run after another, so that a long list delays nobody.
    fn fill(&mut self, batch: &mut LlamaBatch<'_>) -> Vec<Text> {
        batch.clear();
        let (mut texts, mut room) = (Vec::new(), self.batch_tokens);
        let mut passed = 0;
        while texts.len() < EMBEDDINGS_AT_ONCE as usize
            && passed < self.jobs.len()
            && let Some(mut job) = self.jobs.pop_front()
        {
            if let Some((index, tokens)) = job.inputs.pop_front_if(|(_, tokens)| tokens.len() <= room) {
                room -= tokens.len();
                // There are fewer texts than sequences, and the tokens fit: adding can't fail.
                let sequence = i32::try_from(texts.len()).unwrap_or(i32::MAX);
                for (token, position) in tokens.into_iter().zip(0..) {
                    let _ = batch.add(token, position, &[sequence], true);
                }
                texts.push(Text { run: job.run, index, dimensions: job.dimensions });
                passed = 0;
            } else {
                passed += 1;
            }
            self.jobs.push_back(job);
        }
        texts
    }

    fn give(&mut self, context: &LlamaContext<'_>, texts: Vec<Text>) {
        for (text, sequence) in texts.into_iter().zip(0..) {
            match context.embeddings_seq_ith(sequence) {
                Ok(vector) => {
                    let vector = normalised(vector, text.dimensions);
                    let event = RunEventBody::Embedding { index: text.index, vector };
                    self.report(Report::Event { run: text.run, event });
                }
                Err(error) => self.fail(&[text], &error.to_string()),
            }
        }
        let done = |job: &EmbedJob| job.inputs.is_empty();
        while let Some(place) = self.jobs.iter().position(done)
            && let Some(job) = self.jobs.remove(place)
        {
            self.finish(&job, FinishReason::Stop);
        }
    }

    fn finish(&self, job: &EmbedJob, reason: FinishReason) {
        let prefill = job.began.map(|began| began.elapsed()).unwrap_or_default();
        let timings = Timings { prefilled: job.tokens, prefill, ..Timings::default() };
        self.report(Report::Finished { run: job.run, reason, usage: job.usage(), timings });
    }

    fn fail(&mut self, texts: &[Text], why: &str) {
        for text in texts {
            if let Some(place) = self.jobs.iter().position(|job| job.run == text.run) {
                self.jobs.remove(place);
                self.report(Report::Failed { run: text.run, error: fault(text.run, why) });
            }
        }
    }

    fn report(&self, report: Report) {
        // The other end is gone only when the process is about to end.
        let _ = self.reports.send(report);
    }
}

/// The vector's first `dimensions` numbers, scaled to length 1.
fn normalised(vector: &[f32], dimensions: Option<usize>) -> Vec<f32> {
    let vector = &vector[..dimensions.unwrap_or(vector.len()).min(vector.len())];
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 { vector.iter().map(|number| number / length).collect() } else { vector.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn a_vector_has_length_one_at_any_dimension() {
        assert_eq!(normalised(&[3.0, 4.0], None), [0.6, 0.8]);
        assert_eq!(normalised(&[3.0, 4.0, 12.0], Some(2)), [0.6, 0.8]);
        assert_eq!(normalised(&[0.0, 0.0], None), [0.0, 0.0]);
    }
}
