//! Requests and answers in the shapes of the vendors' documentation.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hearth_domain::{
    ClientDialect, Delivery, EmbeddingInput, EmbeddingTask, Extra, Generation, Image, ImageFormat, ImageTask,
    Mesh, MeshTask, ModelId, RunId, Size, Usage,
};
use hearth_wire::{ErrorCode, RunEventBody};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{form::Form, job::MediaResult, *};
use crate::{Endpoint, ProviderSettings, dialect::Dialect};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn endpoint(kind: &str) -> Endpoint {
    let base_url = Some("https://vendor.test/v1".to_owned());
    let settings = ProviderSettings { kind: Some(kind.to_owned()), base_url, ..ProviderSettings::default() };
    Endpoint::new("acme", &settings, None).unwrap()
}

fn call(model: &str, task: impl Into<Task>) -> Call {
    let generation = Generation::new(Some(ModelId::new(model)), task);
    Call {
        run: RunId::new(),
        model: ModelId::new(model),
        generation: generation.into(),
        delivery: Delivery::Stream,
        trace: Default::default(),
    }
}

fn job_at(endpoint: &Endpoint, call: &Call) -> Result<MediaJob, ApiError> {
    let job = job(&endpoint.base_url, endpoint.vendor.media, call)?;
    job.ok_or_else(|| endpoint.unsupported(call.generation.task.modality()))
}

fn job_of(kind: &str, model: &str, task: impl Into<Task>) -> Result<MediaJob, ApiError> {
    job_at(&endpoint(kind), &call(model, task))
}

/// The URL and the JSON of each request of a job.
fn requests(job: &MediaJob) -> Vec<(&str, &Value)> {
    let json = |request: &'_ MediaRequest| match &request.body {
        RequestBody::Json(_) => (),
        RequestBody::Form(_) => panic!("a form"),
    };
    job.requests
        .iter()
        .inspect(|request| json(request))
        .map(|request| match &request.body {
            RequestBody::Json(body) => (request.url.as_str(), body),
            RequestBody::Form(_) => unreachable!("it was checked"),
        })
        .collect()
}

fn form(job: &MediaJob) -> &Form {
    match &job.requests[0].body {
        RequestBody::Form(form) => form,
        RequestBody::Json(body) => panic!("{body}"),
    }
}

fn answer(body: impl Into<Bytes>) -> MediaAnswer {
    MediaAnswer { headers: HeaderMap::new(), bytes: body.into() }
}

fn read(job: &MediaJob, body: &Value) -> Result<MediaResult, ApiError> {
    (job.read)(&answer(body.to_string()))
}

fn texts(texts: &[&str]) -> EmbeddingTask {
    let inputs = texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect();
    EmbeddingTask { inputs, dimensions: None }
}

fn fox() -> ImageTask {
    ImageTask::new("a fox")
}

fn picture() -> Image {
    Image::at(format!("data:image/png;base64,{}", STANDARD.encode(PNG)))
}

fn param(result: Result<MediaJob, ApiError>) -> Option<String> {
    result.unwrap_err().param
}

#[test]
fn openai_vectors_are_sorted_and_normalized() {
    let mut request = call("small", EmbeddingTask { dimensions: Some(2), ..texts(&["a", "b"]) });
    let fields = serde_json::Map::from_iter([("user".to_owned(), json!("ada"))]);
    std::sync::Arc::make_mut(&mut request.generation).extra =
        Extra::new(ClientDialect::OpenAiEmbeddings, fields);
    let job = job_at(&endpoint("openai"), &request).unwrap();
    let body = json!({"user": "ada", "model": "small", "input": ["a", "b"], "dimensions": 2});
    assert_eq!(requests(&job), [("https://vendor.test/v1/embeddings", &body)]);
    let list = json!({"object": "list", "model": "small", "usage": {"prompt_tokens": 5, "total_tokens": 5}, "data": [
        {"object": "embedding", "index": 1, "embedding": [0.0, 2.0, 9.0]},
        {"object": "embedding", "index": 0, "embedding": "AACAPwAAAAA="},
    ]});
    let events = job.events(vec![read(&job, &list).unwrap()]).unwrap();
    // Sorted by index, truncated to the requested dimensions, and scaled to length 1.
    assert_eq!(events[0], RunEventBody::Embedding { index: 0, vector: vec![1.0, 0.0] });
    assert_eq!(events[1], RunEventBody::Embedding { index: 1, vector: vec![0.0, 1.0] });
    assert_eq!(events[2], RunEventBody::Usage { usage: Usage { prompt_tokens: 5, ..Usage::default() } });
    assert!(events[3].is_terminal());
    let short = json!({"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]});
    let error = job.events(vec![read(&job, &short).unwrap()]).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("dimensions"));
}

#[test]
fn dimensions_have_the_name_of_the_vendor() {
    let job =
        job_of("mistral", "mistral-embed", EmbeddingTask { dimensions: Some(8), ..texts(&["a"]) }).unwrap();
    assert_eq!(
        requests(&job)[0].1,
        &json!({"model": "mistral-embed", "input": ["a"], "output_dimension": 8})
    );
}

#[test]
fn google_texts_are_sent_in_batches_of_100() {
    let many: Vec<String> = (0..150).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let task = EmbeddingTask { dimensions: Some(768), ..texts(&many) };
    let job = job_of("google", "gemini-embedding-001", task).unwrap();
    let bodies = requests(&job);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0].0, "https://vendor.test/v1/models/gemini-embedding-001:batchEmbedContents");
    assert_eq!(
        bodies[1].1["requests"][0],
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "100"}]}, "outputDimensionality": 768})
    );
    assert_eq!(bodies[1].1["requests"].as_array().unwrap().len(), 50);
    let result = read(&job, &json!({"embeddings": [{"values": [3.0, 4.0]}]})).unwrap();
    assert_eq!(result, MediaResult { vectors: vec![vec![3.0, 4.0]], ..MediaResult::default() });
    let tokens = EmbeddingTask { inputs: vec![EmbeddingInput::Tokens(vec![1])], dimensions: None };
    assert_eq!(param(job_of("google", "gemini-embedding-001", tokens)).as_deref(), Some("input"));
}

#[test]
fn hugging_face_vectors_are_read() {
    let job = job_of("huggingface", "BAAI/bge-m3", texts(&["a"])).unwrap();
    let body = json!({"inputs": ["a"], "normalize": true});
    let url = "https://vendor.test/hf-inference/models/BAAI/bge-m3/pipeline/feature-extraction";
    assert_eq!(requests(&job), [(url, &body)]);
    assert_eq!(read(&job, &json!([[1.0, 0.0]])).unwrap().vectors, [[1.0, 0.0]]);
}

#[test]
fn openai_images_are_requested_and_read() {
    let task = ImageTask {
        count: 2,
        size: Some(Size { width: 1536, height: 1024 }),
        quality: Some("high".into()),
        format: Some(ImageFormat::Webp),
        background: Some("transparent".into()),
        ..fox()
    };
    let mut request = call("gpt-image-1", task);
    let fields = serde_json::Map::from_iter([("moderation".to_owned(), json!("low"))]);
    std::sync::Arc::make_mut(&mut request.generation).extra = Extra::new(ClientDialect::OpenAiImages, fields);
    let job = job_at(&endpoint("openai"), &request).unwrap();
    let body = json!({
        "moderation": "low", "model": "gpt-image-1", "prompt": "a fox", "n": 2, "size": "1536x1024",
        "quality": "high", "output_format": "webp", "background": "transparent",
    });
    assert_eq!(requests(&job), [("https://vendor.test/v1/images/generations", &body)]);
    let list = json!({
        "created": 1, "data": [{"b64_json": STANDARD.encode(PNG)}, {"b64_json": STANDARD.encode(PNG)}],
        "usage": {"input_tokens": 8, "output_tokens": 90, "total_tokens": 98},
    });
    let events = job.events(vec![read(&job, &list).unwrap()]).unwrap();
    assert_eq!(events[1], RunEventBody::File { index: 1, bytes: PNG.to_vec(), revised_prompt: None });
    let usage = Usage { prompt_tokens: 8, completion_tokens: 90, ..Usage::default() };
    assert_eq!(events[2], RunEventBody::Usage { usage });
}

#[test]
fn older_openai_models_get_a_request_for_bytes() {
    let job = job_of("openai", "dall-e-3", fox()).unwrap();
    let body = json!({"model": "dall-e-3", "prompt": "a fox", "response_format": "b64_json"});
    assert_eq!(requests(&job)[0].1, &body);
    let list = json!({"data": [{"b64_json": STANDARD.encode(PNG), "revised_prompt": "A red fox"}]});
    let result = read(&job, &list).unwrap();
    assert_eq!(result.files[0].revised_prompt.as_deref(), Some("A red fox"));
    // A link could lead anywhere: the gateway doesn't follow it.
    let link = read(&job, &json!({"data": [{"url": "http://169.254.169.254/"}]}));
    assert_eq!(link.unwrap_err().code, ErrorCode::ProviderError);
}

#[test]
fn input_image_is_sent_in_a_form() {
    let job = job_of("openai", "gpt-image-1", ImageTask { images: vec![picture()], ..fox() }).unwrap();
    assert_eq!(job.requests[0].url, "https://vendor.test/v1/images/edits");
    let form = form(&job);
    assert_eq!(form.value("prompt").as_deref(), Some("a fox"));
    assert_eq!(form.value("image"), Some(String::from_utf8_lossy(PNG).into_owned()));
    assert_eq!(form.value("response_format"), None);
    assert_eq!(form.value("mask"), None);

    let masked = ImageTask { images: vec![picture()], mask: Some(picture()), ..fox() };
    let mut call = call("gpt-image-1", masked);
    let fields = serde_json::Map::from_iter([("input_fidelity".to_owned(), json!("high"))]);
    std::sync::Arc::make_mut(&mut call.generation).extra =
        Extra { dialect: ClientDialect::OpenAiImages, fields, ..Extra::default() };
    let job = job_at(&endpoint("openai"), &call).unwrap();
    let form = self::form(&job);
    assert_eq!(form.value("mask"), Some(String::from_utf8_lossy(PNG).into_owned()));
    assert_eq!(form.value("input_fidelity").as_deref(), Some("high"));
}

#[test]
fn unsupported_field_is_rejected_by_name() {
    let size = || Some(Size { width: 512, height: 512 });
    let masked = || ImageTask { images: vec![picture()], mask: Some(picture()), ..fox() };
    let cases = [
        (
            "openai",
            "gpt-image-1",
            ImageTask { negative_prompt: Some("dogs".into()), ..fox() },
            "negative_prompt",
        ),
        ("xai", "grok-2-image", ImageTask { size: size(), ..fox() }, "size"),
        ("xai", "grok-2-image", ImageTask { images: vec![picture()], ..fox() }, "images"),
        (
            "google",
            "gemini-2.5-flash-image",
            ImageTask { format: Some(ImageFormat::Png), ..fox() },
            "output_format",
        ),
        ("google", "imagen-4.0-generate-001", ImageTask { images: vec![picture()], ..fox() }, "images"),
        (
            "google",
            "imagen-4.0-generate-001",
            ImageTask { size: Some(Size { width: 100, height: 500 }), ..fox() },
            "size",
        ),
        ("huggingface", "a/b:fal-ai", fox(), "model"),
        ("stability", "core", ImageTask { images: vec![picture()], ..fox() }, "images"),
        ("stability", "sd9", fox(), "model"),
        ("stability", "ultra", masked(), "mask"),
        ("google", "gemini-2.5-flash-image", masked(), "mask"),
        ("huggingface", "a/b", masked(), "mask"),
    ];
    for (kind, model, task, field) in cases {
        assert_eq!(param(job_of(kind, model, task)).as_deref(), Some(field), "{kind} {model}");
    }
    let diffusion =
        ImageTask { negative_prompt: Some("dogs".into()), seed: Some(7), steps: Some(4), ..fox() };
    let job = job_of("openai_compatible", "flux", diffusion).unwrap();
    let body = &requests(&job)[0].1;
    assert_eq!(
        (&body["negative_prompt"], &body["seed"], &body["steps"]),
        (&json!("dogs"), &json!(7), &json!(4))
    );
}

#[test]
fn unsupported_modality_error_lists_vendors() {
    for (kind, task) in [
        ("anthropic", Task::from(fox())),
        ("anthropic", texts(&["a"]).into()),
        ("openai", MeshTask { image: Some(picture()), ..MeshTask::default() }.into()),
    ] {
        let modality = task.modality();
        let error = job_of(kind, "m", task).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("model")));
        let able = if modality == Modality::ThreeD { "stability" } else { "google" };
        assert!(error.message.contains(able), "{error}");
    }
    assert!(endpoint("stability").unsupported(Modality::Text).message.contains("openai"));
    assert_eq!(
        endpoint("stability").vendor.dialect,
        Dialect::OpenAiChat(&crate::dialect::openai_chat::COMMON)
    );
}

#[test]
fn gemini_images_have_a_request_each() {
    let task = ImageTask {
        count: 2,
        size: Some(Size { width: 2752, height: 1536 }),
        images: vec![picture()],
        ..fox()
    };
    let job = job_of("google", "gemini-3-pro-image-preview", task).unwrap();
    assert_eq!(job.requests.len(), 2);
    let (url, body) = requests(&job)[0];
    assert_eq!(url, "https://vendor.test/v1/models/gemini-3-pro-image-preview:generateContent");
    let parts =
        json!([{"text": "a fox"}, {"inlineData": {"mimeType": "image/png", "data": STANDARD.encode(PNG)}}]);
    assert_eq!(body["contents"], json!([{"role": "user", "parts": parts}]));
    let image = json!({"aspectRatio": "16:9", "imageSize": "2K"});
    assert_eq!(
        body["generationConfig"],
        json!({"responseModalities": ["TEXT", "IMAGE"], "imageConfig": image})
    );

    let drawn = json!({"inlineData": {"mimeType": "image/png", "data": STANDARD.encode(PNG)}});
    let sketch = json!({"thought": true, "inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    let result = read(&job, &json!({
        "candidates": [{"content": {"parts": [sketch, {"text": "Here it is."}, drawn]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 6, "candidatesTokenCount": 1290, "thoughtsTokenCount": 10},
    }))
    .unwrap();
    assert_eq!((result.files.len(), result.files[0].bytes.as_slice()), (1, PNG));
    let usage = Usage { prompt_tokens: 6, completion_tokens: 1300, reasoning_tokens: 10, ..Usage::default() };
    assert_eq!(result.usage, Some(usage));

    let cases = [
        (json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), ErrorCode::InvalidRequest),
        (json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}), ErrorCode::InvalidRequest),
        (
            json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "No."}]}}]}),
            ErrorCode::ProviderError,
        ),
    ];
    for (body, code) in cases {
        assert_eq!(read(&job, &body).unwrap_err().code, code, "{body}");
    }
}

#[test]
fn imagen_requests_have_four_images_at_most() {
    let task = ImageTask { count: 5, size: Some(Size { width: 1024, height: 1024 }), ..fox() };
    let job = job_of("google", "imagen-4.0-generate-001", task).unwrap();
    let counts: Vec<&Value> =
        requests(&job).iter().map(|(_, body)| &body["parameters"]["sampleCount"]).collect();
    assert_eq!(counts, [&json!(4), &json!(1)]);
    let (url, body) = requests(&job)[0];
    assert_eq!(url, "https://vendor.test/v1/models/imagen-4.0-generate-001:predict");
    assert_eq!(
        (&body["instances"], &body["parameters"]["aspectRatio"]),
        (&json!([{"prompt": "a fox"}]), &json!("1:1"))
    );
    let predictions = json!([
        {"mimeType": "image/png", "bytesBase64Encoded": STANDARD.encode(PNG), "prompt": "a red fox"},
        {"raiFilteredReason": "unsafe"},
    ]);
    let result = read(&job, &json!({"predictions": predictions})).unwrap();
    assert_eq!((result.files.len(), result.files[0].revised_prompt.as_deref()), (1, Some("a red fox")));
    assert_eq!(read(&job, &json!({})).unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn hugging_face_image_is_the_body() {
    let task = ImageTask {
        size: Some(Size { width: 768, height: 512 }),
        seed: Some(7),
        count: 2,
        negative_prompt: Some("dogs".into()),
        steps: Some(20),
        ..fox()
    };
    let job = job_of("huggingface", "stabilityai/stable-diffusion-xl-base-1.0", task).unwrap();
    let (url, body) = requests(&job)[1];
    assert_eq!(url, "https://vendor.test/hf-inference/models/stabilityai/stable-diffusion-xl-base-1.0");
    let parameters =
        json!({"negative_prompt": "dogs", "num_inference_steps": 20, "width": 768, "height": 512, "seed": 8});
    assert_eq!(body, &json!({"inputs": "a fox", "parameters": parameters}));
    assert_eq!(job.requests[0].accept, "image/png");
    assert_eq!((job.read)(&answer(PNG)).unwrap().files[0].bytes, PNG);
}

#[test]
fn dedicated_endpoint_is_used_at_its_url() {
    let mut own = endpoint("huggingface");
    own.base_url = "https://mine.endpoints.test".to_owned();
    let task = MeshTask { prompt: Some("a chair".into()), seed: Some(1), ..MeshTask::default() };
    let job = job_at(&own, &call("any", task)).unwrap();
    assert_eq!(
        requests(&job),
        [("https://mine.endpoints.test", &json!({"inputs": "a chair", "parameters": {"seed": 1}}))]
    );
    assert_eq!(job.requests[0].accept, "model/gltf-binary");

    let mesh = || Some(Mesh::Data("Z2xURg==".into()));
    let call = |task| call("any", task);
    let result = job_at(&own, &call(MeshTask { mesh: mesh(), ..MeshTask::default() })).unwrap();
    assert_eq!(requests(&result)[0].1["inputs"], "Z2xURg==");
    let both = MeshTask { mesh: mesh(), image: Some(picture()), ..MeshTask::default() };
    assert_eq!(param(job_at(&own, &call(both))).as_deref(), Some("images"));
    for (kind, model) in [("huggingface", "a/b"), ("stability", "stable-fast-3d")] {
        let task = MeshTask { mesh: mesh(), ..MeshTask::default() };
        assert_eq!(param(job_of(kind, model, task)).as_deref(), Some("input.mesh"), "{kind}");
    }
}

#[test]
fn stability_images_are_requested_by_form() {
    let task = ImageTask {
        size: Some(Size { width: 1536, height: 1024 }),
        negative_prompt: Some("dogs".into()),
        seed: Some(9),
        ..fox()
    };
    let job = job_of("stability", "sd3.5-large", task).unwrap();
    assert_eq!(job.requests[0].url, "https://vendor.test/v1/v2beta/stable-image/generate/sd3");
    let fields = ["prompt", "model", "negative_prompt", "aspect_ratio", "seed", "output_format", "strength"];
    let values: Vec<_> = fields.iter().map(|name| form(&job).value(name)).collect();
    let expected =
        [Some("a fox"), Some("sd3.5-large"), Some("dogs"), Some("3:2"), Some("9"), Some("png"), None];
    assert_eq!(values, expected.map(|value| value.map(str::to_owned)));
    let changed = job_of("stability", "ultra", ImageTask { images: vec![picture()], ..fox() }).unwrap();
    assert_eq!(form(&changed).value("strength").as_deref(), Some("0.6"));
    assert_eq!(form(&changed).value("mode"), None);
    let headers =
        HeaderMap::from_iter([("finish-reason".parse().unwrap(), "CONTENT_FILTERED".parse().unwrap())]);
    let blurred = (job.read)(&MediaAnswer { headers, bytes: PNG.into() });
    assert_eq!(blurred.unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn stability_makes_a_mesh_from_an_image() {
    let task = MeshTask { image: Some(picture()), texture_size: Some(512), ..MeshTask::default() };
    let job = job_of("stability", "stable-fast-3d", task).unwrap();
    assert_eq!(job.requests[0].url, "https://vendor.test/v1/v2beta/3d/stable-fast-3d");
    assert_eq!(form(&job).value("texture_resolution").as_deref(), Some("512"));
    let result = (job.read)(&answer(&b"glTF\x02\0\0\0"[..])).unwrap();
    assert!(matches!(job.events(vec![result]).unwrap()[0], RunEventBody::File { index: 0, .. }));
    let prompt = MeshTask { prompt: Some("a chair".into()), ..MeshTask::default() };
    assert_eq!(param(job_of("stability", "stable-fast-3d", prompt)).as_deref(), Some("images"));
}

#[test]
fn file_of_another_kind_is_an_error() {
    let image = job_of("huggingface", "a/b", fox()).unwrap();
    let mesh =
        job_of("stability", "stable-fast-3d", MeshTask { image: Some(picture()), ..MeshTask::default() })
            .unwrap();
    for (job, bytes) in [
        (&image, &b"<svg onload=alert(1)>"[..]),
        (&image, b"{\"error\": \"no\"}"),
        (&image, b"glTF\x02\0\0\0"),
        (&image, b""),
        (&mesh, PNG),
    ] {
        let result = (job.read)(&answer(bytes)).unwrap();
        assert_eq!(job.events(vec![result]).unwrap_err().code, ErrorCode::ProviderError, "{bytes:?}");
    }
    assert_eq!(image.events(vec![]).unwrap_err().code, ErrorCode::ProviderError);
}

#[test]
fn vectors_that_do_not_match_the_inputs_are_an_error() {
    let job = job_of("openai", "small", texts(&["a", "b"])).unwrap();
    let events = |data: Value| job.events(vec![read(&job, &json!({"data": data}))?]);
    let vector = |index: Value, embedding: Value| json!({"index": index, "embedding": embedding});
    // The order counts unless each index occurs once.
    for indexes in [[json!(null), json!(null)], [json!(0), json!(0)], [json!("x"), json!(1)]] {
        let [first, second] = indexes;
        let events = events(json!([vector(first, json!([1, 0])), vector(second, json!([0, 1]))])).unwrap();
        assert_eq!(events[0], RunEventBody::Embedding { index: 0, vector: vec![1.0, 0.0] });
    }
    for data in [
        json!([]),
        json!([vector(json!(0), json!([1]))]),
        json!([vector(json!(0), json!([])), vector(json!(1), json!([]))]),
        json!([vector(json!(0), json!([1])), vector(json!(1), json!([1, 2]))]),
        json!([vector(json!(0), json!([1])), vector(json!(1), json!([1e60]))]),
        json!([vector(json!(0), json!([1])), vector(json!(1), json!([null]))]),
        json!([vector(json!(0), json!([1])), vector(json!(1), json!("AACA"))]),
    ] {
        assert_eq!(events(data.clone()).unwrap_err().code, ErrorCode::ProviderError, "{data}");
    }
}

#[test]
fn surplus_images_are_dropped() {
    let job = job_of("openai", "gpt-image-1", ImageTask { count: 2, ..fox() }).unwrap();
    let image = json!({"b64_json": STANDARD.encode(PNG), "revised_prompt": null});
    let result = read(&job, &json!({"data": vec![image; 50], "usage": {"input_tokens": null}})).unwrap();
    let files = job.events(vec![result]).unwrap();
    let files = files.iter().filter(|event| matches!(event, RunEventBody::File { .. }));
    assert_eq!(files.count(), 2);
    assert!(job.answer_max_bytes < 100 << 20);
}

#[test]
fn answers_are_expected_to_have_the_size_of_what_is_asked_for() {
    let bytes = |task: Task| job_of("openai", "m", task).unwrap().expected_bytes;
    let with_size = |side| ImageTask { size: Some(Size { width: side, height: side }), ..fox() };
    assert_eq!(bytes(fox().into()), 2 << 20);
    assert_eq!(bytes(ImageTask { count: 3, ..with_size(512) }.into()), 3 << 19);
    assert_eq!(bytes(ImageTask { format: Some(ImageFormat::Jpeg), ..with_size(2048) }.into()), 4 << 20);
    assert_eq!(bytes(with_size(u32::MAX).into()), 32 << 20);
    assert_eq!(bytes(EmbeddingTask { dimensions: Some(100), ..texts(&["a", "b"]) }.into()), 2_400);
}

#[test]
fn document_is_read_in_any_wrapping_and_errors_keep_their_message() {
    let job = job_of("openai", "small", texts(&["a"])).unwrap();
    let read_text = |body: &str| (job.read)(&answer(body.to_owned()));
    let good = r#"{"data":[{"embedding":[1]}]}"#;
    for body in [
        format!("\u{feff}{good}"),
        format!("data: {good}\n\ndata: [DONE]\n\n"),
        format!(": hi\nevent: x\ndata: {good}"),
    ] {
        assert_eq!(read_text(&body).unwrap().vectors, [[1.0]], "{body}");
    }
    let bad = [
        "{\"error\":{\"message\":\"not loaded\"}}",
        "{\"detail\":\"not loaded\"}",
        "event: error\ndata: not loaded\n\n",
    ];
    for body in bad {
        let result = read_text(body).and_then(|result| job.events(vec![result]));
        assert!(result.unwrap_err().message.contains("not loaded"), "{body}");
    }
    for (body, problem) in [("", "empty"), ("<html>", "HTML"), ("hello", "isn't JSON")] {
        assert!(read_text(body).unwrap_err().message.contains(problem), "{body}");
    }
    let job = job_of("huggingface", "acme/draw", fox()).unwrap();
    let result = (job.read)(&answer("{\"error\":\"not loaded\"}")).unwrap();
    assert!(job.events(vec![result]).unwrap_err().message.contains("not loaded"));
}
