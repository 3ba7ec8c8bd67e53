//! A loaded model of Stable Diffusion: from a prompt to a picture.

mod load;
mod prompt;

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{DType, Device, Tensor};
use hearth_worker::checkpoint::ImageFamily;
use image::RgbImage;

use crate::{
    autoencoder::Autoencoder,
    error::PaintError,
    image_io, memory,
    model::{StepReport, restore_outside},
    request::PictureRequest,
    sampler::{Sampler, noise},
    settings::ScheduleSettings,
    text_encoder::TextEncoder,
    tokenizer::Tokenizer,
    unet::{Condition, Unet},
};

/// A loaded model of Stable Diffusion.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) family: ImageFamily,
    tokenizer: Tokenizer,
    encoders: Vec<TextEncoder>,
    unet: Unet,
    autoencoder: Autoencoder,
    schedule: ScheduleSettings,
    device: Device,
}

/// The parts of a picture that don't change from step to step.
struct Canvas {
    condition: Condition,
    /// The condition that the guidance leads away from; none without guidance.
    opposite: Option<Condition>,
    sampler: Sampler,
    noise: Tensor,
    /// The latents of the image to change.
    original: Option<Tensor>,
    /// 1 for each latent that may change.
    area: Option<Tensor>,
    /// Further channels of a network for masks: the area, and the latents of the image without it.
    masked: Option<Tensor>,
    size: (usize, usize),
}

impl Pipeline {
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
        let canvas = self.prepare(request, index)?;
        let first = match &canvas.original {
            Some(_) => canvas.sampler.first_step(request.strength),
            None => 0,
        };
        let mut latents = match &canvas.original {
            Some(original) => canvas.sampler.add_noise(original, &canvas.noise, first)?,
            None => canvas.sampler.initial(&canvas.noise)?,
        };
        let steps = canvas.sampler.steps() - first;
        for step in first..canvas.sampler.steps() {
            check()?;
            let predicted = self.predict(&canvas, &latents, request.guidance, step)?;
            let (next, finished) = canvas.sampler.step(&latents, &predicted, step)?;
            latents = canvas.keep_outside(next, step + 1)?;
            on_step(&StepReport { step: step + 1 - first, steps, finished: &finished, family: self.family });
        }
        check()?;
        let picture = image_io::from_tensor(&self.autoencoder.decode(&latents)?)?;
        restore_outside(picture, request)
    }

    /// Steps that a picture of the request takes.
    pub(crate) fn steps_of(&self, request: &PictureRequest) -> usize {
        let sampler = Sampler::new(&self.schedule, request.steps as usize);
        match request.image {
            Some(_) => sampler.steps() - sampler.first_step(request.strength),
            None => sampler.steps(),
        }
    }

    fn prepare(&self, request: &PictureRequest, index: u32) -> Result<Canvas, PaintError> {
        let (width, height) = (request.width as usize, request.height as usize);
        let factor = self.autoencoder.factor;
        if width % factor != 0 || height % factor != 0 {
            return Err(PaintError::refused(
                "size",
                format!("must have sides in multiples of {factor} for this model"),
            ));
        }
        let needed = self.unet.attention_bytes(height / factor, width / factor);
        if let Some(free) = memory::available().filter(|free| self.device.is_cpu() && *free < needed) {
            let message = format!(
                "a picture of {width}x{height} needs about {} MiB of memory for each step with this model, and {} MiB are free; \
                 ask for a smaller one",
                needed >> 20,
                free >> 20
            );
            return Err(PaintError::refused("size", message));
        }
        let condition = self.condition("prompt", &request.prompt)?;
        let opposite = (request.guidance > 1.0)
            .then(|| self.opposite(&request.negative_prompt, &condition))
            .transpose()?;
        let shape = (1, 4, height / factor, width / factor);
        let seed = request.seed.wrapping_add(index.into());
        let mut canvas = Canvas {
            condition,
            opposite,
            sampler: Sampler::new(&self.schedule, request.steps as usize),
            noise: noise(seed, shape, &self.device)?,
            original: None,
            area: None,
            masked: None,
            size: (height, width),
        };
        self.add_image(&mut canvas, request, shape)?;
        Ok(canvas)
    }

    /// Adds the image to change, and the mask.
    fn add_image(
        &self,
        canvas: &mut Canvas,
        request: &PictureRequest,
        shape: (usize, usize, usize, usize),
    ) -> Result<(), PaintError> {
        let takes_masks = self.unet.in_channels() == 9;
        let Some(image) = &request.image else {
            if takes_masks {
                // Everything may change.
                let area = Tensor::ones((1, 1, shape.2, shape.3), DType::F32, &self.device)?;
                let grey = RgbImage::from_pixel(request.width, request.height, image::Rgb([128; 3]));
                let latents = self.autoencoder.encode(&image_io::to_tensor(&grey, &self.device)?)?;
                canvas.masked = Some(Tensor::cat(&[area, latents], 1)?);
            }
            return Ok(());
        };
        let mut pixels = image_io::resized(image, request.width, request.height);
        canvas.original = Some(self.autoencoder.encode(&image_io::to_tensor(&pixels, &self.device)?)?);
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let area = match &request.mask {
            Some(mask) => image_io::changed_area(mask, side(shape.3), side(shape.2))?,
            None => vec![1.0; shape.2 * shape.3],
        };
        let area = Tensor::from_vec(area, (1, 1, shape.2, shape.3), &self.device)?;
        if takes_masks {
            if let Some(mask) = &request.mask {
                blank(&mut pixels, &image_io::changed_area(mask, request.width, request.height)?);
            }
            let latents = self.autoencoder.encode(&image_io::to_tensor(&pixels, &self.device)?)?;
            canvas.masked = Some(Tensor::cat(&[&area, &latents], 1)?);
        }
        canvas.area = request.mask.is_some().then_some(area);
        Ok(())
    }

    fn predict(
        &self,
        canvas: &Canvas,
        latents: &Tensor,
        guidance: f64,
        step: usize,
    ) -> Result<Tensor, PaintError> {
        let time = canvas.sampler.time(step);
        let mut input = canvas.sampler.scaled(latents, step)?;
        if let Some(masked) = &canvas.masked {
            input = Tensor::cat(&[&input, masked], 1)?;
        }
        let wanted = self.unet.predict(&input, time, &canvas.condition, canvas.size)?;
        let Some(opposite) = &canvas.opposite else { return Ok(wanted) };
        let unwanted = self.unet.predict(&input, time, opposite, canvas.size)?;
        Ok((&unwanted + ((wanted - &unwanted)? * guidance)?)?)
    }
}

impl Canvas {
    /// Replaces the latents outside of the area that may change by the original ones, with the noise of `step`.
    fn keep_outside(&self, latents: Tensor, step: usize) -> candle_core::Result<Tensor> {
        let (Some(area), Some(original)) = (&self.area, &self.original) else { return Ok(latents) };
        let outside = self.sampler.add_noise(original, &self.noise, step)?;
        latents.broadcast_mul(area)? + outside.broadcast_mul(&(1.0 - area)?)?
    }
}

/// Makes the changed area of an image grey.
fn blank(pixels: &mut RgbImage, area: &[f32]) {
    for (pixel, changes) in pixels.pixels_mut().zip(area) {
        if *changes > 0.0 {
            pixel.0 = [128; 3];
        }
    }
}

#[cfg(test)]
mod tests;
