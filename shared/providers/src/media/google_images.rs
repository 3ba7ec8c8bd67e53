//! Images by Google: Gemini's `generateContent` (<https://ai.google.dev/gemini-api/docs/image-generation>), one per
//! request, and Imagen's `predict` (<https://ai.google.dev/gemini-api/docs/imagen>), at most four. Both accept an aspect
//! ratio in place of a size.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{ImageTask, Size, Usage};
use hearth_wire::ApiError;
use serde_json::{Value, json};

use super::{
    job::{MediaAnswer, MediaFile, MediaRequest, MediaResult, ReadAnswer, RequestBody},
    picture::{aspect_ratio, image_bytes},
    rejection::{content_refused, reject_unsupported},
};
use crate::{answer_error::unreadable, dialect::gemini, json_document::parse_json};

/// Aspect ratios of Gemini.
const GEMINI_RATIOS: [(u32, u32); 10] =
    [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// Aspect ratios of Imagen.
const IMAGEN_RATIOS: [(u32, u32); 5] = [(1, 1), (3, 4), (4, 3), (9, 16), (16, 9)];
/// Maximum number of images in one request to Imagen.
const IMAGEN_BATCH_MAX_COUNT: u32 = 4;

/// Builds the requests for images, and names the reader of their answers.
pub(super) fn requests(
    base_url: &str,
    model: &str,
    task: &ImageTask,
) -> Result<(Vec<MediaRequest>, ReadAnswer), ApiError> {
    reject_unsupported("mask", task.mask.is_some())?;
    reject_unsupported(
        "background",
        task.background.as_deref().is_some_and(|background| background != "auto"),
    )?;
    reject_unsupported("negative_prompt", task.negative_prompt.is_some())?;
    reject_unsupported("strength", task.strength.is_some())?;
    if model.contains("imagen") {
        Ok((imagen(base_url, model, task)?, read_imagen))
    } else {
        Ok((gemini(base_url, model, task)?, read_gemini))
    }
}

fn gemini(base_url: &str, model: &str, task: &ImageTask) -> Result<Vec<MediaRequest>, ApiError> {
    reject_unsupported("output_format", task.format.is_some())?;
    let mut parts = vec![json!({"text": task.prompt})];
    for image in &task.images {
        let (media_type, bytes) = image_bytes(image)?;
        parts.push(json!({"inlineData": {"mimeType": media_type, "data": STANDARD.encode(bytes)}}));
    }
    let mut config = json!({"responseModalities": ["TEXT", "IMAGE"]});
    if let Some(size) = task.size {
        config["imageConfig"] = json!({"aspectRatio": aspect_ratio(size, &GEMINI_RATIOS)?});
        if gemini::family(model).is_some_and(|family| family >= 3) {
            config["imageConfig"]["imageSize"] = json!(resolution(size));
        }
    }
    if let Some(seed) = task.seed {
        config["seed"] = json!(seed.cast_signed());
    }
    let body = json!({"contents": [{"role": "user", "parts": parts}], "generationConfig": config});
    let url = format!("{base_url}{}", gemini::path_to(model, "generateContent")?);
    let request = |_| MediaRequest {
        url: url.clone(),
        body: RequestBody::Json(body.clone()),
        accept: "application/json",
    };
    Ok((0..task.count).map(request).collect())
}

/// Google's name of the resolution of a size.
fn resolution(size: Size) -> &'static str {
    match size.width.max(size.height) {
        0..=1536 => "1K",
        1537..=3072 => "2K",
        _ => "4K",
    }
}

fn read_gemini(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let answer = parse_json(&answer.bytes)?;
    let parts = |candidate: &Value| candidate["content"]["parts"].as_array().cloned().unwrap_or_default();
    let candidates = answer["candidates"].as_array().cloned().unwrap_or_default();
    let mut files = Vec::new();
    // Images among the thoughts are drafts.
    for part in candidates.iter().flat_map(parts).filter(|part| part["thought"] != true) {
        if let Some(data) = part["inlineData"]["data"].as_str() {
            let bytes = STANDARD.decode(data).map_err(|_| unreadable("an image isn't base64"))?;
            files.push(MediaFile { bytes, ..MediaFile::default() });
        }
    }
    if files.is_empty() {
        return Err(no_image(&answer));
    }
    let count = |name: &str| {
        let count = answer["usageMetadata"][name].as_u64().unwrap_or_default();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let usage = answer["usageMetadata"].is_object().then(|| Usage {
        prompt_tokens: count("promptTokenCount"),
        completion_tokens: count("candidatesTokenCount").saturating_add(count("thoughtsTokenCount")),
        cache_write_tokens: 0,
        cached_tokens: count("cachedContentTokenCount"),
        reasoning_tokens: count("thoughtsTokenCount"),
    });
    Ok(MediaResult { files, usage, ..MediaResult::default() })
}

/// The error for an answer without an image: a refusal, unless the reason is a regular end such as `STOP`.
fn no_image(answer: &Value) -> ApiError {
    let reason = answer["promptFeedback"]["blockReason"].as_str();
    let reason = reason.or(answer["candidates"][0]["finishReason"].as_str()).unwrap_or("OTHER");
    match reason {
        "STOP" | "MAX_TOKENS" | "NO_IMAGE" | "IMAGE_OTHER" | "OTHER" => {
            unreadable(format!("it has no image ({reason})"))
        }
        reason => content_refused(reason),
    }
}

fn imagen(base_url: &str, model: &str, task: &ImageTask) -> Result<Vec<MediaRequest>, ApiError> {
    reject_unsupported("images", !task.images.is_empty())?;
    let mut parameters = json!({"includeRaiReason": true});
    if let Some(size) = task.size {
        parameters["aspectRatio"] = json!(aspect_ratio(size, &IMAGEN_RATIOS)?);
        if size.width.max(size.height) > 1536 {
            parameters["sampleImageSize"] = json!("2K");
        }
    }
    if let Some(format) = task.format {
        parameters["outputOptions"] = json!({"mimeType": format.media_type()});
    }
    let full = task.count / IMAGEN_BATCH_MAX_COUNT;
    let rest = task.count % IMAGEN_BATCH_MAX_COUNT;
    let counts = (0..full).map(|_| IMAGEN_BATCH_MAX_COUNT).chain((rest > 0).then_some(rest));
    let url = format!("{base_url}{}", gemini::path_to(model, "predict")?);
    let request = |count| {
        let mut parameters = parameters.clone();
        parameters["sampleCount"] = json!(count);
        MediaRequest {
            url: url.clone(),
            body: RequestBody::Json(
                json!({"instances": [{"prompt": task.prompt}], "parameters": parameters}),
            ),
            accept: "application/json",
        }
    };
    Ok(counts.map(request).collect())
}

fn read_imagen(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let answer = parse_json(&answer.bytes)?;
    let predictions = answer["predictions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut files = Vec::new();
    for prediction in predictions {
        if let Some(data) = prediction["bytesBase64Encoded"].as_str() {
            let bytes = STANDARD.decode(data).map_err(|_| unreadable("an image isn't base64"))?;
            let revised_prompt = prediction["prompt"].as_str().map(str::to_owned);
            files.push(MediaFile { bytes, revised_prompt });
        }
    }
    if files.is_empty() {
        let reason = predictions.iter().find_map(|prediction| prediction["raiFilteredReason"].as_str());
        // Imagen answers without predictions if it refuses.
        return Err(content_refused(reason.unwrap_or("filtered")));
    }
    Ok(MediaResult { files, ..MediaResult::default() })
}
