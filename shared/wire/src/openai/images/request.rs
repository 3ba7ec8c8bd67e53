//! What is asked.

use hearth_domain::{
    ClientDialect, Field, Generation, Image, ImageFormat, ImageTask, ModelId, OnDisconnect, Route,
    SelectionMode, Size,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{ApiError, native::fallback::Fallback, passed_on::unknown_fields};

/// A request for images as OpenAI's SDKs send it. Unknown fields are passed on to a provider of this dialect.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct ImageRequest {
    /// What they show.
    #[schema(example = "A fox in the snow")]
    pub prompt: String,
    /// A model's id. Absent, or `auto`: the first model of a provider that makes images.
    #[schema(example = "openai:gpt-image-1")]
    pub model: Option<String>,
    /// How many, 1 to 10.
    pub n: Option<u32>,
    /// Width and height in pixels, such as `1024x1024`, or `auto`.
    pub size: Option<String>,
    /// How well, in the provider's words: `low`, `medium`, `high`, `standard`, `hd`.
    pub quality: Option<String>,
    /// `b64_json`, or `url` for a link that ends. Absent: `url` for a model called `dall-e`, else `b64_json`.
    #[schema(value_type = Option<String>)]
    pub response_format: Option<ResponseFormat>,
    /// `png`, `jpeg` or `webp`.
    #[schema(value_type = Option<String>)]
    pub output_format: Option<ImageFormat>,
    /// `transparent`, `opaque` or `auto`.
    pub background: Option<String>,
    /// Whether to answer with server-sent events: one for each image, when it is there.
    pub stream: Option<bool>,
    /// How many images to show before they are done: none are, so it must be 0.
    pub partial_images: Option<u32>,
    /// An extension: makes the choice repeatable.
    pub seed: Option<u32>,
    /// An extension: what the images don't show.
    pub negative_prompt: Option<String>,
    /// An extension: `cancel` or `continue`.
    #[schema(value_type = Option<String>)]
    pub on_disconnect: Option<OnDisconnect>,
    /// An extension: what to try when the first choice can't serve it: `false`, or `{"models": [...]}`.
    #[schema(value_type = Option<Object>)]
    pub fallback: Option<Fallback>,
    /// An extension: `auto`, `free_only`, `commercial_only`, or only the `model` that is named.
    #[schema(value_type = Option<String>)]
    pub selection_mode: Option<SelectionMode>,
    /// What a provider of this dialect may know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// How images are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// Their bytes in base64.
    B64Json,
    /// Links.
    Url,
}

/// What an answer repeats of its request.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// How images are given.
    pub format: ResponseFormat,
    /// Whether as server-sent events.
    pub streams: bool,
    /// Whether images were changed, and not made anew: their events have another name.
    pub(super) edits: bool,
    pub(super) size: Option<String>,
    pub(super) quality: Option<String>,
    pub(super) background: Option<String>,
}

impl ImageRequest {
    /// What the answer needs of the request.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let model = self.model.as_deref().unwrap_or_default();
        let links = model.rsplit([':', '/']).next().is_some_and(|name| name.starts_with("dall-e"));
        let usual = if links { ResponseFormat::Url } else { ResponseFormat::B64Json };
        Shown {
            format: self.response_format.unwrap_or(usual),
            streams: self.stream.unwrap_or(false),
            edits: false,
            size: self.size.clone(),
            quality: self.quality.clone(),
            background: self.background.clone(),
        }
    }

    /// The request without its dialect.
    ///
    /// # Errors
    /// `invalid_request`, naming the field.
    pub fn into_generation(self) -> Result<Generation, ApiError> {
        self.generation_from(Vec::new(), None)
    }

    /// The same, which starts from `images`; the first one is changed where `mask` is transparent.
    pub(super) fn generation_from(
        self,
        images: Vec<Image>,
        mask: Option<Image>,
    ) -> Result<Generation, ApiError> {
        if self.partial_images.is_some_and(|count| count > 0) {
            let message = "partial_images must be 0: images are shown when they are done";
            return Err(ApiError::invalid("partial_images", message));
        }
        let size = match self.size.as_deref() {
            None | Some("auto") => None,
            Some(text) => {
                let wrong = |error| ApiError::invalid("size", format!("size {error}"));
                Some(text.parse::<Size>().map_err(wrong)?)
            }
        };
        let task = ImageTask {
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
                // As the form calls them.
                Field::Media("images") => "image".to_owned(),
                Field::Media(name) => name.to_owned(),
                _ => "prompt".to_owned(),
            };
            ApiError::unfit(param, &error)
        })?;
        Ok(Generation {
            on_disconnect: self.on_disconnect.unwrap_or_default(),
            route: Route {
                mode: self.selection_mode.unwrap_or_default(),
                fallbacks: self.fallback.map(Fallback::into_models).transpose()?,
                ..Route::default()
            },
            extra: unknown_fields(ClientDialect::OpenAiImages, self.extra)?,
            ..Generation::new(self.model.map(ModelId::new), task)
        })
    }
}
