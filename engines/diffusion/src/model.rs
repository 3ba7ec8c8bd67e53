//! A loaded image model, of any family.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use candle_core::{Device, Tensor};
use hearth_worker::checkpoint::{Checkpoint, ImageFamily, Layout, NoCheckpoint};
use image::RgbImage;

use crate::{
    error::PaintError, flux::FluxPipeline, image_io, pipeline::Pipeline, preview, request::PictureRequest,
};

/// A loaded image model.
#[derive(Debug)]
pub(crate) enum ImageModel {
    /// Stable Diffusion.
    StableDiffusion(Box<Pipeline>),
    /// FLUX.1.
    Flux(Box<FluxPipeline>),
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

impl StepReport<'_> {
    /// The picture as far as it can be predicted now, small.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn preview(&self) -> candle_core::Result<RgbImage> {
        preview::picture(&self.finished.to_device(&Device::Cpu)?, self.family)
    }
}

impl ImageModel {
    /// Loads the checkpoint at `path`. `read` counts the bytes that are read.
    ///
    /// # Errors
    /// The reason why it can't be loaded.
    pub(crate) fn load(path: &Path, device: &Device, read: &Arc<AtomicU64>) -> Result<Self, String> {
        let checkpoint = Checkpoint::read(path).map_err(|problem| match problem {
            NoCheckpoint::Other => "it is no image model".to_owned(),
            NoCheckpoint::Unusable(reason) => reason,
        })?;
        let family = checkpoint.family;
        Ok(match &checkpoint.layout {
            Layout::SingleFile(file) => {
                Self::StableDiffusion(Box::new(Pipeline::load_file(file, family, device, read)?))
            }
            Layout::Folder(folder) => {
                Self::StableDiffusion(Box::new(Pipeline::load_folder(folder, family, device, read)?))
            }
            Layout::Flux(parts) => Self::Flux(Box::new(FluxPipeline::load(parts, family, device, read)?)),
        })
    }

    /// The model's family.
    pub(crate) fn family(&self) -> ImageFamily {
        match self {
            Self::StableDiffusion(pipeline) => pipeline.family,
            Self::Flux(pipeline) => pipeline.family,
        }
    }

    /// Number of a text's tokens.
    pub(crate) fn count_tokens(&self, text: &str) -> usize {
        match self {
            Self::StableDiffusion(pipeline) => pipeline.count_tokens(text),
            Self::Flux(pipeline) => pipeline.count_tokens(text),
        }
    }

    /// Steps that a picture of the request takes.
    pub(crate) fn steps_of(&self, request: &PictureRequest) -> usize {
        match self {
            Self::StableDiffusion(pipeline) => pipeline.steps_of(request),
            Self::Flux(pipeline) => pipeline.steps_of(request),
        }
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
        on_step: impl FnMut(&StepReport<'_>),
    ) -> Result<RgbImage, PaintError> {
        match self {
            Self::StableDiffusion(pipeline) => pipeline.paint(request, index, cancelled, on_step),
            Self::Flux(pipeline) => pipeline.paint(request, index, cancelled, on_step),
        }
    }
}

/// Replaces the pixels outside of the mask by those of the original image: the autoencoder would change them slightly.
///
/// # Errors
/// If the mask is opaque everywhere.
pub(crate) fn restore_outside(
    mut picture: RgbImage,
    request: &PictureRequest,
) -> Result<RgbImage, PaintError> {
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
