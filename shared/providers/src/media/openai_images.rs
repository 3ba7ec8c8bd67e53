//! Images by OpenAI's API (<https://platform.openai.com/docs/api-reference/images>), spoken with [`Habits`] by
//! several vendors and servers. They are always asked for as bytes: a link of the vendor's ends within an hour.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{ClientDialect, ImageFormat, ImageTask, Usage};
use hearth_wire::ApiError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Ask, Body, Form, Made, MadeFile, document, picture::bytes_of, unsayable};
use crate::{Call, dialect::unreadable, lenient};

/// How a vendor speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub struct Habits {
    /// Whether `size` is taken.
    pub size: bool,
    /// Whether `quality` is.
    pub quality: bool,
    /// Whether `output_format` and `background` are.
    pub format: bool,
    /// Whether images are changed at `/images/edits`.
    pub edits: bool,
    /// Whether `seed`, `negative_prompt`, `steps`, `guidance_scale` and `strength` are taken, as servers of
    /// diffusion models do.
    pub samplers: bool,
}

/// As OpenAI itself.
pub const OPENAI: Habits = Habits { size: true, quality: true, format: true, edits: true, samplers: false };

pub(super) fn asks(base: &str, habits: &Habits, call: &Call, task: &ImageTask) -> Result<Vec<Ask>, ApiError> {
    unsayable("size", task.size.is_some() && !habits.size)?;
    unsayable("output_format", task.format.is_some() && !habits.format)?;
    unsayable("background", task.background.is_some() && !habits.format)?;
    unsayable("negative_prompt", task.negative_prompt.is_some() && !habits.samplers)?;
    unsayable("strength", task.strength.is_some() && !habits.samplers)?;
    unsayable("images", !task.images.is_empty() && !habits.edits)?;
    let fields = fields(habits, call, task);
    let (path, body) = if task.images.is_empty() {
        ("/images/generations", Body::Json(Value::Object(fields)))
    } else {
        ("/images/edits", Body::Form(form(&fields, task)?))
    };
    Ok(vec![Ask { url: format!("{base}{path}"), body, accept: "application/json" }])
}

fn fields(habits: &Habits, call: &Call, task: &ImageTask) -> Map<String, Value> {
    let extra = &call.generation.extra;
    let same = extra.dialect == ClientDialect::OpenAiImages;
    let mut fields = if same { extra.fields.clone() } else { Map::new() };
    let model = call.model.as_str();
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    say("model", Some(json!(model)));
    say("prompt", Some(json!(task.prompt)));
    say("n", (task.count > 1).then(|| json!(task.count)));
    say("size", task.size.map(|size| json!(size.to_string())));
    say("quality", task.quality.as_ref().filter(|_| habits.quality).map(|quality| json!(quality)));
    say("output_format", task.format.map(ImageFormat::as_str).map(Value::from));
    say("background", task.background.as_ref().map(|background| json!(background)));
    // OpenAI's newer models know bytes alone, and refuse to be asked for them.
    say("response_format", (!model.contains("gpt-image")).then(|| json!("b64_json")));
    if habits.samplers {
        say("seed", task.seed.map(Value::from));
        say("negative_prompt", task.negative_prompt.as_ref().map(|prompt| json!(prompt)));
        say("steps", task.steps.map(Value::from));
        say("guidance_scale", task.guidance.map(Value::from));
        say("strength", task.strength.map(Value::from));
    }
    fields
}

/// The same fields and the images to change.
fn form(fields: &Map<String, Value>, task: &ImageTask) -> Result<Form, ApiError> {
    let mut form = Form::default();
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form = form.text(name.clone(), text);
    }
    for image in &task.images {
        let (media_type, bytes) = bytes_of(image)?;
        form = form.file(if task.images.len() > 1 { "image[]" } else { "image" }, media_type, bytes);
    }
    if let Some(mask) = &task.mask {
        let (media_type, bytes) = bytes_of(mask)?;
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

pub(super) fn read(answer: &Answer) -> Result<Made, ApiError> {
    let list: List = document::parse(answer)?;
    document::check(answer, &list.error, list.data.is_empty())?;
    let file = |item: Item| {
        let Item { b64_json, url, revised_prompt } = item;
        let here = url.as_deref().and_then(|url| url.split_once(";base64,")).map(|(_, data)| data);
        let data = b64_json.as_deref().or(here);
        let data = data.ok_or_else(|| unreadable("it has a link in place of an image"))?;
        let bytes = STANDARD.decode(data).map_err(|_| unreadable("an image isn't base64"))?;
        let revised_prompt = revised_prompt.filter(|prompt| !prompt.is_empty());
        Ok(MadeFile { bytes, revised_prompt })
    };
    let files = list.data.into_iter().map(file).collect::<Result<_, ApiError>>()?;
    let usage = list.usage.map(|usage| Usage {
        prompt_tokens: usage.input_tokens.unwrap_or_default(),
        completion_tokens: usage.output_tokens.unwrap_or_default(),
        ..Usage::default()
    });
    Ok(Made { files, usage, ..Made::default() })
}
