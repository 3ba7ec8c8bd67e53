//! Image generation tasks.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Image, InvalidTask, check::Field};

/// Maximum number of generated images of a request.
pub const MAX_IMAGES: u32 = 10;
/// Maximum number of input images of a request.
pub const MAX_INPUT_IMAGES: usize = 16;
/// Maximum bytes of a prompt.
const MAX_PROMPT: usize = 64 << 10;
/// Maximum side length in pixels.
const MAX_SIDE: u32 = 8192;

/// Image generation task, with the parameters that most providers have. The provider chooses the absent ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageTask {
    /// Description of the images; never empty.
    pub prompt: String,
    /// Input images, to start from or to change.
    pub images: Vec<Image>,
    /// Area of the first input image that may change: an image of the same size that is transparent there.
    pub mask: Option<Image>,
    /// Number of images, at least 1.
    pub count: u32,
    /// Size of the images.
    pub size: Option<Size>,
    /// Quality in the provider's own words, such as `high` or `hd`.
    pub quality: Option<String>,
    /// File format.
    pub format: Option<ImageFormat>,
    /// Background: `transparent`, `opaque` or `auto`.
    pub background: Option<String>,
    /// Seed for reproducible results.
    pub seed: Option<u32>,
    /// Description of what the images must not show.
    pub negative_prompt: Option<String>,
    /// Number of steps of a diffusion model.
    pub steps: Option<u32>,
    /// Guidance scale: weight of the prompt in a diffusion model.
    pub guidance: Option<f32>,
    /// Share of the input image to change, from 0 (nothing) to 1 (everything).
    pub strength: Option<f32>,
}

/// An image's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// File format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// `image/png`.
    Png,
    /// `image/jpeg`.
    #[serde(alias = "jpg")]
    Jpeg,
    /// `image/webp`.
    Webp,
}

/// Text that is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a width and a height in pixels, such as 1024x1024")]
pub struct InvalidSize;

impl ImageTask {
    /// One image of what `prompt` says.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), count: 1, ..Self::default() }
    }

    /// Checks what can be checked without knowing the model.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn check(&self) -> Result<(), InvalidTask> {
        let invalid = |field, problem: &str| {
            Err(InvalidTask { field: Field::Media(field), problem: problem.to_owned() })
        };
        if self.prompt.trim().is_empty() {
            return invalid("prompt", "must not be empty");
        }
        if self.prompt.len() > MAX_PROMPT {
            return invalid("prompt", "must have at most 64 KiB");
        }
        if !(1..=MAX_IMAGES).contains(&self.count) {
            return invalid("n", "must be 1 to 10");
        }
        if self.images.len() > MAX_INPUT_IMAGES {
            return invalid("images", "must have at most 16 images");
        }
        if self.mask.is_some() && self.images.is_empty() {
            return invalid("mask", "says where an image is changed, and there is none");
        }
        if self.size.is_some_and(|Size { width, height }| {
            !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height)
        }) {
            return invalid("size", "must have sides of 1 to 8192 pixels");
        }
        if let Some(background) = &self.background
            && !["transparent", "opaque", "auto"].contains(&background.as_str())
        {
            return invalid("background", "must be transparent, opaque or auto");
        }
        if self.background.as_deref() == Some("transparent") && self.format == Some(ImageFormat::Jpeg) {
            return invalid("background", "can't be transparent in a jpeg; ask for png or webp");
        }
        if self.steps.is_some_and(|steps| !(1..=500).contains(&steps)) {
            return invalid("steps", "must be 1 to 500");
        }
        if self.guidance.is_some_and(|guidance| !(0.0..=100.0).contains(&guidance)) {
            return invalid("guidance_scale", "must be 0 to 100");
        }
        if self.strength.is_some_and(|strength| !(0.0..=1.0).contains(&strength)) {
            return invalid("strength", "must be 0 to 1");
        }
        if self.strength.is_some() && self.images.is_empty() {
            return invalid("strength", "says how much an image is changed, and there is none");
        }
        Ok(())
    }
}

impl ImageFormat {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Size {
    type Err = InvalidSize;
    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let (width, height) = text.split_once('x').ok_or(InvalidSize)?;
        let side = |text: &str| text.parse().map_err(|_| InvalidSize);
        Ok(Self { width: side(width)?, height: side(height)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let size = Size { width: 1536, height: 1024 };
        assert_eq!("1536x1024".parse(), Ok(size));
        assert_eq!(size.to_string(), "1536x1024");
        for bad in ["", "1024", "x", "1024x", "ax1", "1x2x3", "-1x1", "99999999999x1"] {
            assert_eq!(bad.parse::<Size>(), Err(InvalidSize), "{bad:?}");
        }
    }

    #[test]
    fn an_invalid_task_names_the_field() {
        let task = || ImageTask::new("a fox");
        assert_eq!(task().check(), Ok(()));
        let cases = [
            (ImageTask::new(" "), "prompt"),
            (ImageTask::new("a".repeat(MAX_PROMPT + 1)), "prompt"),
            (ImageTask { count: 0, ..task() }, "n"),
            (ImageTask { count: 11, ..task() }, "n"),
            (ImageTask { size: Some(Size { width: 0, height: 9 }), ..task() }, "size"),
            (ImageTask { background: Some("pink".into()), ..task() }, "background"),
            (
                ImageTask {
                    background: Some("transparent".into()),
                    format: Some(ImageFormat::Jpeg),
                    ..task()
                },
                "background",
            ),
            (ImageTask { steps: Some(0), ..task() }, "steps"),
            (ImageTask { guidance: Some(f32::NAN), ..task() }, "guidance_scale"),
            (ImageTask { strength: Some(0.5), ..task() }, "strength"),
            (ImageTask { mask: Some(Image::at("data:image/png;base64,AA")), ..task() }, "mask"),
            (ImageTask { images: vec![Image::at("data:image/png;base64,AA"); 17], ..task() }, "images"),
        ];
        for (task, field) in cases {
            assert_eq!(task.check().unwrap_err().field, Field::Media(field), "{task:?}");
        }
    }
}
