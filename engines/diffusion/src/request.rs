//! A task as the parameters of its pictures, within the bounds of the engine.

use hearth_domain::{ImageFormat, ImageTask, Size};
use hearth_worker::checkpoint::ImageFamily;
use image::{DynamicImage, GenericImageView as _};

use crate::{error::PaintError, image_io};

/// Bounds of a picture's sides in pixels.
const SIDE_MIN: u32 = 64;
const SIDE_MAX: u32 = 2048;
/// Sides are multiples of this: the pixels of a latent, or for FLUX.1 of a patch of them.
const SIDE_STEP: u32 = 8;
const FLUX_SIDE_STEP: u32 = 16;
/// Limit of the number of steps.
const STEPS_MAX_COUNT: u32 = 150;
/// Steps without a request's number.
const DEFAULT_STEPS: u32 = 25;
const SCHNELL_STEPS: u32 = 4;
/// Guidance without a request's number.
const DEFAULT_GUIDANCE: f64 = 7.0;
const FLUX_GUIDANCE: f64 = 3.5;
const GUIDANCE_MAX: f32 = 30.0;
/// Share of an input image that is changed, without a request's number.
const DEFAULT_STRENGTH: f64 = 0.75;
/// Limit of a prompt's bytes.
const PROMPT_MAX_BYTES: usize = 8 << 10;

/// The parameters of a run's pictures.
#[derive(Debug)]
pub(crate) struct PictureRequest {
    pub(crate) prompt: String,
    pub(crate) negative_prompt: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) count: u32,
    pub(crate) steps: u32,
    pub(crate) guidance: f64,
    pub(crate) seed: u64,
    pub(crate) format: ImageFormat,
    /// The image to change.
    pub(crate) image: Option<DynamicImage>,
    /// The mask of the area that may change.
    pub(crate) mask: Option<DynamicImage>,
    /// Share of the image to change, 0 to 1.
    pub(crate) strength: f64,
}

impl PictureRequest {
    /// Reads a task for a model of `family`.
    ///
    /// # Errors
    /// The field that the engine can't obey.
    pub(crate) fn new(task: &ImageTask, family: ImageFamily) -> Result<Self, PaintError> {
        for (field, text) in
            [("prompt", Some(&task.prompt)), ("negative_prompt", task.negative_prompt.as_ref())]
        {
            if text.is_some_and(|text| text.len() > PROMPT_MAX_BYTES) {
                return Err(PaintError::refused(
                    field,
                    format!("must have at most {PROMPT_MAX_BYTES} bytes for a local model"),
                ));
            }
        }
        if task.background.as_deref() == Some("transparent") {
            return Err(PaintError::refused("background", "a local model makes opaque pictures only"));
        }
        if family.is_flux() && task.negative_prompt.as_ref().is_some_and(|text| !text.trim().is_empty()) {
            let message = "FLUX.1 has no negative prompt; describe what the picture is to show";
            return Err(PaintError::refused("negative_prompt", message));
        }
        let is_schnell = family == ImageFamily::FluxSchnell;
        let steps = task.steps.unwrap_or(if is_schnell { SCHNELL_STEPS } else { DEFAULT_STEPS });
        if !(1..=STEPS_MAX_COUNT).contains(&steps) {
            return Err(PaintError::refused("steps", format!("must be 1 to {STEPS_MAX_COUNT}")));
        }
        if task.guidance.is_some_and(|guidance| !(0.0..=GUIDANCE_MAX).contains(&guidance)) {
            return Err(PaintError::refused("guidance_scale", format!("must be 0 to {GUIDANCE_MAX}")));
        }
        if task.images.len() > 1 {
            return Err(PaintError::refused("images", "a local model changes one image"));
        }
        let image = task.images.first().map(|image| image_io::decode(image, "images")).transpose()?;
        let mask = task.mask.as_ref().map(|mask| image_io::decode(mask, "mask")).transpose()?;
        let (width, height) = size(task.size, image.as_ref(), family)?;
        let strength = task.strength.map_or(if mask.is_some() { 1.0 } else { DEFAULT_STRENGTH }, f64::from);
        if image.is_some() && !(strength > 0.0 && strength <= 1.0) {
            return Err(PaintError::refused("strength", "must be more than 0 and at most 1"));
        }
        Ok(Self {
            prompt: task.prompt.clone(),
            negative_prompt: task.negative_prompt.clone().unwrap_or_default(),
            width,
            height,
            count: task.count,
            steps,
            guidance: task
                .guidance
                .map_or(if family.is_flux() { FLUX_GUIDANCE } else { DEFAULT_GUIDANCE }, f64::from),
            seed: task.seed.unwrap_or_else(rand::random).into(),
            format: task.format.unwrap_or(ImageFormat::Png),
            image,
            mask,
            strength,
        })
    }

    /// Refuses pictures whose sides aren't multiples of `step` pixels.
    ///
    /// # Errors
    /// `invalid_request` for `size`.
    pub(crate) fn check_sides(&self, step: usize) -> Result<(), PaintError> {
        let fits = |pixels: u32| (pixels as usize).is_multiple_of(step);
        if fits(self.width) && fits(self.height) {
            return Ok(());
        }
        Err(PaintError::refused("size", format!("must have sides in multiples of {step} for this model")))
    }
}

/// The size of the pictures: the request's, that of the input image, or the one that the model was trained for.
fn size(
    size: Option<Size>,
    image: Option<&DynamicImage>,
    family: ImageFamily,
) -> Result<(u32, u32), PaintError> {
    let step = if family.is_flux() { FLUX_SIDE_STEP } else { SIDE_STEP };
    if let Some(Size { width, height }) = size {
        let fits = |side: u32| (SIDE_MIN..=SIDE_MAX).contains(&side) && side.is_multiple_of(step);
        if !fits(width) || !fits(height) {
            let message = format!(
                "must have sides of {SIDE_MIN} to {SIDE_MAX} pixels, in multiples of {step}, for this model"
            );
            return Err(PaintError::refused("size", message));
        }
        return Ok((width, height));
    }
    let side = family.default_side();
    let Some(image) = image else { return Ok((side, side)) };
    // About as many pixels as the model was trained for, in the image's proportions.
    let (width, height) = image.dimensions();
    let pixels = f64::from(width) * f64::from(height);
    let factor = (f64::from(side).powi(2) / pixels.max(1.0)).sqrt().min(1.0);
    let scaled = |side: u32| {
        let side = (f64::from(side) * factor) as u32;
        (side / step * step).clamp(SIDE_MIN, SIDE_MAX)
    };
    Ok((scaled(width), scaled(height)))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hearth_domain::Image;
    use image::RgbImage;

    use super::*;

    fn read(change: impl FnOnce(&mut ImageTask)) -> Result<PictureRequest, String> {
        let mut task = ImageTask::new("a fox");
        change(&mut task);
        PictureRequest::new(&task, ImageFamily::Sd1).map_err(|error| {
            let error = error.into_api_error();
            format!("{}: {}", error.param.unwrap_or_default(), error.message)
        })
    }

    fn picture(width: u32, height: u32) -> Image {
        let file = image_io::encode(&RgbImage::new(width, height), ImageFormat::Png).unwrap();
        Image::at(format!("data:image/png;base64,{}", STANDARD.encode(file)))
    }

    #[test]
    fn defaults_are_those_of_the_family() {
        let request = read(|_| ()).unwrap();
        assert_eq!((request.width, request.height, request.count), (512, 512, 1));
        assert_eq!((request.steps, request.guidance, request.format), (25, 7.0, ImageFormat::Png));
        let xl = PictureRequest::new(&ImageTask::new("a fox"), ImageFamily::Sdxl).unwrap();
        assert_eq!((xl.width, xl.height), (1024, 1024));
        let schnell = PictureRequest::new(&ImageTask::new("a fox"), ImageFamily::FluxSchnell).unwrap();
        assert_eq!((schnell.width, schnell.steps), (1024, 4));
        let dev = PictureRequest::new(&ImageTask::new("a fox"), ImageFamily::FluxDev).unwrap();
        assert_eq!((dev.steps, dev.guidance), (25, 3.5));
    }

    #[test]
    fn flux_refuses_a_negative_prompt_and_sides_that_are_no_patches() {
        let refused = |change: fn(&mut ImageTask)| {
            let mut task = ImageTask::new("a fox");
            change(&mut task);
            let error = PictureRequest::new(&task, ImageFamily::FluxDev).unwrap_err().into_api_error();
            error.param.unwrap_or_default()
        };
        assert_eq!(refused(|task| task.negative_prompt = Some("a cat".to_owned())), "negative_prompt");
        assert_eq!(refused(|task| task.size = Some(Size { width: 72, height: 64 })), "size");
    }

    #[test]
    fn size_follows_the_input_image() {
        let sized = |width, height| {
            let request = read(|task| task.images = vec![picture(width, height)]).unwrap();
            (request.width, request.height)
        };
        assert_eq!(sized(300, 205), (296, 200));
        assert_eq!(sized(1024, 1024), (512, 512));
        assert_eq!(sized(10, 10), (64, 64));
        assert_eq!(read(|task| task.images = vec![picture(64, 64)]).unwrap().strength, 0.75);
    }

    #[test]
    fn fields_that_cannot_be_obeyed_are_refused_by_name() {
        for (problem, result) in [
            ("size: must", read(|task| task.size = Some(Size { width: 500, height: 512 }))),
            ("size: must", read(|task| task.size = Some(Size { width: 4096, height: 512 }))),
            ("steps: must", read(|task| task.steps = Some(151))),
            ("steps: must", read(|task| task.steps = Some(0))),
            ("guidance_scale: must", read(|task| task.guidance = Some(31.0))),
            ("background: a local", read(|task| task.background = Some("transparent".to_owned()))),
            ("images: a local", read(|task| task.images = vec![picture(8, 8), picture(8, 8)])),
            (
                "images: the image can't",
                read(|task| task.images = vec![Image::at("data:image/png;base64,AAAA")]),
            ),
            (
                "strength: must",
                read(|task| {
                    task.images = vec![picture(64, 64)];
                    task.strength = Some(0.0);
                }),
            ),
            ("prompt: must have", read(|task| task.prompt = "a".repeat(9000))),
        ] {
            let error = result.unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
