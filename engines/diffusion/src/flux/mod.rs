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

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

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
    error::PaintError,
    image_io, memory,
    model::{StepReport, restore_outside},
    request::PictureRequest,
    sampler::noise,
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

/// The parts of a picture that don't change from step to step.
struct Canvas {
    schedule: FlowSchedule,
    noise: Tensor,
    /// The latents of the image to change.
    original: Option<Tensor>,
    /// 1 for each latent that may change.
    area: Option<Tensor>,
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
        mut on_step: impl FnMut(&StepReport<'_>),
    ) -> Result<RgbImage, PaintError> {
        let check = || if cancelled.load(Ordering::Relaxed) { Err(PaintError::Cancelled) } else { Ok(()) };
        check()?;
        self.check_memory(request)?;
        let condition = self.condition(&request.prompt)?;
        check()?;
        let canvas = self.prepare(request, index)?;
        let first = match &canvas.original {
            Some(_) => canvas.schedule.first_step(request.strength),
            None => 0,
        };
        let mut latents = match &canvas.original {
            Some(original) => canvas.schedule.add_noise(original, &canvas.noise, first)?,
            None => canvas.noise.clone(),
        };
        let steps = canvas.schedule.steps() - first;
        for step in first..canvas.schedule.steps() {
            check()?;
            let time = canvas.schedule.time(step);
            let direction = self.transformer.predict(&latents, time, request.guidance, &condition)?;
            let (next, finished) = canvas.schedule.step(&latents, &direction, step)?;
            latents = canvas.keep_outside(next, step + 1)?;
            on_step(&StepReport { step: step + 1 - first, steps, finished: &finished, family: self.family });
        }
        check()?;
        let picture = image_io::from_tensor(&self.autoencoder.decode(&latents)?)?;
        restore_outside(picture, request)
    }

    /// Steps that a picture of the request takes.
    pub(crate) fn steps_of(&self, request: &PictureRequest) -> usize {
        let schedule = FlowSchedule::new(request.steps as usize, None);
        match request.image {
            Some(_) => schedule.steps() - schedule.first_step(request.strength),
            None => schedule.steps(),
        }
    }

    /// Number of a text's tokens, with the end.
    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        self.t5_tokenizer.encode(text).map_or(0, |tokens| tokens.len())
    }

    /// Height and width of the latents of a request's pictures.
    fn latent_size(&self, request: &PictureRequest) -> (usize, usize) {
        let factor = self.autoencoder.factor;
        (request.height as usize / factor, request.width as usize / factor)
    }

    /// Tokens of T5 for a prompt.
    fn text_length(&self) -> usize {
        if self.family == ImageFamily::FluxDev { DEV_TOKENS } else { SCHNELL_TOKENS }
    }

    fn check_memory(&self, request: &PictureRequest) -> Result<(), PaintError> {
        let side = 2 * self.autoencoder.factor;
        let fits = |pixels: u32| (pixels as usize).is_multiple_of(side);
        if !fits(request.width) || !fits(request.height) {
            let message = format!("must have sides in multiples of {side} for this model");
            return Err(PaintError::refused("size", message));
        }
        let (height, width) = self.latent_size(request);
        let tokens = self.text_length() + height / 2 * (width / 2);
        let needed = self.transformer.step_bytes(tokens).max(Autoencoder::attention_bytes(height, width));
        let Some(free) = memory::available().filter(|free| self.device.is_cpu() && *free < needed) else {
            return Ok(());
        };
        let message = format!(
            "a picture of {}x{} needs about {} MiB of memory beside this model, and {} MiB are free; ask for a smaller one",
            request.width,
            request.height,
            needed >> 20,
            free >> 20
        );
        Err(PaintError::refused("size", message))
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

    fn prepare(&self, request: &PictureRequest, index: u32) -> Result<Canvas, PaintError> {
        let (height, width) = self.latent_size(request);
        let shape = (1, self.autoencoder.channels, height, width);
        let seed = request.seed.wrapping_add(index.into());
        let shifted_for = (self.family == ImageFamily::FluxDev).then_some(height / 2 * (width / 2));
        let mut canvas = Canvas {
            schedule: FlowSchedule::new(request.steps as usize, shifted_for),
            noise: noise(seed, shape, &self.device)?,
            original: None,
            area: None,
        };
        let Some(image) = &request.image else { return Ok(canvas) };
        let pixels = image_io::resized(image, request.width, request.height);
        canvas.original = Some(self.autoencoder.encode(&image_io::to_tensor(&pixels, &self.device)?)?);
        if let Some(mask) = &request.mask {
            let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
            let area = image_io::changed_area(mask, side(width), side(height))?;
            canvas.area = Some(Tensor::from_vec(area, (1, 1, height, width), &self.device)?);
        }
        Ok(canvas)
    }
}

impl Canvas {
    /// Replaces the latents outside of the area that may change by the original ones, with the noise of `step`.
    fn keep_outside(&self, latents: Tensor, step: usize) -> candle_core::Result<Tensor> {
        let (Some(area), Some(original)) = (&self.area, &self.original) else { return Ok(latents) };
        let outside = self.schedule.add_noise(original, &self.noise, step)?;
        latents.broadcast_mul(area)? + outside.broadcast_mul(&(1.0 - area)?)?
    }
}

#[cfg(test)]
mod tests;
