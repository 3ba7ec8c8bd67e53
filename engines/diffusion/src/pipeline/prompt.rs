//! The text of a prompt as a condition.

use candle_core::{D, Tensor};
use hearth_worker::checkpoint::ImageFamily;

use super::Pipeline;
use crate::{error::PaintError, unet::Condition};

/// Windows of a prompt's tokens: as the model was trained with one, more of them weigh less each.
const WINDOWS_MAX_COUNT: usize = 8;

impl Pipeline {
    /// Number of a text's tokens, with start and end of each window.
    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        self.windows(text).iter().map(|(_, end)| end + 1).sum()
    }

    /// A text as a condition.
    pub(super) fn condition(&self, field: &str, text: &str) -> Result<Condition, PaintError> {
        let windows = self.windows(text);
        if windows.len() > WINDOWS_MAX_COUNT {
            let tokens = WINDOWS_MAX_COUNT * (self.window_length() - 2);
            return Err(PaintError::refused(
                field,
                format!("is longer than the {tokens} tokens that the model reads"),
            ));
        }
        let (mut contexts, mut pooled) = (Vec::new(), None);
        for (tokens, end) in &windows {
            let mut outputs = Vec::new();
            for (index, encoder) in self.encoders.iter().enumerate() {
                let encoded = encoder.encode(&self.padded(tokens, index), *end)?;
                outputs.push(if self.family == ImageFamily::Sdxl {
                    encoded.penultimate
                } else {
                    encoded.last
                });
                pooled = pooled.or(encoded.pooled);
            }
            contexts.push(Tensor::cat(&outputs, D::Minus1)?);
        }
        let pooled = pooled.filter(|_| self.unet.has_addition());
        Ok(Condition { context: Tensor::cat(&contexts, 1)?, pooled })
    }

    /// The condition that the guidance leads away from.
    pub(super) fn opposite(&self, negative: &str, condition: &Condition) -> Result<Condition, PaintError> {
        if self.family == ImageFamily::Sdxl && negative.trim().is_empty() {
            // As the model was trained (`force_zeros_for_empty_prompt`).
            let context = condition.context.zeros_like()?;
            let pooled = condition.pooled.as_ref().map(Tensor::zeros_like).transpose()?;
            return Ok(Condition { context, pooled });
        }
        self.condition("negative_prompt", negative)
    }

    fn window_length(&self) -> usize {
        self.encoders.first().map_or(3, |encoder| encoder.length)
    }

    /// The tokens of a text in windows with start and end, and the index of each end.
    fn windows(&self, text: &str) -> Vec<(Vec<u32>, usize)> {
        let tokens = self.tokenizer.encode(text);
        let room = self.window_length() - 2;
        let mut chunks: Vec<&[u32]> = tokens.chunks(room).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        let window = |chunk: &[u32]| {
            let mut window = vec![self.tokenizer.start];
            window.extend(chunk);
            window.push(self.tokenizer.end);
            let end = window.len() - 1;
            (window, end)
        };
        chunks.into_iter().map(window).collect()
    }

    /// A window in the length of the encoders. OpenAI's encoder is padded with ends, OpenCLIP's with the first token.
    fn padded(&self, window: &[u32], encoder: usize) -> Vec<u32> {
        let is_open_clip = self.family == ImageFamily::Sd2 || encoder > 0;
        let mut window = window.to_vec();
        window.resize(self.window_length(), if is_open_clip { 0 } else { self.tokenizer.end });
        window
    }
}
