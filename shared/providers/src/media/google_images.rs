//! Images by Google: Gemini's `generateContent` (<https://ai.google.dev/gemini-api/docs/image-generation>), one at
//! a time, and Imagen's `predict` (<https://ai.google.dev/gemini-api/docs/imagen>), four at most. Sizes are shapes
//! there.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{ImageTask, Size, Usage};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{
    Answer, Ask, Body, Made, MadeFile, Read, json,
    picture::{bytes_of, ratio},
    refused, unsayable,
};
use crate::dialect::{gemini, unreadable};

/// The shapes that Gemini draws.
const GEMINI: [(u32, u32); 10] =
    [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// The shapes that Imagen draws.
const IMAGEN: [(u32, u32); 5] = [(1, 1), (3, 4), (4, 3), (9, 16), (16, 9)];
/// How many Imagen draws at once.
const IMAGEN_BATCH: u32 = 4;

pub(super) fn job(base: &str, model: &str, task: &ImageTask) -> Result<(Vec<Ask>, Read), ApiError> {
    unsayable("mask", task.mask.is_some())?;
    unsayable("background", task.background.as_deref().is_some_and(|background| background != "auto"))?;
    unsayable("negative_prompt", task.negative_prompt.is_some())?;
    unsayable("strength", task.strength.is_some())?;
    if model.contains("imagen") {
        Ok((imagen(base, model, task)?, read_imagen))
    } else {
        Ok((gemini(base, model, task)?, read_gemini))
    }
}

fn gemini(base: &str, model: &str, task: &ImageTask) -> Result<Vec<Ask>, ApiError> {
    unsayable("output_format", task.format.is_some())?;
    let mut parts = vec![json!({"text": task.prompt})];
    for image in &task.images {
        let (media_type, bytes) = bytes_of(image)?;
        parts.push(json!({"inlineData": {"mimeType": media_type, "data": STANDARD.encode(bytes)}}));
    }
    let mut config = json!({"responseModalities": ["TEXT", "IMAGE"]});
    if let Some(size) = task.size {
        config["imageConfig"] = json!({"aspectRatio": ratio(size, &GEMINI)?});
        if gemini::family(model).is_some_and(|family| family >= 3) {
            config["imageConfig"]["imageSize"] = json!(resolution(size));
        }
    }
    if let Some(seed) = task.seed {
        config["seed"] = json!(seed.cast_signed());
    }
    let body = json!({"contents": [{"role": "user", "parts": parts}], "generationConfig": config});
    let url = format!("{base}{}", gemini::path_to(model, "generateContent")?);
    let ask = |_| Ask { url: url.clone(), body: Body::Json(body.clone()), accept: "application/json" };
    Ok((0..task.count).map(ask).collect())
}

/// How fine an image is, in Google's words.
fn resolution(size: Size) -> &'static str {
    match size.width.max(size.height) {
        0..=1536 => "1K",
        1537..=3072 => "2K",
        _ => "4K",
    }
}

fn read_gemini(answer: &Answer) -> Result<Made, ApiError> {
    let answer = json(answer)?;
    let parts = |candidate: &Value| candidate["content"]["parts"].as_array().cloned().unwrap_or_default();
    let candidates = answer["candidates"].as_array().cloned().unwrap_or_default();
    let mut files = Vec::new();
    // What it draws while it thinks is no answer.
    for part in candidates.iter().flat_map(parts).filter(|part| part["thought"] != true) {
        if let Some(data) = part["inlineData"]["data"].as_str() {
            let bytes = STANDARD.decode(data).map_err(|_| unreadable("an image isn't base64"))?;
            files.push(MadeFile { bytes, ..MadeFile::default() });
        }
    }
    if files.is_empty() {
        return Err(none_drawn(&answer));
    }
    let count = |name: &str| {
        let count = answer["usageMetadata"][name].as_u64().unwrap_or_default();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let usage = answer["usageMetadata"].is_object().then(|| Usage {
        prompt_tokens: count("promptTokenCount"),
        completion_tokens: count("candidatesTokenCount").saturating_add(count("thoughtsTokenCount")),
        cached_tokens: count("cachedContentTokenCount"),
        reasoning_tokens: count("thoughtsTokenCount"),
    });
    Ok(Made { files, usage, ..Made::default() })
}

/// Why there is no image. What Google won't show it names; `STOP` is an answer in words.
fn none_drawn(answer: &Value) -> ApiError {
    let reason = answer["promptFeedback"]["blockReason"].as_str();
    let reason = reason.or(answer["candidates"][0]["finishReason"].as_str()).unwrap_or("OTHER");
    match reason {
        "STOP" | "MAX_TOKENS" | "NO_IMAGE" | "IMAGE_OTHER" | "OTHER" => {
            unreadable(format!("it has no image ({reason})"))
        }
        reason => refused(reason),
    }
}

fn imagen(base: &str, model: &str, task: &ImageTask) -> Result<Vec<Ask>, ApiError> {
    unsayable("images", !task.images.is_empty())?;
    let mut parameters = json!({"includeRaiReason": true});
    if let Some(size) = task.size {
        parameters["aspectRatio"] = json!(ratio(size, &IMAGEN)?);
        if size.width.max(size.height) > 1536 {
            parameters["sampleImageSize"] = json!("2K");
        }
    }
    if let Some(format) = task.format {
        parameters["outputOptions"] = json!({"mimeType": format.media_type()});
    }
    let full = task.count / IMAGEN_BATCH;
    let rest = task.count % IMAGEN_BATCH;
    let counts = (0..full).map(|_| IMAGEN_BATCH).chain((rest > 0).then_some(rest));
    let url = format!("{base}{}", gemini::path_to(model, "predict")?);
    let ask = |count| {
        let mut parameters = parameters.clone();
        parameters["sampleCount"] = json!(count);
        Ask {
            url: url.clone(),
            body: Body::Json(json!({"instances": [{"prompt": task.prompt}], "parameters": parameters})),
            accept: "application/json",
        }
    };
    Ok(counts.map(ask).collect())
}

fn read_imagen(answer: &Answer) -> Result<Made, ApiError> {
    let answer = json(answer)?;
    let predictions = answer["predictions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut files = Vec::new();
    for prediction in predictions {
        if let Some(data) = prediction["bytesBase64Encoded"].as_str() {
            let bytes = STANDARD.decode(data).map_err(|_| unreadable("an image isn't base64"))?;
            let revised_prompt = prediction["prompt"].as_str().map(str::to_owned);
            files.push(MadeFile { bytes, revised_prompt });
        }
    }
    if files.is_empty() {
        let reason = predictions.iter().find_map(|prediction| prediction["raiFilteredReason"].as_str());
        // An answer without predictions is how Imagen says no.
        return Err(refused(reason.unwrap_or("filtered")));
    }
    Ok(Made { files, ..Made::default() })
}
