//! What is answered.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Artifact, Timestamp, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ResponseFormat, Shown};
use crate::{ApiError, RunEvent, RunEventBody, answer::ending, native::artifacts::url_of, stream::Frame};

/// The images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageList {
    /// When they were made, in seconds since 1970.
    pub created: i64,
    /// The images, in order.
    pub data: Vec<ImageBody>,
    /// What their files are: `png`, `jpeg` or `webp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_format: Option<String>,
    /// Their size, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// How well, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// What is behind, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Tokens taken, if the provider counts any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ImageUsage>,
}

/// An image: its bytes or a link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImageBody {
    /// Its file in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
    /// A link that opens it for anybody, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The prompt as the model understood it, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
}

/// Tokens taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageUsage {
    /// Those of the prompt and of the images that it showed.
    pub input_tokens: u32,
    /// Those of the images.
    pub output_tokens: u32,
    /// Both together.
    pub total_tokens: u32,
    /// What those of the input were. Not every provider tells them apart: they are counted as text.
    pub input_tokens_details: InputTokens,
}

/// What the tokens of the input were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputTokens {
    /// Those of the prompt.
    pub text_tokens: u32,
    /// Those of images.
    pub image_tokens: u32,
}

/// What a run has made, of its events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Made {
    /// The files, in order.
    pub artifacts: Vec<Artifact>,
    /// Tokens taken, if the provider counts any.
    pub usage: Option<Usage>,
}

impl Made {
    /// What a run has made, of every event of it.
    ///
    /// # Errors
    /// The run's own error; `cancelled` if it was stopped.
    pub fn of(events: &[RunEvent]) -> Result<Self, ApiError> {
        ending(events)?;
        let mut made = Self::default();
        for event in events {
            match &event.body {
                RunEventBody::Artifact { artifact, .. } => made.artifacts.push(artifact.clone()),
                RunEventBody::Usage { usage } => made.usage = Some(*usage),
                _ => {}
            }
        }
        Ok(made)
    }
}

impl From<Usage> for ImageUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            input_tokens_details: InputTokens { text_tokens: usage.prompt_tokens, image_tokens: 0 },
        }
    }
}

impl ImageBody {
    /// The body of an image: of its `bytes` if there are any, else a link that begins with `base`.
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
    /// The answer to a request of which `shown` is left.
    #[must_use]
    pub fn new(made: &Made, data: Vec<ImageBody>, shown: &Shown) -> Self {
        Self {
            created: Timestamp::now().unix(),
            data,
            output_format: made.artifacts.first().and_then(output_format),
            size: shown.size.clone(),
            quality: shown.quality.clone(),
            background: shown.background.clone(),
            usage: made.usage.map(Into::into),
        }
    }
}

/// The same as server-sent events, one for each image.
#[derive(Debug)]
pub struct ImageFrames;

impl ImageFrames {
    /// The events of an answer.
    #[must_use]
    pub fn of(list: &ImageList, shown: &Shown) -> Vec<Frame> {
        let name = if shown.edits { "image_edit.completed" } else { "image_generation.completed" };
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

    /// The event that tells of a failure.
    #[must_use]
    pub fn failed(error: &ApiError, request_id: &str) -> Frame {
        let envelope = error.envelope(request_id);
        Frame::named("error", &json!({"type": "error", "error": envelope.error}))
    }
}

fn output_format(artifact: &Artifact) -> Option<String> {
    artifact.media_type.strip_prefix("image/").map(str::to_owned)
}

impl Shown {
    /// Whether the images' bytes are in the answer.
    #[must_use]
    pub fn has_bytes(&self) -> bool {
        self.format == ResponseFormat::B64Json
    }
}
