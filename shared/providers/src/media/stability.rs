//! Stability's REST API (<https://platform.stability.ai/docs/api-reference>), version `v2beta`: requests are
//! forms, answers are files, and an aspect ratio stands in place of a size.

use hearth_domain::{ImageFormat, ImageTask, MeshTask};
use hearth_wire::{ApiError, ErrorCode};

use super::{
    form::Form,
    job::{MediaAnswer, MediaFile, MediaRequest, MediaResult, RequestBody},
    picture::{aspect_ratio, image_bytes},
    rejection::{content_refused, mesh_input_unsupported, reject_unsupported},
};

/// Supported aspect ratios.
const RATIOS: [(u32, u32); 9] = [(1, 1), (16, 9), (21, 9), (2, 3), (3, 2), (4, 5), (5, 4), (9, 16), (9, 21)];
/// Default strength of the change of an input image.
const DEFAULT_STRENGTH: f32 = 0.6;
/// Models for meshes.
const MESH_MODELS: [&str; 2] = ["stable-fast-3d", "stable-point-aware-3d"];

pub(super) fn images(base_url: &str, model: &str, task: &ImageTask) -> Result<Vec<MediaRequest>, ApiError> {
    reject_unsupported("mask", task.mask.is_some())?;
    reject_unsupported(
        "background",
        task.background.as_deref().is_some_and(|background| background != "auto"),
    )?;
    let (service, named) = match model.strip_prefix("stable-image-").unwrap_or(model) {
        name @ ("core" | "ultra") => (name, None),
        name if name.starts_with("sd3") => ("sd3", Some(name)),
        _ => {
            return Err(no_such_model(model, "core, ultra, sd3.5-large, sd3.5-large-turbo and sd3.5-medium"));
        }
    };
    let image = match task.images.as_slice() {
        [] => None,
        [_] if service == "core" => {
            return Err(ApiError::invalid("images", "core doesn't accept an image; ultra and sd3.5 do"));
        }
        [image] => Some(image_bytes(image)?),
        _ => return Err(ApiError::invalid("images", "this provider accepts one image at most")),
    };
    // A changed image keeps its aspect ratio.
    let ratio = match task.size {
        Some(size) if image.is_none() => Some(aspect_ratio(size, &RATIOS)?),
        Some(_) if service == "sd3" => {
            return Err(ApiError::invalid("size", "size must be left out where an image is changed"));
        }
        Some(size) => Some(aspect_ratio(size, &RATIOS)?),
        None => None,
    };
    let request = |number: u32| {
        let mut form = Form::default()
            .text("prompt", &task.prompt)
            .optional("model", named)
            .optional("negative_prompt", task.negative_prompt.as_ref())
            .optional("aspect_ratio", ratio.as_ref())
            // With the same seed all images would be the same.
            .optional("seed", task.seed.map(|seed| seed.wrapping_add(number)))
            .optional("cfg_scale", task.guidance.filter(|_| service == "sd3"))
            .text("output_format", task.format.unwrap_or(ImageFormat::Png).as_str());
        if let Some((media_type, bytes)) = &image {
            form = form
                .optional("mode", (service == "sd3").then_some("image-to-image"))
                .text("strength", task.strength.unwrap_or(DEFAULT_STRENGTH))
                .file("image", media_type, bytes.clone());
        }
        MediaRequest {
            url: format!("{base_url}/v2beta/stable-image/generate/{service}"),
            body: RequestBody::Form(form),
            accept: "image/*",
        }
    };
    Ok((0..task.count).map(request).collect())
}

pub(super) fn mesh(base_url: &str, model: &str, task: &MeshTask) -> Result<Vec<MediaRequest>, ApiError> {
    if !MESH_MODELS.contains(&model) {
        return Err(no_such_model(model, &MESH_MODELS.join(" and ")));
    }
    if task.mesh.is_some() {
        return Err(mesh_input_unsupported());
    }
    let Some(image) = &task.image else {
        let message =
            format!("{model} makes a mesh from an image: make one first, and send it in input.images");
        return Err(ApiError::invalid("images", message));
    };
    reject_unsupported("prompt", task.prompt.as_ref().is_some_and(|prompt| !prompt.trim().is_empty()))?;
    let (media_type, bytes) = image_bytes(image)?;
    let point_aware = model == "stable-point-aware-3d";
    let form = Form::default()
        .optional("texture_resolution", task.texture_size)
        .optional("seed", task.seed.filter(|_| point_aware))
        .optional("guidance_scale", task.guidance.filter(|_| point_aware))
        .file("image", media_type, bytes);
    let url = format!("{base_url}/v2beta/3d/{model}");
    Ok(vec![MediaRequest { url, body: RequestBody::Form(form), accept: "model/gltf-binary" }])
}

/// Reads the file that the answer's body is. A header marks a file that is blurred because of its content.
pub(super) fn read(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let reason = answer.headers.get("finish-reason").and_then(|value| value.to_str().ok());
    if let Some(reason) = reason.filter(|reason| *reason == "CONTENT_FILTERED") {
        return Err(content_refused(reason));
    }
    let file = MediaFile { bytes: answer.bytes.to_vec(), ..MediaFile::default() };
    Ok(MediaResult { files: vec![file], ..MediaResult::default() })
}

fn no_such_model(model: &str, alternatives: &str) -> ApiError {
    let shown: String = model.chars().take(100).collect();
    let message = format!("Stability has no model {shown:?} for this task; its models are {alternatives}");
    ApiError::new(ErrorCode::ModelNotFound, message).at("model")
}
