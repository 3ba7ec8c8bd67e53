//! Requests and answers in the shapes of the vendors' documentation.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{
    ClientDialect, EmbeddingInput, EmbeddingTask, Extra, Generation, Image, ImageFormat, ImageTask, Mesh,
    MeshTask, ModelId, RunId, Size, Task, Usage,
};
use serde_json::json;

use super::*;
use crate::{ProviderConfig, dialect::Dialect};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

fn endpoint(kind: &str) -> Endpoint {
    let base_url = Some("https://vendor.test/v1".to_owned());
    let config = ProviderConfig { kind: Some(kind.to_owned()), base_url, ..ProviderConfig::default() };
    config.endpoint("acme", None).unwrap()
}

fn call(model: &str, task: impl Into<Task>) -> Call {
    let generation = Generation::new(Some(ModelId::new(model)), task);
    Call { run: RunId::new(), model: ModelId::new(model), generation: generation.into() }
}

fn made_of(kind: &str, model: &str, task: impl Into<Task>) -> Result<Job, ApiError> {
    job(&endpoint(kind), &call(model, task))
}

/// Where each request of a job goes, and its JSON.
fn asked(job: &Job) -> Vec<(&str, &Value)> {
    let json = |ask: &'_ Ask| match &ask.body {
        Body::Json(_) => (),
        Body::Form(_) => panic!("a form"),
    };
    job.asks
        .iter()
        .inspect(|ask| json(ask))
        .map(|ask| match &ask.body {
            Body::Json(body) => (ask.url.as_str(), body),
            Body::Form(_) => unreachable!("it was looked at"),
        })
        .collect()
}

fn form(job: &Job) -> &Form {
    match &job.asks[0].body {
        Body::Form(form) => form,
        Body::Json(body) => panic!("{body}"),
    }
}

fn answer(body: impl Into<Bytes>) -> Answer {
    Answer { headers: HeaderMap::new(), bytes: body.into() }
}

fn said(job: &Job, body: &Value) -> Result<Made, ApiError> {
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

fn param(result: Result<Job, ApiError>) -> Option<String> {
    result.unwrap_err().param
}

#[test]
fn openai_embeds() {
    let mut asking = call("small", EmbeddingTask { dimensions: Some(2), ..texts(&["a", "b"]) });
    let fields = serde_json::Map::from_iter([("user".to_owned(), json!("ada"))]);
    std::sync::Arc::make_mut(&mut asking.generation).extra =
        Extra::new(ClientDialect::OpenAiEmbeddings, fields);
    let job = job(&endpoint("openai"), &asking).unwrap();
    let body = json!({"user": "ada", "model": "small", "input": ["a", "b"], "dimensions": 2});
    assert_eq!(asked(&job), [("https://vendor.test/v1/embeddings", &body)]);
    let list = json!({"object": "list", "model": "small", "usage": {"prompt_tokens": 5, "total_tokens": 5}, "data": [
        {"object": "embedding", "index": 1, "embedding": [0.0, 2.0, 9.0]},
        {"object": "embedding", "index": 0, "embedding": "AACAPwAAAAA="},
    ]});
    let events = job.events(vec![said(&job, &list).unwrap()]).unwrap();
    // In order, of the length that was asked for and of length 1.
    assert_eq!(events[0], RunEventBody::Embedding { index: 0, vector: vec![1.0, 0.0] });
    assert_eq!(events[1], RunEventBody::Embedding { index: 1, vector: vec![0.0, 1.0] });
    assert_eq!(events[2], RunEventBody::Usage { usage: Usage { prompt_tokens: 5, ..Usage::default() } });
    assert!(events[3].is_terminal());
    let short = json!({"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]});
    let error = job.events(vec![said(&job, &short).unwrap()]).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("dimensions"));
}

#[test]
fn mistral_has_another_name_for_the_length() {
    let job =
        made_of("mistral", "mistral-embed", EmbeddingTask { dimensions: Some(8), ..texts(&["a"]) }).unwrap();
    assert_eq!(asked(&job)[0].1, &json!({"model": "mistral-embed", "input": ["a"], "output_dimension": 8}));
}

#[test]
fn google_embeds_in_batches_of_a_hundred() {
    let many: Vec<String> = (0..150).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let task = EmbeddingTask { dimensions: Some(768), ..texts(&many) };
    let job = made_of("google", "gemini-embedding-001", task).unwrap();
    let bodies = asked(&job);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0].0, "https://vendor.test/v1/models/gemini-embedding-001:batchEmbedContents");
    assert_eq!(
        bodies[1].1["requests"][0],
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "100"}]}, "outputDimensionality": 768})
    );
    assert_eq!(bodies[1].1["requests"].as_array().unwrap().len(), 50);
    let made = said(&job, &json!({"embeddings": [{"values": [3.0, 4.0]}]})).unwrap();
    assert_eq!(made, Made { vectors: vec![vec![3.0, 4.0]], ..Made::default() });
    let tokens = EmbeddingTask { inputs: vec![EmbeddingInput::Tokens(vec![1])], dimensions: None };
    assert_eq!(param(made_of("google", "gemini-embedding-001", tokens)).as_deref(), Some("input"));
}

#[test]
fn hugging_face_embeds() {
    let job = made_of("huggingface", "BAAI/bge-m3", texts(&["a"])).unwrap();
    let body = json!({"inputs": ["a"], "normalize": true});
    let url = "https://vendor.test/hf-inference/models/BAAI/bge-m3/pipeline/feature-extraction";
    assert_eq!(asked(&job), [(url, &body)]);
    assert_eq!(said(&job, &json!([[1.0, 0.0]])).unwrap().vectors, [[1.0, 0.0]]);
}

#[test]
fn openai_draws() {
    let task = ImageTask {
        count: 2,
        size: Some(Size { width: 1536, height: 1024 }),
        quality: Some("high".into()),
        format: Some(ImageFormat::Webp),
        background: Some("transparent".into()),
        ..fox()
    };
    let mut asking = call("gpt-image-1", task);
    let fields = serde_json::Map::from_iter([("moderation".to_owned(), json!("low"))]);
    std::sync::Arc::make_mut(&mut asking.generation).extra = Extra::new(ClientDialect::OpenAiImages, fields);
    let job = job(&endpoint("openai"), &asking).unwrap();
    let body = json!({
        "moderation": "low", "model": "gpt-image-1", "prompt": "a fox", "n": 2, "size": "1536x1024",
        "quality": "high", "output_format": "webp", "background": "transparent",
    });
    assert_eq!(asked(&job), [("https://vendor.test/v1/images/generations", &body)]);
    let list = json!({
        "created": 1, "data": [{"b64_json": STANDARD.encode(PNG)}, {"b64_json": STANDARD.encode(PNG)}],
        "usage": {"input_tokens": 8, "output_tokens": 90, "total_tokens": 98},
    });
    let events = job.events(vec![said(&job, &list).unwrap()]).unwrap();
    assert_eq!(events[1], RunEventBody::File { index: 1, bytes: PNG.to_vec(), revised_prompt: None });
    let usage = Usage { prompt_tokens: 8, completion_tokens: 90, ..Usage::default() };
    assert_eq!(events[2], RunEventBody::Usage { usage });
}

#[test]
fn older_models_are_asked_for_bytes() {
    let job = made_of("openai", "dall-e-3", fox()).unwrap();
    let body = json!({"model": "dall-e-3", "prompt": "a fox", "response_format": "b64_json"});
    assert_eq!(asked(&job)[0].1, &body);
    let list = json!({"data": [{"b64_json": STANDARD.encode(PNG), "revised_prompt": "A red fox"}]});
    let made = said(&job, &list).unwrap();
    assert_eq!(made.files[0].revised_prompt.as_deref(), Some("A red fox"));
    // A link would have to be fetched, from wherever it leads.
    let link = said(&job, &json!({"data": [{"url": "http://169.254.169.254/"}]}));
    assert_eq!(link.unwrap_err().code, ErrorCode::ProviderError);
}

#[test]
fn an_image_is_changed_by_a_form() {
    let job = made_of("openai", "gpt-image-1", ImageTask { images: vec![picture()], ..fox() }).unwrap();
    assert_eq!(job.asks[0].url, "https://vendor.test/v1/images/edits");
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
    let job = self::job(&endpoint("openai"), &call).unwrap();
    let form = self::form(&job);
    assert_eq!(form.value("mask"), Some(String::from_utf8_lossy(PNG).into_owned()));
    assert_eq!(form.value("input_fidelity").as_deref(), Some("high"));
}

#[test]
fn what_a_vendor_has_no_word_for_is_refused() {
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
        assert_eq!(param(made_of(kind, model, task)).as_deref(), Some(field), "{kind} {model}");
    }
    let diffusion =
        ImageTask { negative_prompt: Some("dogs".into()), seed: Some(7), steps: Some(4), ..fox() };
    let job = made_of("openai_compatible", "flux", diffusion).unwrap();
    let body = &asked(&job)[0].1;
    assert_eq!(
        (&body["negative_prompt"], &body["seed"], &body["steps"]),
        (&json!("dogs"), &json!(7), &json!(4))
    );
}

#[test]
fn who_makes_none_says_who_does() {
    for (kind, task) in [
        ("anthropic", Task::from(fox())),
        ("anthropic", texts(&["a"]).into()),
        ("openai", MeshTask { image: Some(picture()), ..MeshTask::default() }.into()),
    ] {
        let modality = task.modality();
        let error = made_of(kind, "m", task).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("model")));
        let able = if modality == Modality::ThreeD { "stability" } else { "google" };
        assert!(error.message.contains(able), "{error}");
    }
    assert!(makes_none(&endpoint("stability"), Modality::Text).message.contains("openai"));
    assert_eq!(
        endpoint("stability").vendor.dialect,
        Dialect::OpenAiChat(&crate::dialect::openai_chat::COMMON)
    );
}

#[test]
fn gemini_draws_one_at_a_time() {
    let task = ImageTask {
        count: 2,
        size: Some(Size { width: 2752, height: 1536 }),
        images: vec![picture()],
        ..fox()
    };
    let job = made_of("google", "gemini-3-pro-image-preview", task).unwrap();
    assert_eq!(job.asks.len(), 2);
    let (url, body) = asked(&job)[0];
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
    let made = said(&job, &json!({
        "candidates": [{"content": {"parts": [sketch, {"text": "Here it is."}, drawn]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 6, "candidatesTokenCount": 1290, "thoughtsTokenCount": 10},
    }))
    .unwrap();
    assert_eq!((made.files.len(), made.files[0].bytes.as_slice()), (1, PNG));
    let usage = Usage { prompt_tokens: 6, completion_tokens: 1300, reasoning_tokens: 10, ..Usage::default() };
    assert_eq!(made.usage, Some(usage));

    let cases = [
        (json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}), ErrorCode::InvalidRequest),
        (json!({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}), ErrorCode::InvalidRequest),
        (
            json!({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "No."}]}}]}),
            ErrorCode::ProviderError,
        ),
    ];
    for (body, code) in cases {
        assert_eq!(said(&job, &body).unwrap_err().code, code, "{body}");
    }
}

#[test]
fn imagen_draws_four_at_once() {
    let task = ImageTask { count: 5, size: Some(Size { width: 1024, height: 1024 }), ..fox() };
    let job = made_of("google", "imagen-4.0-generate-001", task).unwrap();
    let counts: Vec<&Value> =
        asked(&job).iter().map(|(_, body)| &body["parameters"]["sampleCount"]).collect();
    assert_eq!(counts, [&json!(4), &json!(1)]);
    let (url, body) = asked(&job)[0];
    assert_eq!(url, "https://vendor.test/v1/models/imagen-4.0-generate-001:predict");
    assert_eq!(
        (&body["instances"], &body["parameters"]["aspectRatio"]),
        (&json!([{"prompt": "a fox"}]), &json!("1:1"))
    );
    let predictions = json!([
        {"mimeType": "image/png", "bytesBase64Encoded": STANDARD.encode(PNG), "prompt": "a red fox"},
        {"raiFilteredReason": "unsafe"},
    ]);
    let made = said(&job, &json!({"predictions": predictions})).unwrap();
    assert_eq!((made.files.len(), made.files[0].revised_prompt.as_deref()), (1, Some("a red fox")));
    assert_eq!(said(&job, &json!({})).unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn hugging_face_draws_and_gives_the_file() {
    let task = ImageTask {
        size: Some(Size { width: 768, height: 512 }),
        seed: Some(7),
        count: 2,
        negative_prompt: Some("dogs".into()),
        steps: Some(20),
        ..fox()
    };
    let job = made_of("huggingface", "stabilityai/stable-diffusion-xl-base-1.0", task).unwrap();
    let (url, body) = asked(&job)[1];
    assert_eq!(url, "https://vendor.test/hf-inference/models/stabilityai/stable-diffusion-xl-base-1.0");
    let parameters =
        json!({"negative_prompt": "dogs", "num_inference_steps": 20, "width": 768, "height": 512, "seed": 8});
    assert_eq!(body, &json!({"inputs": "a fox", "parameters": parameters}));
    assert_eq!(job.asks[0].accept, "image/png");
    assert_eq!((job.read)(&answer(PNG)).unwrap().files[0].bytes, PNG);
}

#[test]
fn an_endpoint_of_ones_own_is_asked_where_it_is() {
    let mut own = endpoint("huggingface");
    own.base_url = "https://mine.endpoints.test".to_owned();
    let task = MeshTask { prompt: Some("a chair".into()), seed: Some(1), ..MeshTask::default() };
    let job = job(&own, &call("any", task)).unwrap();
    assert_eq!(
        asked(&job),
        [("https://mine.endpoints.test", &json!({"inputs": "a chair", "parameters": {"seed": 1}}))]
    );
    assert_eq!(job.asks[0].accept, "model/gltf-binary");

    let mesh = || Some(Mesh::Data("Z2xURg==".into()));
    let call = |task| call("any", task);
    let made = self::job(&own, &call(MeshTask { mesh: mesh(), ..MeshTask::default() })).unwrap();
    assert_eq!(asked(&made)[0].1["inputs"], "Z2xURg==");
    let both = MeshTask { mesh: mesh(), image: Some(picture()), ..MeshTask::default() };
    assert_eq!(param(self::job(&own, &call(both))).as_deref(), Some("images"));
    for (kind, model) in [("huggingface", "a/b"), ("stability", "stable-fast-3d")] {
        let task = MeshTask { mesh: mesh(), ..MeshTask::default() };
        assert_eq!(param(made_of(kind, model, task)).as_deref(), Some("input.mesh"), "{kind}");
    }
}

#[test]
fn stability_draws_by_forms() {
    let task = ImageTask {
        size: Some(Size { width: 1536, height: 1024 }),
        negative_prompt: Some("dogs".into()),
        seed: Some(9),
        ..fox()
    };
    let job = made_of("stability", "sd3.5-large", task).unwrap();
    assert_eq!(job.asks[0].url, "https://vendor.test/v1/v2beta/stable-image/generate/sd3");
    let fields = ["prompt", "model", "negative_prompt", "aspect_ratio", "seed", "output_format", "strength"];
    let told: Vec<_> = fields.iter().map(|name| form(&job).value(name)).collect();
    let expected =
        [Some("a fox"), Some("sd3.5-large"), Some("dogs"), Some("3:2"), Some("9"), Some("png"), None];
    assert_eq!(told, expected.map(|value| value.map(str::to_owned)));
    let changed = made_of("stability", "ultra", ImageTask { images: vec![picture()], ..fox() }).unwrap();
    assert_eq!(form(&changed).value("strength").as_deref(), Some("0.6"));
    assert_eq!(form(&changed).value("mode"), None);
    let headers =
        HeaderMap::from_iter([("finish-reason".parse().unwrap(), "CONTENT_FILTERED".parse().unwrap())]);
    let blurred = (job.read)(&Answer { headers, bytes: PNG.into() });
    assert_eq!(blurred.unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn stability_makes_a_mesh_of_an_image() {
    let task = MeshTask { image: Some(picture()), texture_size: Some(512), ..MeshTask::default() };
    let job = made_of("stability", "stable-fast-3d", task).unwrap();
    assert_eq!(job.asks[0].url, "https://vendor.test/v1/v2beta/3d/stable-fast-3d");
    assert_eq!(form(&job).value("texture_resolution").as_deref(), Some("512"));
    let made = (job.read)(&answer(&b"glTF\x02\0\0\0"[..])).unwrap();
    assert!(matches!(job.events(vec![made]).unwrap()[0], RunEventBody::File { index: 0, .. }));
    let prompt = MeshTask { prompt: Some("a chair".into()), ..MeshTask::default() };
    assert_eq!(param(made_of("stability", "stable-fast-3d", prompt)).as_deref(), Some("images"));
}

#[test]
fn what_isnt_what_was_asked_for_goes_no_further() {
    let image = made_of("huggingface", "a/b", fox()).unwrap();
    let mesh =
        made_of("stability", "stable-fast-3d", MeshTask { image: Some(picture()), ..MeshTask::default() })
            .unwrap();
    for (job, bytes) in [
        (&image, &b"<svg onload=alert(1)>"[..]),
        (&image, b"{\"error\": \"no\"}"),
        (&image, b"glTF\x02\0\0\0"),
        (&image, b""),
        (&mesh, PNG),
    ] {
        let made = (job.read)(&answer(bytes)).unwrap();
        assert_eq!(job.events(vec![made]).unwrap_err().code, ErrorCode::ProviderError, "{bytes:?}");
    }
    assert_eq!(image.events(vec![]).unwrap_err().code, ErrorCode::ProviderError);
}

#[test]
fn vectors_that_are_not_one_for_each_input_are_an_error() {
    let job = made_of("openai", "small", texts(&["a", "b"])).unwrap();
    let events = |data: Value| job.events(vec![said(&job, &json!({"data": data}))?]);
    let vector = |index: Value, embedding: Value| json!({"index": index, "embedding": embedding});
    // The order counts where the indexes are not each place once.
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
fn no_more_images_are_taken_than_were_asked_for() {
    let job = made_of("openai", "gpt-image-1", ImageTask { count: 2, ..fox() }).unwrap();
    let image = json!({"b64_json": STANDARD.encode(PNG), "revised_prompt": null});
    let made = said(&job, &json!({"data": vec![image; 50], "usage": {"input_tokens": null}})).unwrap();
    let files = job.events(vec![made]).unwrap();
    let files = files.iter().filter(|event| matches!(event, RunEventBody::File { .. }));
    assert_eq!(files.count(), 2);
    assert!(job.most_bytes < 100 << 20);
}

#[test]
fn an_answer_keeps_the_providers_words_and_is_read_in_any_wrapping() {
    let job = made_of("openai", "small", texts(&["a"])).unwrap();
    let read = |body: &str| (job.read)(&answer(body.to_owned()));
    let good = r#"{"data":[{"embedding":[1]}]}"#;
    for body in [
        format!("\u{feff}{good}"),
        format!("data: {good}\n\ndata: [DONE]\n\n"),
        format!(": hi\nevent: x\ndata: {good}"),
    ] {
        assert_eq!(read(&body).unwrap().vectors, [[1.0]], "{body}");
    }
    let bad = [
        "{\"error\":{\"message\":\"not loaded\"}}",
        "{\"detail\":\"not loaded\"}",
        "event: error\ndata: not loaded\n\n",
    ];
    for body in bad {
        let made = read(body).and_then(|made| job.events(vec![made]));
        assert!(made.unwrap_err().message.contains("not loaded"), "{body}");
    }
    for (body, problem) in [("", "empty"), ("<html>", "HTML"), ("hello", "no JSON")] {
        assert!(read(body).unwrap_err().message.contains(problem), "{body}");
    }
    let job = made_of("huggingface", "acme/draw", fox()).unwrap();
    let made = (job.read)(&answer("{\"error\":\"not loaded\"}")).unwrap();
    assert!(job.events(vec![made]).unwrap_err().message.contains("not loaded"));
}
