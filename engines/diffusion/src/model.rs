//! A loaded image model, of any family.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use candle_core::Device;
use hearth_worker::checkpoint::{Checkpoint, ImageFamily, Layout, NoCheckpoint};
use image::RgbImage;

use crate::{
    denoise::StepReport, error::PaintError, flux::FluxPipeline, pipeline::Pipeline, request::PictureRequest,
};

/// A loaded image model.
#[derive(Debug)]
pub(crate) enum ImageModel {
    /// Stable Diffusion.
    StableDiffusion(Box<Pipeline>),
    /// FLUX.1.
    Flux(Box<FluxPipeline>),
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
