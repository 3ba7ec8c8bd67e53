//! Stability's REST API (<https://platform.stability.ai/docs/api-reference>), version `v2beta`: forms in, files
//! out. Sizes are shapes there.

use hearth_domain::{ImageFormat, ImageTask, MeshTask};
use hearth_wire::{ApiError, ErrorCode};

use super::{
    Answer, Ask, Body, Form, Made, MadeFile,
    picture::{bytes_of, ratio},
    refused, takes_no_mesh, unsayable,
};

/// The shapes that it draws.
const SHAPES: [(u32, u32); 9] = [(1, 1), (16, 9), (21, 9), (2, 3), (3, 2), (4, 5), (5, 4), (9, 16), (9, 21)];
/// How much an image is changed where nobody says so.
const STRENGTH: f32 = 0.6;
/// The models that make meshes.
const MESHES: [&str; 2] = ["stable-fast-3d", "stable-point-aware-3d"];

pub(super) fn images(base: &str, model: &str, task: &ImageTask) -> Result<Vec<Ask>, ApiError> {
    unsayable("mask", task.mask.is_some())?;
    unsayable("background", task.background.as_deref().is_some_and(|background| background != "auto"))?;
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
            return Err(ApiError::invalid("images", "core starts from no image; ultra and sd3.5 do"));
        }
        [image] => Some(bytes_of(image)?),
        _ => return Err(ApiError::invalid("images", "this provider starts from one image")),
    };
    // Changed images keep the shape that they have.
    let shape = match task.size {
        Some(size) if image.is_none() => Some(ratio(size, &SHAPES)?),
        Some(_) if service == "sd3" => {
            return Err(ApiError::invalid("size", "size can't be said for an image that is changed"));
        }
        Some(size) => Some(ratio(size, &SHAPES)?),
        None => None,
    };
    let ask = |number: u32| {
        let mut form = Form::default()
            .text("prompt", &task.prompt)
            .maybe("model", named)
            .maybe("negative_prompt", task.negative_prompt.as_ref())
            .maybe("aspect_ratio", shape.as_ref())
            // One seed would give the same image again.
            .maybe("seed", task.seed.map(|seed| seed.wrapping_add(number)))
            .maybe("cfg_scale", task.guidance.filter(|_| service == "sd3"))
            .text("output_format", task.format.unwrap_or(ImageFormat::Png).as_str());
        if let Some((media_type, bytes)) = &image {
            form = form
                .maybe("mode", (service == "sd3").then_some("image-to-image"))
                .text("strength", task.strength.unwrap_or(STRENGTH))
                .file("image", media_type, bytes.clone());
        }
        Ask {
            url: format!("{base}/v2beta/stable-image/generate/{service}"),
            body: Body::Form(form),
            accept: "image/*",
        }
    };
    Ok((0..task.count).map(ask).collect())
}

pub(super) fn mesh(base: &str, model: &str, task: &MeshTask) -> Result<Vec<Ask>, ApiError> {
    if !MESHES.contains(&model) {
        return Err(no_such_model(model, &MESHES.join(" and ")));
    }
    if task.mesh.is_some() {
        return Err(takes_no_mesh());
    }
    let Some(image) = &task.image else {
        let message =
            format!("{model} makes a mesh of an image: make one first, and send it in input.images");
        return Err(ApiError::invalid("images", message));
    };
    unsayable("prompt", task.prompt.as_ref().is_some_and(|prompt| !prompt.trim().is_empty()))?;
    let (media_type, bytes) = bytes_of(image)?;
    let point_aware = model == "stable-point-aware-3d";
    let form = Form::default()
        .maybe("texture_resolution", task.texture_size)
        .maybe("seed", task.seed.filter(|_| point_aware))
        .maybe("guidance_scale", task.guidance.filter(|_| point_aware))
        .file("image", media_type, bytes);
    let url = format!("{base}/v2beta/3d/{model}");
    Ok(vec![Ask { url, body: Body::Form(form), accept: "model/gltf-binary" }])
}

/// A file as it is. One that was found unfit is blurred, and a header says so.
pub(super) fn read(answer: &Answer) -> Result<Made, ApiError> {
    let reason = answer.headers.get("finish-reason").and_then(|value| value.to_str().ok());
    if let Some(reason) = reason.filter(|reason| *reason == "CONTENT_FILTERED") {
        return Err(refused(reason));
    }
    let file = MadeFile { bytes: answer.bytes.to_vec(), ..MadeFile::default() };
    Ok(Made { files: vec![file], ..Made::default() })
}

fn no_such_model(model: &str, there: &str) -> ApiError {
    let shown: String = model.chars().take(100).collect();
    let message = format!("Stability has no model {shown:?} for this; there are {there}");
    ApiError::new(ErrorCode::ModelNotFound, message).at("model")
}
