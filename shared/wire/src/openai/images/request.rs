//! The request of `POST /v1/images/generations`.

use hearth_domain::{ClientDialect, Field, Generation, Image, ImageFormat, ImageTask, ModelId, Size};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{ApiError, run_options::RunOptions, unknown_fields::unknown_fields};

/// A request for images as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ImageRequest {
    /// Description of the images.
    #[schema(example = "A fox in the snow")]
    pub prompt: String,
    /// A model's id. Absent, or `auto`: the first model of a provider that makes images.
    #[schema(example = "openai:gpt-image-1")]
    pub model: Option<String>,
    /// Number of images, 1 to 10.
    #[schema(minimum = 1, maximum = 10)]
    pub n: Option<u32>,
    /// Width and height in pixels, such as `1024x1024`, or `auto`.
    pub size: Option<String>,
    /// Quality, by the provider's name: `low`, `medium`, `high`, `standard`, `hd`.
    pub quality: Option<String>,
    /// `b64_json`, or `url` for a link that expires. Absent: `url` for a `dall-e` model, else `b64_json`.
    pub response_format: Option<ImageResponseFormat>,
    /// Format of the files: `png`, `jpeg` or `webp`.
    pub output_format: Option<ImageFormat>,
    /// Background: `transparent`, `opaque` or `auto`.
    pub background: Option<String>,
    /// If true, the answer is streamed as server-sent events, one for each finished image.
    pub stream: Option<bool>,
    /// Number of unfinished images to stream. Must be 0: they are not supported.
    pub partial_images: Option<u32>,
    /// Extension. Seed for repeatable sampling.
    pub seed: Option<u32>,
    /// Extension. Description of what the images must not show.
    pub negative_prompt: Option<String>,
    /// Options of the gateway.
    #[serde(flatten)]
    pub run_options: RunOptions,
    /// Unknown fields, for a provider of this dialect. A local model takes `steps`, `guidance_scale` and `strength` of them.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// Form of the images in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageResponseFormat {
    /// Bytes in base64.
    B64Json,
    /// Links.
    Url,
}

/// The parts of a request that the answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageAnswerOptions {
    /// Form of the images.
    pub format: ImageResponseFormat,
    /// True to stream server-sent events.
    pub streams: bool,
    /// True for an edit, whose events have another name.
    pub(super) is_edit: bool,
    pub(super) size: Option<String>,
    pub(super) quality: Option<String>,
    pub(super) background: Option<String>,
}

impl ImageRequest {
    /// The parts of the request that the answer depends on.
    #[must_use]
    pub fn answer_options(&self) -> ImageAnswerOptions {
        let model = self.model.as_deref().unwrap_or_default();
        let is_dall_e = model.rsplit([':', '/']).next().is_some_and(|name| name.starts_with("dall-e"));
        let default_format = if is_dall_e { ImageResponseFormat::Url } else { ImageResponseFormat::B64Json };
        ImageAnswerOptions {
            format: self.response_format.unwrap_or(default_format),
            streams: self.stream.unwrap_or(false),
            is_edit: false,
            size: self.size.clone(),
            quality: self.quality.clone(),
            background: self.background.clone(),
        }
    }

    /// Converts the request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.into_edit(Vec::new(), None)
    }

    /// Converts a request to edit `images`; the first one is edited where `mask` is transparent.
    pub(super) fn into_edit(self, images: Vec<Image>, mask: Option<Image>) -> Result<Generation, ApiError> {
        if self.partial_images.is_some_and(|count| count > 0) {
            let message = "partial_images must be 0: only finished images are sent";
            return Err(ApiError::invalid("partial_images", message));
        }
        let size = match self.size.as_deref() {
            None | Some("auto") => None,
            Some(text) => {
                let wrong = |error| ApiError::invalid("size", format!("size {error}"));
                Some(text.parse::<Size>().map_err(wrong)?)
            }
        };
        // Fields of diffusion models, which a provider of this dialect gets as they are.
        let number = |name: &str| match self.extra.get(name)? {
            // A form has texts only.
            Value::String(text) => text.parse().ok(),
            value => value.as_f64(),
        };
        let task = ImageTask {
            steps: number("steps").map(|steps: f64| steps as u32),
            guidance: number("guidance_scale").map(|scale: f64| scale as f32),
            strength: number("strength").map(|strength: f64| strength as f32),
            images,
            mask,
            count: self.n.unwrap_or(1),
            size,
            quality: self.quality.filter(|quality| quality != "auto"),
            format: self.output_format,
            background: self.background,
            seed: self.seed,
            negative_prompt: self.negative_prompt,
            ..ImageTask::new(self.prompt)
        };
        task.check().map_err(|error| {
            let param = match error.field {
                // The form's name of the field.
                Field::Media("images") => "image".to_owned(),
                Field::Media(name) => name.to_owned(),
                _ => "prompt".to_owned(),
            };
            ApiError::unfit(param, &error)
        })?;
        self.run_options.apply(Generation {
            extra: unknown_fields(ClientDialect::OpenAiImages, self.extra)?,
            ..Generation::new(self.model.map(ModelId::new), task)
        })
    }
}
