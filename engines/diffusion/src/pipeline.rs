//! A loaded image model: from a prompt to a picture.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use candle_core::{D, DType, Device, Tensor};
use hearth_worker::checkpoint::{Checkpoint, ImageFamily, Layout, NoCheckpoint, prefixes, weights_of};
use image::RgbImage;

use crate::{
    autoencoder::Autoencoder,
    error::PaintError,
    image_io, memory,
    names::Names,
    preview,
    request::PictureRequest,
    sampler::{Sampler, noise},
    settings::{AutoencoderSettings, ScheduleSettings, TextSettings, UnetSettings},
    text_encoder::TextEncoder,
    tokenizer::Tokenizer,
    unet::{Condition, Unet},
    weights::{NetworkWeights, WeightFile},
};

/// Windows of a prompt's tokens: as the model was trained with one, more of them weigh less each.
const WINDOWS_MAX_COUNT: usize = 8;

/// A loaded image model.
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

/// A step that has been made.
pub(crate) struct StepMade<'a> {
    /// Steps of this picture that are made.
    pub(crate) step: usize,
    /// All steps of it.
    pub(crate) steps: usize,
    finished: &'a Tensor,
    family: ImageFamily,
}

impl StepMade<'_> {
    /// The picture as far as it can be told now, small.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn preview(&self) -> candle_core::Result<RgbImage> {
        preview::picture(&self.finished.to_device(&Device::Cpu)?, self.family)
    }
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
    /// Loads the checkpoint at `path`. `read` counts the bytes that are read.
    ///
    /// # Errors
    /// The reason why it can't be loaded.
    pub(crate) fn load(path: &Path, device: &Device, read: &Arc<AtomicU64>) -> Result<Self, String> {
        let checkpoint = Checkpoint::read(path).map_err(|problem| match problem {
            NoCheckpoint::Other => "it is no image model".to_owned(),
            NoCheckpoint::Unusable(reason) => reason,
        })?;
        match &checkpoint.layout {
            Layout::SingleFile(file) => Self::load_file(file, checkpoint.family, device, read),
            Layout::Folder(folder) => Self::load_folder(folder, checkpoint.family, device, read),
        }
    }

    fn load_file(
        path: &Path,
        family: ImageFamily,
        device: &Device,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let file = WeightFile::open(path, read)?;
        let dtype = number_type(device);
        let text = |names, settings: &TextSettings| {
            TextEncoder::load(&NetworkWeights::builder(&file, names, dtype, device), settings).map_err(damaged)
        };
        let mut pooled = 0;
        let encoders = if family == ImageFamily::Sdxl {
            let first = TextSettings::of_file(&file, prefixes::TEXT_1)?;
            let second = TextSettings::of_open_clip(&file, prefixes::TEXT_2)?;
            pooled = second.projection.unwrap_or(0);
            vec![
                text(Names::Text { prefix: prefixes::TEXT_1 }, &first)?,
                text(Names::OpenText { prefix: prefixes::TEXT_2 }, &second)?,
            ]
        } else {
            let settings = TextSettings::of_file(&file, prefixes::TEXT)?;
            vec![text(Names::Text { prefix: prefixes::TEXT }, &settings)?]
        };
        let unet_settings = UnetSettings::of_file(&file, family, pooled)?;
        let names = Names::Unet { layers: unet_settings.layers };
        let unet = Unet::load(&NetworkWeights::builder(&file, names, dtype, device), unet_settings);
        let settings = AutoencoderSettings::of_file(&file, family)?;
        let names = Names::Autoencoder { levels: settings.channels.len() };
        let autoencoder = Autoencoder::load(&file, names, &settings, device).map_err(damaged)?;
        let schedule = ScheduleSettings::default();
        let unet = unet.map_err(damaged)?;
        Self { family, tokenizer: Tokenizer::clip()?, encoders, unet, autoencoder, schedule, device: device.clone() }
            .checked()
    }

    fn load_folder(
        folder: &Path,
        family: ImageFamily,
        device: &Device,
        read: &Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let dtype = number_type(device);
        let open = |network: &str| {
            let path = weights_of(folder, network).ok_or_else(|| format!("its folder {network} has no weights"))?;
            WeightFile::open(&path, read).map_err(|reason| format!("{network}: {reason}"))
        };
        let names: &[&str] = match family {
            ImageFamily::Sdxl => &["text_encoder", "text_encoder_2"],
            ImageFamily::Sd1 | ImageFamily::Sd2 => &["text_encoder"],
        };
        let mut encoders = Vec::new();
        for name in names {
            let settings = TextSettings::of_folder(folder, name)?;
            let weights = NetworkWeights::builder(&open(name)?, Names::Diffusers, dtype, device);
            encoders.push(TextEncoder::load(&weights, &settings).map_err(damaged)?);
        }
        let weights = NetworkWeights::builder(&open("unet")?, Names::Diffusers, dtype, device);
        let unet = Unet::load(&weights, UnetSettings::of_folder(folder)?).map_err(damaged)?;
        let settings = AutoencoderSettings::of_folder(folder)?;
        let autoencoder =
            Autoencoder::load(&open("vae")?, Names::Diffusers, &settings, device).map_err(damaged)?;
        let tokenizer = Tokenizer::of_folder(&folder.join("tokenizer"))?;
        let schedule = ScheduleSettings::of_folder(folder)?;
        Self { family, tokenizer, encoders, unet, autoencoder, schedule, device: device.clone() }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let vocabulary = self.encoders.iter().map(|encoder| encoder.vocabulary).min().unwrap_or(0);
        if self.tokenizer.last_id() as usize >= vocabulary {
            return Err("its tokenizer has more tokens than its text encoder".to_owned());
        }
        let mut lengths = self.encoders.iter().map(|encoder| encoder.length);
        let first = lengths.next();
        if lengths.any(|length| Some(length) != first) {
            return Err("its text encoders read texts of different lengths".to_owned());
        }
        Ok(self)
    }

    /// Makes the picture `index` of a request. `on_step` is called after each step.
    ///
    /// # Errors
    /// If the request can't be obeyed, the computation fails, or `cancelled` is set between two steps.
    pub(crate) fn paint(
        &self,
        request: &PictureRequest,
        index: u32,
        cancelled: &AtomicBool,
        mut on_step: impl FnMut(&StepMade<'_>),
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
            let made = StepMade { step: step + 1 - first, steps, finished: &finished, family: self.family };
            on_step(&made);
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

    /// Number of a text's tokens, with start and end of each window.
    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        self.windows(text).iter().map(|(_, end)| end + 1).sum()
    }

    fn prepare(&self, request: &PictureRequest, index: u32) -> Result<Canvas, PaintError> {
        let (width, height) = (request.width as usize, request.height as usize);
        let factor = self.autoencoder.factor;
        if width % factor != 0 || height % factor != 0 {
            return Err(PaintError::refused("size", format!("must have sides in multiples of {factor} for this model")));
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
        let opposite = (request.guidance > 1.0).then(|| self.opposite(&request.negative_prompt, &condition)).transpose()?;
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

    fn predict(&self, canvas: &Canvas, latents: &Tensor, guidance: f64, step: usize) -> Result<Tensor, PaintError> {
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

    /// A text as a condition.
    fn condition(&self, field: &str, text: &str) -> Result<Condition, PaintError> {
        let windows = self.windows(text);
        if windows.len() > WINDOWS_MAX_COUNT {
            let tokens = WINDOWS_MAX_COUNT * (self.window_length() - 2);
            return Err(PaintError::refused(field, format!("is longer than the {tokens} tokens that the model reads")));
        }
        let (mut contexts, mut pooled) = (Vec::new(), None);
        for (tokens, end) in &windows {
            let mut outputs = Vec::new();
            for (index, encoder) in self.encoders.iter().enumerate() {
                let encoded = encoder.encode(&self.padded(tokens, index), *end)?;
                outputs.push(if self.family == ImageFamily::Sdxl { encoded.penultimate } else { encoded.last });
                pooled = pooled.or(encoded.pooled);
            }
            contexts.push(Tensor::cat(&outputs, D::Minus1)?);
        }
        let pooled = pooled.filter(|_| self.unet.has_addition());
        Ok(Condition { context: Tensor::cat(&contexts, 1)?, pooled })
    }

    /// The condition that the guidance leads away from.
    fn opposite(&self, negative: &str, condition: &Condition) -> Result<Condition, PaintError> {
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

/// Replaces the pixels outside of the mask by those of the original image: the autoencoder would change them slightly.
fn restore_outside(mut picture: RgbImage, request: &PictureRequest) -> Result<RgbImage, PaintError> {
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

/// The type of the numbers that the networks compute with.
fn number_type(device: &Device) -> DType {
    if device.is_cpu() { DType::F32 } else { DType::F16 }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn damaged(error: candle_core::Error) -> String {
    let text = error.to_string();
    // The first line; the others are a backtrace.
    format!("its weights can't be used: {}", text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
