//! The answer of the image routes: a list of images, or an event for each.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Artifact, Timestamp, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ImageAnswerOptions, ImageResponseFormat};
use crate::{
    ApiError, RunEvent, RunEventBody, answer::final_outcome, native::artifacts::url_of, stream::Frame,
};

/// A list of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageList {
    /// Creation time, in seconds since 1970.
    pub created: i64,
    /// The images, in order.
    pub data: Vec<ImageBody>,
    /// Format of the files: `png`, `jpeg` or `webp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// Size, as in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Quality, as in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Background, as in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Token counts, if the provider reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ImageUsage>,
}

/// An image: its bytes or a link to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageBody {
    /// Bytes of the file, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
    /// A link that needs no token and expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The prompt as revised by the model, if it reports that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
}

/// Token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageUsage {
    /// Tokens of the prompt and of the images in it.
    pub input_tokens: u32,
    /// Tokens of the generated images.
    pub output_tokens: u32,
    /// Sum of both.
    pub total_tokens: u32,
    /// Breakdown of the input tokens. Providers don't report it, so all count as text.
    pub input_tokens_details: ImageInputTokensDetails,
}

/// Breakdown of the input tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageInputTokensDetails {
    /// Tokens of the prompt.
    pub text_tokens: u32,
    /// Tokens of images.
    pub image_tokens: u32,
}

/// The images of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GeneratedImages {
    /// The files, in order.
    pub artifacts: Vec<Artifact>,
    /// Token counts, if the provider reports them.
    pub usage: Option<Usage>,
}

impl GeneratedImages {
    /// Collects the images from all events of a run.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    pub fn collect(events: &[RunEvent]) -> Result<Self, ApiError> {
        final_outcome(events)?;
        let mut images = Self::default();
        for event in events {
            match &event.body {
                RunEventBody::Artifact { artifact, .. } => images.artifacts.push(artifact.clone()),
                RunEventBody::Usage { usage } => images.usage = Some(*usage),
                _ => {}
            }
        }
        Ok(images)
    }
}

impl From<Usage> for ImageUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            input_tokens_details: ImageInputTokensDetails {
                text_tokens: usage.prompt_tokens,
                image_tokens: 0,
            },
        }
    }
}

impl ImageBody {
    /// Creates the body of an image: with its `bytes` if there are any, else with a link that begins with `base`.
    #[must_use]
    pub fn new(artifact: &Artifact, bytes: Option<&[u8]>, base: &str) -> Self {
        Self {
            b64_json: bytes.map(|bytes| STANDARD.encode(bytes)),
            url: bytes.is_none().then(|| url_of(artifact, base)),
            revised_prompt: artifact.revised_prompt.clone(),
        }
    }
}

impl ImageList {
    /// Creates the answer.
    #[must_use]
    pub fn new(images: &GeneratedImages, data: Vec<ImageBody>, options: &ImageAnswerOptions) -> Self {
        Self {
            created: Timestamp::now().unix(),
            data,
            output_format: images.artifacts.first().and_then(output_format),
            size: options.size.clone(),
            quality: options.quality.clone(),
            background: options.background.clone(),
            usage: images.usage.map(Into::into),
        }
    }
}

/// Renders an answer as server-sent events, one for each image.
#[derive(Debug)]
pub struct ImageFrames;

impl ImageFrames {
    /// Renders the images.
    #[must_use]
    pub fn of(list: &ImageList, options: &ImageAnswerOptions) -> Vec<Frame> {
        let name = if options.is_edit { "image_edit.completed" } else { "image_generation.completed" };
        let last = list.data.len().saturating_sub(1);
        let frame = |(index, image): (usize, &ImageBody)| {
            let mut event = json!({
                "type": name, "created_at": list.created, "size": list.size, "quality": list.quality,
                "background": list.background, "output_format": list.output_format,
            });
            if let (Value::Object(event), Ok(Value::Object(image))) =
                (&mut event, serde_json::to_value(image))
            {
                event.extend(image);
            }
            if let Some(usage) = list.usage.filter(|_| index == last) {
                event["usage"] = json!(usage);
            }
            Frame::named(name, &event)
        };
        list.data.iter().enumerate().map(frame).collect()
    }

    /// Renders an error.
    #[must_use]
    pub fn error(error: &ApiError, request_id: &str) -> Frame {
        let envelope = error.envelope(request_id);
        Frame::named("error", &json!({"type": "error", "error": envelope.error}))
    }
}

fn output_format(artifact: &Artifact) -> Option<String> {
    artifact.media_type.strip_prefix("image/").map(str::to_owned)
}

impl ImageAnswerOptions {
    /// Returns whether the answer has the images' bytes.
    #[must_use]
    pub fn has_bytes(&self) -> bool {
        self.format == ImageResponseFormat::B64Json
    }
}
