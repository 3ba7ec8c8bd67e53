//! Images by OpenAI's API (<https://platform.openai.com/docs/api-reference/images>), which
//! several vendors and servers have with [`Quirks`]. Images are always requested as bytes: a vendor's link expires within
//! an hour.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{ClientDialect, ImageFormat, ImageTask, Usage};
use hearth_wire::ApiError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    form::Form,
    job::{MediaAnswer, MediaFile, MediaRequest, MediaResult, RequestBody},
    picture::image_bytes,
    rejection::reject_unsupported,
};
use crate::{answer_error::unreadable, json_document, lenient, provider::Call};

/// Differences between vendors that have this API: true for each supported field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct Quirks {
    /// `size`.
    pub size: bool,
    /// `quality`.
    pub quality: bool,
    /// `output_format` and `background`.
    pub format: bool,
    /// Images as input, at `/images/edits`.
    pub edits: bool,
    /// `seed`, `negative_prompt`, `steps`, `guidance_scale` and `strength`, as servers of diffusion models accept.
    pub samplers: bool,
}

/// OpenAI itself.
pub const OPENAI: Quirks = Quirks { size: true, quality: true, format: true, edits: true, samplers: false };

/// Builds the request for images.
pub(super) fn requests(
    base_url: &str,
    quirks: &Quirks,
    call: &Call,
    task: &ImageTask,
) -> Result<Vec<MediaRequest>, ApiError> {
    reject_unsupported("size", task.size.is_some() && !quirks.size)?;
    reject_unsupported("output_format", task.format.is_some() && !quirks.format)?;
    reject_unsupported("background", task.background.is_some() && !quirks.format)?;
    reject_unsupported("negative_prompt", task.negative_prompt.is_some() && !quirks.samplers)?;
    reject_unsupported("strength", task.strength.is_some() && !quirks.samplers)?;
    reject_unsupported("images", !task.images.is_empty() && !quirks.edits)?;
    let fields = fields(quirks, call, task);
    let (path, body) = if task.images.is_empty() {
        ("/images/generations", RequestBody::Json(Value::Object(fields)))
    } else {
        ("/images/edits", RequestBody::Form(form(&fields, task)?))
    };
    Ok(vec![MediaRequest { url: format!("{base_url}{path}"), body, accept: "application/json" }])
}

fn fields(quirks: &Quirks, call: &Call, task: &ImageTask) -> Map<String, Value> {
    let extra = &call.generation.extra;
    let is_same_dialect = extra.dialect == ClientDialect::OpenAiImages;
    let mut fields = if is_same_dialect { extra.fields.clone() } else { Map::new() };
    let model = call.model.as_str();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    set("model", Some(json!(model)));
    set("prompt", Some(json!(task.prompt)));
    set("n", (task.count > 1).then(|| json!(task.count)));
    set("size", task.size.map(|size| json!(size.to_string())));
    set("quality", task.quality.as_ref().filter(|_| quirks.quality).map(|quality| json!(quality)));
    set("output_format", task.format.map(ImageFormat::as_str).map(Value::from));
    set("background", task.background.as_ref().map(|background| json!(background)));
    // OpenAI's newer models always return bytes, and refuse this field.
    set("response_format", (!model.contains("gpt-image")).then(|| json!("b64_json")));
    if quirks.samplers {
        set("seed", task.seed.map(Value::from));
        set("negative_prompt", task.negative_prompt.as_ref().map(|prompt| json!(prompt)));
        set("steps", task.steps.map(Value::from));
        set("guidance_scale", task.guidance.map(Value::from));
        set("strength", task.strength.map(Value::from));
    }
    fields
}

/// Builds the form of the fields and the input images.
fn form(fields: &Map<String, Value>, task: &ImageTask) -> Result<Form, ApiError> {
    let mut form = Form::default();
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form = form.text(name.clone(), text);
    }
    for image in &task.images {
        let (media_type, bytes) = image_bytes(image)?;
        form = form.file(if task.images.len() > 1 { "image[]" } else { "image" }, media_type, bytes);
    }
    if let Some(mask) = &task.mask {
        let (media_type, bytes) = image_bytes(mask)?;
        form = form.file("mask", media_type, bytes);
    }
    Ok(form)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct List {
    #[serde(deserialize_with = "lenient::objects")]
    data: Vec<Item>,
    #[serde(deserialize_with = "lenient::object")]
    usage: Option<ListUsage>,
    error: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    #[serde(deserialize_with = "lenient::text")]
    b64_json: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    url: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    revised_prompt: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListUsage {
    #[serde(deserialize_with = "lenient::count")]
    input_tokens: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    output_tokens: Option<u32>,
}

pub(super) fn read(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let list: List = json_document::parse(&answer.bytes)?;
    json_document::check(&answer.bytes, &list.error, list.data.is_empty())?;
    let file = |item: Item| {
        let Item { b64_json, url, revised_prompt } = item;
        let inline = url.as_deref().and_then(|url| url.split_once(";base64,")).map(|(_, data)| data);
        let data = b64_json.as_deref().or(inline);
        let data = data.ok_or_else(|| unreadable("it has a link in place of an image"))?;
        let bytes = STANDARD.decode(data).map_err(|_| unreadable("an image isn't base64"))?;
        let revised_prompt = revised_prompt.filter(|prompt| !prompt.is_empty());
        Ok(MediaFile { bytes, revised_prompt })
    };
    let files = list.data.into_iter().map(file).collect::<Result<_, ApiError>>()?;
    let usage = list.usage.map(|usage| Usage {
        prompt_tokens: usage.input_tokens.unwrap_or_default(),
        completion_tokens: usage.output_tokens.unwrap_or_default(),
        ..Usage::default()
    });
    Ok(MediaResult { files, usage, ..MediaResult::default() })
}
