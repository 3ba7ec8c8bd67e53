//! Image and mesh tasks of native requests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{
    Field, Image, ImageFormat, ImageTask, InvalidTask, Mesh, MeshTask, Modality, Size,
    artifact::media_type_of, mesh::GLB, modality_of,
};

use super::{
    input::Input,
    request::{GenerateRequest, Parameters},
};
use crate::ApiError;

/// Returns the modality: that of the request, else that of the model's name, else a mesh if the input has one, else an image
/// if a model is named and a parameter is of images only, else text. A conversation is answered in text.
pub(super) fn modality(request: &GenerateRequest) -> Modality {
    let of_model = || {
        let model = request.model.as_deref().filter(|_| request.input.messages.is_none());
        // An embedding model is refused later, with its own message.
        model.map(modality_of).filter(|modality| *modality != Modality::Embedding)
    };
    let of_input = || request.input.mesh.is_some().then_some(Modality::ThreeD);
    let of_name = request.modality.or_else(of_model).or_else(of_input).unwrap_or(Modality::Text);
    // The name of a local model needn't say what it makes.
    let is_named = request.model.as_deref().is_some_and(|model| model != "auto");
    let is_image = of_name == Modality::Text
        && request.modality.is_none()
        && is_named
        && request.input.messages.is_none()
        && of_images_only(&request.parameters).iter().any(|(_, is_set)| *is_set);
    if is_image { Modality::Image } else { of_name }
}

/// Returns whether the words of the prompt may decide the modality: the request names neither a model nor a modality,
/// and has no field that only text has.
pub(super) fn is_open(request: &GenerateRequest) -> bool {
    let unnamed = request.model.as_deref().is_none_or(|model| model == "auto");
    unnamed
        && request.modality.is_none()
        && request.input.prompt.is_some()
        && request.input.mesh.is_none()
        && refuse_text_fields(request).is_ok()
}

/// Converts the request to an image task, and takes its fields.
pub(super) fn image(request: &mut GenerateRequest) -> Result<ImageTask, ApiError> {
    refuse_text_fields(request)?;
    let (input, parameters) = (std::mem::take(&mut request.input), std::mem::take(&mut request.parameters));
    refuse(&[("texture_size", parameters.texture_size.is_some())], "meshes")?;
    refuse_mesh(&input)?;
    let task = ImageTask {
        size: size(&parameters)?,
        format: parameters.format.as_deref().map(format).transpose()?,
        prompt: input.prompt.unwrap_or_default(),
        images: input.images.into_iter().map(Image::at).collect(),
        mask: None,
        count: parameters.n.unwrap_or(1),
        quality: parameters.quality,
        background: parameters.background,
        seed: parameters.seed,
        negative_prompt: parameters.negative_prompt,
        steps: parameters.steps,
        guidance: parameters.guidance_scale,
        strength: parameters.strength,
    };
    task.check().map_err(|error| unfit(&error))?;
    Ok(task)
}

/// Converts the request to a mesh task, and takes its fields.
pub(super) fn mesh(request: &mut GenerateRequest) -> Result<MeshTask, ApiError> {
    refuse_text_fields(request)?;
    let (input, parameters) = (std::mem::take(&mut request.input), std::mem::take(&mut request.parameters));
    refuse(&of_images_only(&parameters), "images")?;
    if parameters.n.is_some_and(|count| count != 1) {
        return Err(ApiError::invalid(
            "parameters.n",
            "parameters.n must be 1: one mesh is generated at a time",
        ));
    }
    if parameters.format.as_deref().is_some_and(|format| format != "glb") {
        return Err(ApiError::invalid(
            "parameters.format",
            "parameters.format must be glb: meshes have no other format",
        ));
    }
    let mut images = input.images.into_iter();
    let (image, more) = (images.next(), images.next());
    if more.is_some() {
        return Err(ApiError::invalid(
            "input.images",
            "input.images must have one image: a mesh has one image as its input",
        ));
    }
    let task = MeshTask {
        prompt: input.prompt,
        image: image.map(Image::at),
        mesh: input.mesh.as_deref().map(input_mesh).transpose()?,
        texture_size: parameters.texture_size,
        seed: parameters.seed,
        guidance: parameters.guidance_scale,
    };
    task.check().map_err(|error| unfit(&error))?;
    Ok(task)
}

/// Parses the input mesh.
fn input_mesh(text: &str) -> Result<Mesh, ApiError> {
    let wrong = |problem: &str| ApiError::invalid("input.mesh", format!("input.mesh {problem}"));
    let mesh = Mesh::at(text).ok_or_else(|| {
        wrong("must be an artifact's id, or data:model/gltf-binary;base64,...: the gateway fetches no addresses")
    })?;
    if let Mesh::Data(data) = &mesh {
        let bytes = STANDARD.decode(data).map_err(|_| wrong("isn't base64"))?;
        if media_type_of(&bytes) != Some(GLB) {
            return Err(wrong("is no binary glTF (GLB)"));
        }
    }
    Ok(mesh)
}

/// Refuses an input mesh, since the task would ignore it.
pub(super) fn refuse_mesh(input: &Input) -> Result<(), ApiError> {
    if input.mesh.is_none() {
        return Ok(());
    }
    let message = "input.mesh is an input of meshes alone; leave it out, or set modality to 3d";
    Err(ApiError::invalid("input.mesh", message))
}

/// Refuses parameters that a text task would ignore.
pub(super) fn refuse_for_text(parameters: &Parameters) -> Result<(), ApiError> {
    refuse(&of_images_only(parameters), "images")?;
    let others = [
        ("format", parameters.format.is_some()),
        ("guidance_scale", parameters.guidance_scale.is_some()),
        ("texture_size", parameters.texture_size.is_some()),
    ];
    refuse(&others, "images and meshes")
}

fn of_images_only(parameters: &Parameters) -> [(&'static str, bool); 8] {
    [
        ("size", parameters.size.is_some()),
        ("width", parameters.width.is_some()),
        ("height", parameters.height.is_some()),
        ("quality", parameters.quality.is_some()),
        ("background", parameters.background.is_some()),
        ("negative_prompt", parameters.negative_prompt.is_some()),
        ("steps", parameters.steps.is_some()),
        ("strength", parameters.strength.is_some()),
    ]
}

/// Refuses fields that an image or mesh task would ignore.
fn refuse_text_fields(request: &GenerateRequest) -> Result<(), ApiError> {
    let parts = [
        ("input.messages", request.input.messages.is_some()),
        ("system_prompt", request.system_prompt.is_some()),
        ("tools", request.tools.as_ref().is_some_and(|tools| !tools.is_empty())),
        ("tool_choice", request.tool_choice.is_some()),
        ("schema_id", request.schema_id.is_some()),
        ("template_id", request.template_id.is_some()),
    ];
    if let Some((name, _)) = parts.iter().find(|(_, is_present)| *is_present) {
        return Err(ApiError::invalid(
            *name,
            format!("{name} is for text alone; put everything into input.prompt"),
        ));
    }
    let Parameters {
        temperature,
        top_p,
        top_k,
        min_p,
        repeat_penalty,
        presence_penalty,
        frequency_penalty,
        ..
    } = &request.parameters;
    let Parameters { stop, max_tokens, response_format, logit_bias, logprobs, reasoning_effort, .. } =
        &request.parameters;
    let fields = [
        ("temperature", temperature.is_some()),
        ("top_p", top_p.is_some()),
        ("top_k", top_k.is_some()),
        ("min_p", min_p.is_some()),
        ("repeat_penalty", repeat_penalty.is_some()),
        ("presence_penalty", presence_penalty.is_some()),
        ("frequency_penalty", frequency_penalty.is_some()),
        ("stop", stop.is_some()),
        ("max_tokens", max_tokens.is_some()),
        ("response_format", response_format.is_some()),
        ("logit_bias", logit_bias.is_some()),
        ("logprobs", logprobs.is_some()),
        ("reasoning_effort", reasoning_effort.is_some()),
    ];
    refuse(&fields, "text")
}

fn refuse(fields: &[(&str, bool)], owner: &str) -> Result<(), ApiError> {
    let Some((name, _)) = fields.iter().find(|(_, is_present)| *is_present) else { return Ok(()) };
    let name = format!("parameters.{name}");
    let message = format!("{name} is a parameter of {owner}; leave it out, or set modality");
    Err(ApiError::invalid(name, message))
}

fn size(parameters: &Parameters) -> Result<Option<Size>, ApiError> {
    match (parameters.size.as_deref(), parameters.width, parameters.height) {
        (None | Some("auto"), None, None) => Ok(None),
        (Some(text), None, None) => {
            let wrong = |error| ApiError::invalid("parameters.size", format!("parameters.size {error}"));
            text.parse().map(Some).map_err(wrong)
        }
        (None, Some(width), Some(height)) => Ok(Some(Size { width, height })),
        (Some(_), _, _) => {
            Err(ApiError::invalid("parameters.size", "send parameters.size, or width and height, not both"))
        }
        (None, Some(_), None) => {
            Err(ApiError::invalid("parameters.height", "parameters.height is missing beside width"))
        }
        (None, None, Some(_)) => {
            Err(ApiError::invalid("parameters.width", "parameters.width is missing beside height"))
        }
    }
}

fn format(text: &str) -> Result<ImageFormat, ApiError> {
    match text {
        "png" => Ok(ImageFormat::Png),
        "jpeg" | "jpg" => Ok(ImageFormat::Jpeg),
        "webp" => Ok(ImageFormat::Webp),
        _ => Err(ApiError::invalid("parameters.format", "parameters.format must be png, jpeg or webp")),
    }
}

fn unfit(error: &InvalidTask) -> ApiError {
    let param = match error.field {
        Field::Media("prompt") => "input.prompt".to_owned(),
        Field::Media("images") => "input.images".to_owned(),
        Field::Media(name) => format!("parameters.{name}"),
        _ => "input".to_owned(),
    };
    ApiError::unfit(param, error)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Intent, Task};
    use serde_json::{Value, json};

    use super::*;

    fn task(body: Value) -> Result<Task, ApiError> {
        serde_json::from_value::<GenerateRequest>(body)
            .unwrap()
            .into_generation()
            .map(|generation| generation.task)
    }

    #[test]
    fn modality_or_model_name_requests_an_image() {
        let fox = json!({"prompt": "a fox"});
        assert_eq!(task(json!({"input": fox, "modality": "image"})).unwrap(), ImageTask::new("a fox").into());
        let named = json!({"input": fox, "model": "openai:gpt-image-1", "parameters": {
            "size": "1536x1024", "n": 2, "format": "webp", "quality": "high", "seed": 7,
        }});
        let expected = ImageTask {
            count: 2,
            size: Some(Size { width: 1536, height: 1024 }),
            format: Some(ImageFormat::Webp),
            quality: Some("high".into()),
            seed: Some(7),
            ..ImageTask::new("a fox")
        };
        assert_eq!(task(named).unwrap(), expected.into());
        let sized = |model: &str| json!({"input": fox, "model": model, "parameters": {"size": "512x512"}});
        assert_eq!(task(sized("dreams-8")).unwrap().modality(), Modality::Image);
        assert_eq!(task(sized("auto")).unwrap_err().param.as_deref(), Some("parameters.size"));
        let conversation = json!({"input": {"messages": [{"role": "user", "content": "hi"}]}, "model": "openai:gpt-image-1"});
        assert_eq!(task(conversation).unwrap().modality(), Modality::Text);
        let text = json!({"input": fox, "model": "openai:gpt-image-1", "modality": "text"});
        assert_eq!(task(text).unwrap().modality(), Modality::Text);
    }

    #[test]
    fn only_a_plain_prompt_has_an_open_intent() {
        let intent = |body: Value| {
            serde_json::from_value::<GenerateRequest>(body).unwrap().into_generation().unwrap().intent
        };
        let conversation = json!({"messages": [{"role": "user", "content": "draw me a fox"}]});
        let prompt = json!({"prompt": "draw me a fox"});
        for (body, expected) in [
            (json!({"input": prompt}), Intent::Open),
            (json!({"input": prompt, "model": "auto", "parameters": {"n": 2, "seed": 7}}), Intent::Open),
            (json!({"input": prompt, "model": "big"}), Intent::Settled),
            (json!({"input": prompt, "modality": "text"}), Intent::Settled),
            (json!({"input": prompt, "modality": "image"}), Intent::Settled),
            (json!({"input": prompt, "system_prompt": "Be brief."}), Intent::Settled),
            (json!({"input": prompt, "parameters": {"temperature": 0}}), Intent::Settled),
            (json!({"input": conversation}), Intent::Settled),
        ] {
            assert_eq!(intent(body.clone()), expected, "{body}");
        }
    }

    #[test]
    fn an_image_of_a_mesh_model_is_its_input() {
        let url = "data:image/png;base64,AAAA";
        let prompt = json!({"input": {"images": [url]}, "model": "stability:stable-fast-3d", "parameters": {"texture_size": 512}});
        let expected =
            MeshTask { image: Some(Image::at(url)), texture_size: Some(512), ..MeshTask::default() };
        assert_eq!(task(prompt).unwrap(), expected.into());
    }

    #[test]
    fn a_mesh_can_be_an_input() {
        let glb = format!("data:model/gltf-binary;base64,{}", STANDARD.encode(b"glTF\x02\0\0\0"));
        let Task::Mesh(mesh_task) = task(json!({"input": {"mesh": glb, "prompt": "in wood"}})).unwrap()
        else {
            panic!("no mesh")
        };
        assert_eq!((mesh_task.mesh, mesh_task.prompt.as_deref()), (Mesh::at(&glb), Some("in wood")));
        for body in [
            json!({"input": {"mesh": "https://example.org/a.glb"}}),
            json!({"input": {"mesh": "data:model/gltf-binary;base64,AAAA"}}),
            json!({"input": {"mesh": "data:model/gltf-binary;base64,!"}}),
            json!({"input": {"mesh": glb, "prompt": "a"}, "modality": "text"}),
            json!({"input": {"mesh": glb, "prompt": "a"}, "modality": "image"}),
            json!({"input": {"mesh": glb, "prompt": "a"}, "model": "openai:gpt-5"}),
        ] {
            assert_eq!(task(body.clone()).unwrap_err().param.as_deref(), Some("input.mesh"), "{body}");
        }
    }

    #[test]
    fn a_prompt_can_have_images() {
        let Task::Text(text) =
            task(json!({"input": {"prompt": "Who?", "images": ["https://x/a.png"]}})).unwrap()
        else {
            panic!("no text")
        };
        assert_eq!(text.messages[0].images[0].image, Image::at("https://x/a.png"));
    }

    #[test]
    fn ignored_fields_are_refused_by_name() {
        let image = |parameters: Value| json!({"input": {"prompt": "a"}, "modality": "image", "parameters": parameters});
        let mesh =
            |parameters: Value| json!({"input": {"prompt": "a"}, "modality": "3d", "parameters": parameters});
        let cases = [
            (image(json!({"temperature": 1})), "parameters.temperature"),
            (image(json!({"size": "big"})), "parameters.size"),
            (image(json!({"size": "1x1", "width": 1})), "parameters.size"),
            (image(json!({"width": 1})), "parameters.height"),
            (image(json!({"height": 1})), "parameters.width"),
            (image(json!({"format": "bmp"})), "parameters.format"),
            (image(json!({"n": 11})), "parameters.n"),
            (image(json!({"texture_size": 512})), "parameters.texture_size"),
            (json!({"input": {}, "modality": "image"}), "input.prompt"),
            (json!({"input": {"prompt": "a"}, "modality": "image", "system_prompt": "b"}), "system_prompt"),
            (mesh(json!({"size": "1x1"})), "parameters.size"),
            (mesh(json!({"n": 2})), "parameters.n"),
            (mesh(json!({"format": "obj"})), "parameters.format"),
            (json!({"input": {"images": ["a", "b"]}, "modality": "3d"}), "input.images"),
            (json!({"input": {"prompt": "a"}, "parameters": {"size": "1x1"}}), "parameters.size"),
            (json!({"input": {"prompt": "a"}, "parameters": {"format": "png"}}), "parameters.format"),
            (
                json!({"input": {"messages": [{"role": "user", "content": "hi"}], "images": ["a"]}}),
                "input.images",
            ),
            (json!({"input": {"prompt": "a"}, "modality": "embedding"}), "modality"),
        ];
        for (body, param) in cases {
            assert_eq!(task(body.clone()).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
    }
}
