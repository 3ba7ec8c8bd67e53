//! Hugging Face's own inference (<https://huggingface.co/docs/inference-providers/tasks/text-to-image>), behind
//! its router, or an endpoint of one's own at the base URL. Files come as they are.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{EmbeddingTask, ImageFormat, ImageTask, Mesh, MeshTask};
use hearth_wire::ApiError;
use serde_json::{Map, Value, json};

use super::{
    Answer, Ask, Body, Made, MadeFile, document, embeddings::text, picture::bytes_of, takes_no_mesh,
    unsayable,
};
use crate::url_path::model_path;

/// The router's path to its own inference; what else it leads to has an API of its own each.
const OWN: &str = "hf-inference";

/// Where a model is. A base URL without the version of the chat API is an endpoint's.
fn place(base: &str, model: &str) -> Result<String, ApiError> {
    let Some(root) = base.strip_suffix("/v1") else { return Ok(base.to_owned()) };
    let (model, provider) = model.split_once(':').unwrap_or((model, OWN));
    if provider != OWN {
        let message = format!(
            "of the router's providers only {OWN} is asked for what isn't text; leave :{provider} out of the model's name"
        );
        return Err(ApiError::invalid("model", message));
    }
    Ok(format!("{root}/{OWN}/models/{}", model_path(model)?))
}

pub(super) fn images(base: &str, model: &str, task: &ImageTask) -> Result<Vec<Ask>, ApiError> {
    unsayable("mask", task.mask.is_some())?;
    unsayable("background", task.background.as_deref().is_some_and(|background| background != "auto"))?;
    unsayable("strength", task.strength.is_some())?;
    let mut parameters = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), value);
        }
    };
    say("negative_prompt", task.negative_prompt.as_ref().map(|prompt| json!(prompt)));
    say("num_inference_steps", task.steps.map(Value::from));
    say("guidance_scale", task.guidance.map(Value::from));
    let inputs = match task.images.as_slice() {
        [] => {
            say("width", task.size.map(|size| json!(size.width)));
            say("height", task.size.map(|size| json!(size.height)));
            json!(task.prompt)
        }
        [image] => {
            say("prompt", Some(json!(task.prompt)));
            say("target_size", task.size.map(|size| json!({"width": size.width, "height": size.height})));
            json!(STANDARD.encode(bytes_of(image)?.1))
        }
        _ => return Err(ApiError::invalid("images", "this provider starts from one image")),
    };
    let url = place(base, model)?;
    let ask = |number: u32| {
        let mut parameters = parameters.clone();
        // One seed would give the same image again.
        if let Some(seed) = task.seed {
            parameters.insert("seed".to_owned(), json!(seed.wrapping_add(number)));
        }
        Ask {
            url: url.clone(),
            body: Body::Json(json!({"inputs": inputs, "parameters": parameters})),
            accept: task.format.map_or("image/png", ImageFormat::media_type),
        }
    };
    Ok((0..task.count).map(ask).collect())
}

pub(super) fn mesh(base: &str, model: &str, task: &MeshTask) -> Result<Vec<Ask>, ApiError> {
    unsayable("texture_size", task.texture_size.is_some())?;
    let mut parameters = Map::new();
    parameters.extend(task.seed.map(|seed| ("seed".to_owned(), json!(seed))));
    parameters.extend(task.guidance.map(|guidance| ("guidance_scale".to_owned(), json!(guidance))));
    // The router's own models take no mesh; what an endpoint of one's own takes is its owner's to say.
    if task.mesh.is_some() && base.ends_with("/v1") {
        return Err(takes_no_mesh());
    }
    let inputs = match (&task.mesh, &task.image) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "images",
                "this provider makes a mesh of a mesh or of an image, not of both",
            ));
        }
        (Some(Mesh::Data(data)), None) => {
            parameters.extend(task.prompt.as_ref().map(|prompt| ("prompt".to_owned(), json!(prompt))));
            json!(data)
        }
        // The gateway has put the file in its place.
        (Some(Mesh::Artifact(_)), None) => return Err(takes_no_mesh()),
        (None, Some(image)) => {
            parameters.extend(task.prompt.as_ref().map(|prompt| ("prompt".to_owned(), json!(prompt))));
            json!(STANDARD.encode(bytes_of(image)?.1))
        }
        (None, None) => json!(task.prompt),
    };
    let body = Body::Json(json!({"inputs": inputs, "parameters": parameters}));
    Ok(vec![Ask { url: place(base, model)?, body, accept: "model/gltf-binary" }])
}

/// A file as it is. An error in JSON with status 200 is told by its bytes, which are none of an image.
pub(super) fn read_file(answer: &Answer) -> Result<Made, ApiError> {
    let file = MadeFile { bytes: answer.bytes.to_vec(), ..MadeFile::default() };
    Ok(Made { files: vec![file], ..Made::default() })
}

pub(super) fn embeddings(base: &str, model: &str, task: &EmbeddingTask) -> Result<Vec<Ask>, ApiError> {
    let texts = task.inputs.iter().map(text).collect::<Result<Vec<&str>, ApiError>>()?;
    let place = place(base, model)?;
    let url = if place == base { place } else { format!("{place}/pipeline/feature-extraction") };
    let body = Body::Json(json!({"inputs": texts, "normalize": true}));
    Ok(vec![Ask { url, body, accept: "application/json" }])
}

pub(super) fn read_vectors(answer: &Answer) -> Result<Made, ApiError> {
    let vectors = document::parse(answer)?;
    Ok(Made { vectors, ..Made::default() })
}
