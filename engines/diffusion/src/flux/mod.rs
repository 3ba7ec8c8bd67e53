//! FLUX.1 (Black Forest Labs): a transformer that makes a picture of noise by flow matching, with T5 and CLIP for the prompt.
//!
//! ```text
//! t5_tokenizer.rs, t5.rs ─▶ transformer.rs, blocks.rs, attention.rs ─▶ schedule.rs
//! ```
//!
//! [`part_file`] reads the tensors of a network's file, GGUF or safetensors, and [`matrix`] multiplies with quantised ones as they
//! are.

mod attention;
mod blocks;
mod load;
mod matrix;
mod part_file;
mod schedule;
mod settings;
mod t5;
mod t5_tokenizer;
mod transformer;

use std::sync::{Mutex, PoisonError, atomic::AtomicBool};

use candle_core::{DType, Device, IndexOp as _, Tensor};
use hearth_worker::checkpoint::ImageFamily;
use image::RgbImage;

use self::{
    schedule::FlowSchedule,
    t5::T5Encoder,
    t5_tokenizer::T5Tokenizer,
    transformer::{FluxCondition, Transformer},
};
use crate::{
    autoencoder::Autoencoder,
    denoise::{Canvas, Schedule as _, StepReport, check_cancelled},
    error::PaintError,
    memory,
    request::PictureRequest,
    text_encoder::TextEncoder,
    tokenizer::Tokenizer,
};

/// Tokens of T5 that the models were trained with.
const SCHNELL_TOKENS: usize = 256;
const DEV_TOKENS: usize = 512;

/// A loaded FLUX.1 model.
#[derive(Debug)]
pub(crate) struct FluxPipeline {
    pub(crate) family: ImageFamily,
    clip_tokenizer: Tokenizer,
    clip: TextEncoder,
    t5_tokenizer: T5Tokenizer,
    t5: T5Encoder,
    transformer: Transformer,
    autoencoder: Autoencoder,
    device: Device,
    /// The last prompt and its condition: the pictures of a request have the same one.
    last_condition: Mutex<Option<(String, FluxCondition)>>,
}

impl FluxPipeline {
    /// Makes the picture `index` of a request. `on_step` is called after each step.
    ///
    /// # Errors
    /// If the request can't be obeyed, the computation fails, or `cancelled` is set between two steps.
    pub(crate) fn paint(
        &self,
        request: &PictureRequest,
        index: u32,
        cancelled: &AtomicBool,
        on_step: impl FnMut(&StepReport<'_>),
    ) -> Result<RgbImage, PaintError> {
        check_cancelled(cancelled)?;
        self.check_room(request)?;
        let condition = self.condition(&request.prompt)?;
        check_cancelled(cancelled)?;
        let shifted_for = (self.family == ImageFamily::FluxDev).then_some(self.patches(request));
        let schedule = FlowSchedule::new(request.steps as usize, shifted_for);
        let canvas = Canvas::new(request, index, schedule, &self.autoencoder, &self.device)?;
        let predict = |schedule: &FlowSchedule, latents: &Tensor, step| {
            self.transformer.predict(latents, schedule.time(step), request.guidance, &condition)
        };
        canvas.paint(self.family, cancelled, predict, on_step)
    }

    /// Steps that a picture of the request takes.
    pub(crate) fn steps_of(&self, request: &PictureRequest) -> usize {
        FlowSchedule::new(request.steps as usize, None).steps_of(request)
    }

    /// Number of a text's tokens, with the end.
    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        self.t5_tokenizer.encode(text).map_or(0, |tokens| tokens.len())
    }

    /// Number of patches of a request's pictures, of two latents a side.
    fn patches(&self, request: &PictureRequest) -> usize {
        let (height, width) = self.autoencoder.latent_size(request.width, request.height);
        height / 2 * (width / 2)
    }

    /// Tokens of T5 for a prompt.
    fn text_length(&self) -> usize {
        if self.family == ImageFamily::FluxDev { DEV_TOKENS } else { SCHNELL_TOKENS }
    }

    /// Refuses pictures of a size that the model can't make.
    fn check_room(&self, request: &PictureRequest) -> Result<(), PaintError> {
        request.check_sides(2 * self.autoencoder.factor)?;
        let (height, width) = self.autoencoder.latent_size(request.width, request.height);
        let tokens = self.text_length() + self.patches(request);
        let needed = self.transformer.step_bytes(tokens).max(Autoencoder::attention_bytes(height, width));
        memory::check(request, needed, &self.device)
    }

    /// A prompt as a condition.
    fn condition(&self, prompt: &str) -> Result<FluxCondition, PaintError> {
        let mut last = self.last_condition.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((text, condition)) = &*last
            && text == prompt
        {
            return Ok(condition.clone());
        }
        let (tokens, length) = (self.t5_tokenizer.encode(prompt)?, self.text_length());
        if tokens.len() > length {
            let message = format!("is longer than the {length} tokens that the model reads");
            return Err(PaintError::refused("prompt", message));
        }
        // As the models were trained: the encoder and the transformer read the padding too.
        let context = self.t5.encode(&self.t5_tokenizer.padded(tokens, length))?;
        let condition = FluxCondition { context, pooled: self.pooled(prompt)? };
        *last = Some((prompt.to_owned(), condition.clone()));
        Ok(condition)
    }

    /// The text as one vector: CLIP's output at the end of the first window of tokens. The rest is for T5 alone.
    fn pooled(&self, prompt: &str) -> candle_core::Result<Tensor> {
        let mut window = vec![self.clip_tokenizer.start];
        window.extend(self.clip_tokenizer.encode(prompt).into_iter().take(self.clip.length - 2));
        let end = window.len();
        window.resize(self.clip.length, self.clip_tokenizer.end);
        self.clip.encode(&window, end)?.last.i((.., end, ..))?.to_dtype(DType::F32)
    }
}

#[cfg(test)]
mod tests;
