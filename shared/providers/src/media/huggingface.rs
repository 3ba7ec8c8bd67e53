//! Hugging Face's own inference (<https://huggingface.co/docs/inference-providers/tasks/text-to-image>), behind
//! its router, or a dedicated endpoint at the base URL. An image or a mesh is the body of the answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{EmbeddingTask, ImageFormat, ImageTask, Mesh, MeshTask};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{
    embeddings::text,
    job::{MediaAnswer, MediaFile, MediaRequest, MediaResult, RequestBody},
    picture::image_bytes,
    rejection::{mesh_input_unsupported, reject_unsupported},
};
use crate::{json_document, url_path::model_path};

/// The router's name of Hugging Face's own inference; each of the other providers behind the router has its own API.
const HF_INFERENCE: &str = "hf-inference";

/// Returns a model's URL. A base URL that doesn't end in the chat API's version is a dedicated endpoint.
fn model_url(base_url: &str, model: &str) -> Result<String, ApiError> {
    let Some(root) = base_url.strip_suffix("/v1") else { return Ok(base_url.to_owned()) };
    let (model, provider) = model.split_once(':').unwrap_or((model, HF_INFERENCE));
    if provider != HF_INFERENCE {
        let message = format!(
            "images, meshes and vectors come only from the provider {HF_INFERENCE}; leave :{provider} out of the model's name"
        );
        return Err(ApiError::invalid("model", message));
    }
    Ok(format!("{root}/{HF_INFERENCE}/models/{}", model_path(model)?))
}

pub(super) fn images(base_url: &str, model: &str, task: &ImageTask) -> Result<Vec<MediaRequest>, ApiError> {
    reject_unsupported("mask", task.mask.is_some())?;
    reject_unsupported(
        "background",
        task.background.as_deref().is_some_and(|background| background != "auto"),
    )?;
    reject_unsupported("strength", task.strength.is_some())?;
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), value);
        }
    };
    set("negative_prompt", task.negative_prompt.as_ref().map(|prompt| json!(prompt)));
    set("num_inference_steps", task.steps.map(Value::from));
    set("guidance_scale", task.guidance.map(Value::from));
    let inputs = match task.images.as_slice() {
        [] => {
            set("width", task.size.map(|size| json!(size.width)));
            set("height", task.size.map(|size| json!(size.height)));
            json!(task.prompt)
        }
        [image] => {
            set("prompt", Some(json!(task.prompt)));
            set("target_size", task.size.map(|size| json!({"width": size.width, "height": size.height})));
            json!(STANDARD.encode(image_bytes(image)?.1))
        }
        _ => return Err(ApiError::invalid("images", "this provider accepts one image at most")),
    };
    let url = model_url(base_url, model)?;
    let request = |number: u32| {
        let mut parameters = parameters.clone();
        // With the same seed all images would be the same.
        if let Some(seed) = task.seed {
            parameters.insert("seed".to_owned(), json!(seed.wrapping_add(number)));
        }
        MediaRequest {
            url: url.clone(),
            body: RequestBody::Json(json!({"inputs": inputs, "parameters": parameters})),
            accept: task.format.map_or("image/png", ImageFormat::media_type),
        }
    };
    Ok((0..task.count).map(request).collect())
}

pub(super) fn mesh(base_url: &str, model: &str, task: &MeshTask) -> Result<Vec<MediaRequest>, ApiError> {
    reject_unsupported("texture_size", task.texture_size.is_some())?;
    let mut parameters = Map::new();
    parameters.extend(task.seed.map(|seed| ("seed".to_owned(), json!(seed))));
    parameters.extend(task.guidance.map(|guidance| ("guidance_scale".to_owned(), json!(guidance))));
    // The router's own models don't accept a mesh; a dedicated endpoint may.
    if task.mesh.is_some() && base_url.ends_with("/v1") {
        return Err(mesh_input_unsupported());
    }
    let inputs = match (&task.mesh, &task.image) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "images",
                "this provider makes a mesh from a mesh or from an image, not from both",
            ));
        }
        (Some(Mesh::Data(data)), None) => {
            parameters.extend(task.prompt.as_ref().map(|prompt| ("prompt".to_owned(), json!(prompt))));
            json!(data)
        }
        // The gateway has replaced artifacts by their files.
        (Some(Mesh::Artifact(_)), None) => return Err(mesh_input_unsupported()),
        (None, Some(image)) => {
            parameters.extend(task.prompt.as_ref().map(|prompt| ("prompt".to_owned(), json!(prompt))));
            json!(STANDARD.encode(image_bytes(image)?.1))
        }
        (None, None) => json!(task.prompt),
    };
    let body = RequestBody::Json(json!({"inputs": inputs, "parameters": parameters}));
    Ok(vec![MediaRequest { url: model_url(base_url, model)?, body, accept: "model/gltf-binary" }])
}

/// Reads the file that the answer's body is. An error in JSON with status 200 is detected later, by its first bytes.
pub(super) fn read_file(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let file = MediaFile { bytes: answer.bytes.to_vec(), ..MediaFile::default() };
    Ok(MediaResult { files: vec![file], ..MediaResult::default() })
}

pub(super) fn embeddings(
    base_url: &str,
    model: &str,
    task: &EmbeddingTask,
) -> Result<Vec<MediaRequest>, ApiError> {
    let texts = task.inputs.iter().map(text).collect::<Result<Vec<&str>, ApiError>>()?;
    let url = model_url(base_url, model)?;
    let url = if url == base_url { url } else { format!("{url}/pipeline/feature-extraction") };
    let body = RequestBody::Json(json!({"inputs": texts, "normalize": true}));
    Ok(vec![MediaRequest { url, body, accept: "application/json" }])
}

pub(super) fn read_vectors(answer: &MediaAnswer) -> Result<MediaResult, ApiError> {
    let vectors = json_document::parse(&answer.bytes)?;
    Ok(MediaResult { vectors, ..MediaResult::default() })
}
