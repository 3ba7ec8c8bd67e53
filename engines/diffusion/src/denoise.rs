//! The way from noise to a picture, for every family of models: the steps, an image to change, a mask, cancellation and previews.
//!
//! A [`Schedule`] has the noise of each step, and the family's network predicts the noise that is left.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Result, Tensor};
use hearth_worker::checkpoint::ImageFamily;
use image::RgbImage;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{autoencoder::Autoencoder, error::PaintError, image_io, preview, request::PictureRequest};

/// The steps from noise to a picture, and the noise before each of them.
pub(crate) trait Schedule {
    /// Number of steps.
    fn steps(&self) -> usize;

    /// Noise, as the first step takes it.
    ///
    /// # Errors
    /// If the computation fails.
    fn initial(&self, noise: &Tensor) -> Result<Tensor>;

    /// Latents with the noise that they have before `step`; behind the last step, none.
    ///
    /// # Errors
    /// If the computation fails.
    fn add_noise(&self, latents: &Tensor, noise: &Tensor, step: usize) -> Result<Tensor>;

    /// Makes a step with the network's prediction; returns the latents after it, and those of the finished picture as far as they
    /// can be predicted now.
    ///
    /// # Errors
    /// If the computation fails.
    fn step(&self, latents: &Tensor, predicted: &Tensor, step: usize) -> Result<(Tensor, Tensor)>;

    /// The first step for a picture that is changed by `strength`, 0 to 1: all steps for 1, and at least the last.
    fn first_step(&self, strength: f64) -> usize {
        let steps = (self.steps() as f64 * strength).floor() as usize;
        self.steps() - steps.clamp(1, self.steps())
    }

    /// The first step of a request's pictures.
    fn first_step_of(&self, request: &PictureRequest) -> usize {
        match request.image {
            Some(_) => self.first_step(request.strength),
            None => 0,
        }
    }

    /// Steps that a picture of the request takes.
    fn steps_of(&self, request: &PictureRequest) -> usize {
        self.steps() - self.first_step_of(request)
    }
}

/// A picture that is being made: the parts that don't change from step to step.
pub(crate) struct Canvas<'a, S> {
    request: &'a PictureRequest,
    autoencoder: &'a Autoencoder,
    schedule: S,
    noise: Tensor,
    /// The latents of the image to change.
    original: Option<Tensor>,
    /// 1 for each latent that may change; none if all may.
    area: Option<Tensor>,
}

/// A step of a picture.
pub(crate) struct StepReport<'a> {
    /// Number of the step in this picture, from 1.
    pub(crate) step: usize,
    /// All steps of it.
    pub(crate) steps: usize,
    /// The latents of the finished picture, as far as they can be predicted now.
    pub(crate) finished: &'a Tensor,
    pub(crate) family: ImageFamily,
}

impl<'a, S: Schedule> Canvas<'a, S> {
    /// Prepares the picture `index` of a request.
    ///
    /// # Errors
    /// If the mask is opaque everywhere, or the computation fails.
    pub(crate) fn new(
        request: &'a PictureRequest,
        index: u32,
        schedule: S,
        autoencoder: &'a Autoencoder,
        device: &Device,
    ) -> std::result::Result<Self, PaintError> {
        let (height, width) = autoencoder.latent_size(request.width, request.height);
        let seed = request.seed.wrapping_add(index.into());
        let noise = noise(seed, (1, autoencoder.channels, height, width), device)?;
        let mut canvas = Self { request, autoencoder, schedule, noise, original: None, area: None };
        let Some(image) = &request.image else { return Ok(canvas) };
        let pixels = image_io::resized(image, request.width, request.height);
        canvas.original = Some(autoencoder.encode(&image_io::to_tensor(&pixels, device)?)?);
        if let Some(mask) = &request.mask {
            let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
            let area = image_io::changed_area(mask, side(width), side(height))?;
            canvas.area = Some(Tensor::from_vec(area, (1, 1, height, width), device)?);
        }
        Ok(canvas)
    }

    /// The area that may change, 1 for each latent of it; none if everything may change.
    pub(crate) fn area(&self) -> Option<&Tensor> {
        self.area.as_ref()
    }

    /// Makes the picture. `predict` computes the network's prediction for the latents before a step. `on_step` is called after each
    /// step.
    ///
    /// # Errors
    /// If the computation fails, or `cancelled` is set between two steps.
    pub(crate) fn paint(
        &self,
        family: ImageFamily,
        cancelled: &AtomicBool,
        predict: impl Fn(&S, &Tensor, usize) -> Result<Tensor>,
        mut on_step: impl FnMut(&StepReport<'_>),
    ) -> std::result::Result<RgbImage, PaintError> {
        let schedule = &self.schedule;
        let first = schedule.first_step_of(self.request);
        let mut latents = match &self.original {
            Some(original) => schedule.add_noise(original, &self.noise, first)?,
            None => schedule.initial(&self.noise)?,
        };
        let steps = schedule.steps_of(self.request);
        for step in first..schedule.steps() {
            check_cancelled(cancelled)?;
            let predicted = predict(schedule, &latents, step)?;
            let (next, finished) = schedule.step(&latents, &predicted, step)?;
            latents = self.keep_outside(next, step + 1)?;
            on_step(&StepReport { step: step + 1 - first, steps, finished: &finished, family });
        }
        check_cancelled(cancelled)?;
        let picture = image_io::from_tensor(&self.autoencoder.decode(&latents)?)?;
        restore_outside(picture, self.request)
    }

    /// Replaces the latents outside of the area that may change by the original ones, with the noise of `step`.
    fn keep_outside(&self, latents: Tensor, step: usize) -> Result<Tensor> {
        let (Some(area), Some(original)) = (&self.area, &self.original) else { return Ok(latents) };
        let outside = self.schedule.add_noise(original, &self.noise, step)?;
        latents.broadcast_mul(area)? + outside.broadcast_mul(&(1.0 - area)?)?
    }
}

impl StepReport<'_> {
    /// The picture as far as it can be predicted now, small.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn preview(&self) -> Result<RgbImage> {
        preview::picture(&self.finished.to_device(&Device::Cpu)?, self.family)
    }
}

/// Ends a picture whose run is cancelled.
///
/// # Errors
/// If `cancelled` is set.
pub(crate) fn check_cancelled(cancelled: &AtomicBool) -> std::result::Result<(), PaintError> {
    if cancelled.load(Ordering::Relaxed) { Err(PaintError::Cancelled) } else { Ok(()) }
}

/// Normal noise of this shape that depends on the seed only: it is the same on every device.
///
/// # Errors
/// If the computation fails.
fn noise(seed: u64, shape: (usize, usize, usize, usize), device: &Device) -> Result<Tensor> {
    let mut random = StdRng::seed_from_u64(seed);
    let count = shape.0 * shape.1 * shape.2 * shape.3;
    let mut numbers = Vec::with_capacity(count + 1);
    while numbers.len() < count {
        // Box and Muller's method.
        let (first, second): (f64, f64) = (random.random(), random.random());
        let radius = (-2.0 * (1.0 - first).ln()).sqrt();
        let (sine, cosine) = (2.0 * std::f64::consts::PI * second).sin_cos();
        numbers.extend([(radius * cosine) as f32, (radius * sine) as f32]);
    }
    numbers.truncate(count);
    Tensor::from_vec(numbers, shape, device)
}

/// Replaces the pixels outside of the mask by those of the original image: the autoencoder would change them slightly.
fn restore_outside(
    mut picture: RgbImage,
    request: &PictureRequest,
) -> std::result::Result<RgbImage, PaintError> {
    let (Some(mask), Some(image)) = (&request.mask, &request.image) else { return Ok(picture) };
    let (width, height) = picture.dimensions();
    let area = image_io::changed_area(mask, width, height)?;
    let original: RgbImage = image_io::resized(image, width, height);
    for ((pixel, before), changes) in picture.pixels_mut().zip(original.pixels()).zip(area) {
        if changes == 0.0 {
            *pixel = *before;
        }
    }
    Ok(picture)
}

#[cfg(test)]
pub(crate) mod tests;
