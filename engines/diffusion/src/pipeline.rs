//! A loaded model of Stable Diffusion: from a prompt to a picture.

mod load;
mod prompt;

use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device, Tensor};
use hearth_worker::checkpoint::ImageFamily;
use image::{Rgb, RgbImage};

use crate::{
    autoencoder::Autoencoder,
    denoise::{Canvas, Schedule as _, StepReport, check_cancelled},
    error::PaintError,
    image_io, memory,
    request::PictureRequest,
    sampler::Sampler,
    settings::ScheduleSettings,
    text_encoder::TextEncoder,
    tokenizer::Tokenizer,
    unet::{Condition, Unet},
};

/// Channels of the input of a network for masks.
const MASKED_CHANNELS: usize = 9;
/// The pixels of an area that may change, for a network for masks.
const GREY: Rgb<u8> = Rgb([128; 3]);

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

/// The inputs of the network that don't change from step to step.
struct Inputs {
    condition: Condition,
    /// The condition that the guidance leads away from; none without guidance.
    opposite: Option<Condition>,
    guidance: f64,
    /// Further channels of a network for masks: the area, and the latents of the image without it.
    masked: Option<Tensor>,
    /// Height and width of the picture.
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
        on_step: impl FnMut(&StepReport<'_>),
    ) -> Result<RgbImage, PaintError> {
        check_cancelled(cancelled)?;
        self.check_room(request)?;
        let condition = self.condition("prompt", &request.prompt)?;
        let opposite = (request.guidance > 1.0)
            .then(|| self.opposite(&request.negative_prompt, &condition))
            .transpose()?;
        let canvas = Canvas::new(request, index, self.sampler(request), &self.autoencoder, &self.device)?;
        let inputs = Inputs {
            condition,
            opposite,
            guidance: request.guidance,
            masked: self.masked(request, canvas.area())?,
            size: (request.height as usize, request.width as usize),
        };
        let predict = |sampler: &Sampler, latents: &Tensor, step| {
            self.predict(&inputs, &sampler.scaled(latents, step)?, sampler.time(step))
        };
        canvas.paint(self.family, cancelled, predict, on_step)
    }

    /// Steps that a picture of the request takes.
    pub(crate) fn steps_of(&self, request: &PictureRequest) -> usize {
        self.sampler(request).steps_of(request)
    }

    fn sampler(&self, request: &PictureRequest) -> Sampler {
        Sampler::new(&self.schedule, request.steps as usize)
    }

    /// Refuses pictures of a size that the model can't make.
    fn check_room(&self, request: &PictureRequest) -> Result<(), PaintError> {
        request.check_sides(self.autoencoder.factor)?;
        let (height, width) = self.autoencoder.latent_size(request.width, request.height);
        memory::check(request, self.unet.attention_bytes(height, width), &self.device)
    }

    /// The further channels of a network for masks. `area`: the latents that may change; all of them without it.
    fn masked(&self, request: &PictureRequest, area: Option<&Tensor>) -> Result<Option<Tensor>, PaintError> {
        if self.unet.in_channels() != MASKED_CHANNELS {
            return Ok(None);
        }
        let (width, height) = (request.width, request.height);
        let pixels = match (&request.image, &request.mask) {
            (None, _) => RgbImage::from_pixel(width, height, GREY),
            (Some(image), None) => image_io::resized(image, width, height),
            (Some(image), Some(mask)) => {
                let mut pixels = image_io::resized(image, width, height);
                blank(&mut pixels, &image_io::changed_area(mask, width, height)?);
                pixels
            }
        };
        let latents = self.autoencoder.encode(&image_io::to_tensor(&pixels, &self.device)?)?;
        let area = match area {
            Some(area) => area.clone(),
            None => {
                let (height, width) = self.autoencoder.latent_size(width, height);
                Tensor::ones((1, 1, height, width), DType::F32, &self.device)?
            }
        };
        Ok(Some(Tensor::cat(&[area, latents], 1)?))
    }

    fn predict(&self, inputs: &Inputs, latents: &Tensor, time: f64) -> candle_core::Result<Tensor> {
        let input = match &inputs.masked {
            Some(masked) => &Tensor::cat(&[latents, masked], 1)?,
            None => latents,
        };
        let wanted = self.unet.predict(input, time, &inputs.condition, inputs.size)?;
        let Some(opposite) = &inputs.opposite else { return Ok(wanted) };
        let unwanted = self.unet.predict(input, time, opposite, inputs.size)?;
        &unwanted + ((wanted - &unwanted)? * inputs.guidance)?
    }
}

/// Makes the changed area of an image grey.
fn blank(pixels: &mut RgbImage, area: &[f32]) {
    for (pixel, changes) in pixels.pixels_mut().zip(area) {
        if *changes > 0.0 {
            *pixel = GREY;
        }
    }
}

#[cfg(test)]
mod tests;
