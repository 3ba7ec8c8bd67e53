use hearth_domain::{
    Artifact, ArtifactId, FinishReason, ImageFormat, ImageTask, Size, Task, Timestamp, Usage,
};
use serde_json::{Value, json};

use super::*;
use crate::{RunEvent, RunEventBody, form_field::FormField};

fn request(body: Value) -> ImageRequest {
    serde_json::from_value(body).unwrap()
}

fn artifact() -> Artifact {
    Artifact {
        id: ArtifactId::new(),
        media_type: "image/png".into(),
        size_bytes: 3,
        sha256: "00".into(),
        revised_prompt: Some("a red fox".into()),
        expires_at: Timestamp::from_unix(9),
        link: "/v1/artifacts/x?expires=1&signature=s".into(),
    }
}

fn generated() -> GeneratedImages {
    let usage = Usage { prompt_tokens: 5, completion_tokens: 7, ..Usage::default() };
    let bodies = [
        RunEventBody::Artifact { index: 0, artifact: artifact() },
        RunEventBody::Usage { usage },
        RunEventBody::Done { finish_reason: FinishReason::Stop },
    ];
    let events: Vec<RunEvent> = (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect();
    GeneratedImages::collect(&events).unwrap()
}

#[test]
fn known_fields_reach_the_task_and_unknown_ones_are_passed_on() {
    let named = request(json!({
        "prompt": "a fox", "model": "gpt-image-1", "n": 2, "size": "1024x1536", "quality": "high",
        "output_format": "webp", "background": "transparent", "moderation": "low", "user": "ada",
    }));
    let generation = named.into_generation().unwrap();
    let expected = ImageTask {
        count: 2,
        size: Some(Size { width: 1024, height: 1536 }),
        quality: Some("high".into()),
        format: Some(ImageFormat::Webp),
        background: Some("transparent".into()),
        ..ImageTask::new("a fox")
    };
    assert_eq!(generation.task, Task::Image(expected));
    assert_eq!(json!(generation.extra.fields), json!({"moderation": "low", "user": "ada"}));
    let auto =
        request(json!({"prompt": "a fox", "size": "auto", "quality": "auto"})).into_generation().unwrap();
    assert_eq!(auto.task, Task::Image(ImageTask::new("a fox")));
}

#[test]
fn invalid_field_is_named() {
    for (body, param) in [
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": "a", "n": 0}), "n"),
        (json!({"prompt": "a", "size": "large"}), "size"),
        (json!({"prompt": "a", "background": "green"}), "background"),
        (json!({"prompt": "a", "partial_images": 2, "stream": true}), "partial_images"),
        (json!({"prompt": "a", "fallback": true}), "fallback"),
    ] {
        let error = request(body.clone()).into_generation().unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn default_response_format_depends_on_the_model() {
    let format = |body: Value| request(body).answer_options().format;
    assert_eq!(format(json!({"prompt": "a", "model": "openai:dall-e-3"})), ImageResponseFormat::Url);
    assert_eq!(format(json!({"prompt": "a", "model": "gpt-image-1"})), ImageResponseFormat::B64Json);
    let with_url = json!({"prompt": "a", "model": "gpt-image-1", "response_format": "url"});
    assert_eq!(format(with_url), ImageResponseFormat::Url);
}

#[test]
fn answer_has_bytes_or_links() {
    let (images, options) =
        (generated(), request(json!({"prompt": "a", "size": "1024x1024"})).answer_options());
    let bytes = ImageBody::new(&images.artifacts[0], Some(b"abc"), "https://x");
    let list = json!(ImageList::new(&images, vec![bytes], &options));
    assert_eq!(list["data"], json!([{"b64_json": "YWJj", "revised_prompt": "a red fox"}]));
    assert_eq!((&list["output_format"], &list["size"]), (&json!("png"), &json!("1024x1024")));
    assert_eq!((&list["usage"]["input_tokens"], &list["usage"]["total_tokens"]), (&json!(5), &json!(12)));
    let link = ImageBody::new(&images.artifacts[0], None, "https://x");
    assert_eq!(link.url.as_deref(), Some("https://x/v1/artifacts/x?expires=1&signature=s"));
    assert_eq!(link.b64_json, None);
}

#[test]
fn each_streamed_image_is_an_event_and_the_last_has_the_usage() {
    let (images, options) = (generated(), request(json!({"prompt": "a"})).answer_options());
    let image = || ImageBody::new(&images.artifacts[0], Some(b"abc"), "");
    let frames = ImageFrames::of(&ImageList::new(&images, vec![image(), image()], &options), &options);
    let events: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect();
    assert_eq!(frames[0].event, Some("image_generation.completed"));
    assert_eq!(
        (&events[0]["type"], &events[0]["b64_json"]),
        (&json!("image_generation.completed"), &json!("YWJj"))
    );
    assert_eq!((&events[0]["usage"], &events[1]["usage"]["output_tokens"]), (&Value::Null, &json!(7)));
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn field(name: &str, bytes: &[u8]) -> FormField {
    FormField { name: name.into(), is_file: bytes == PNG, bytes: bytes.to_vec() }
}

#[test]
fn form_is_parsed_as_an_edit() {
    let form = vec![
        field("image[]", PNG),
        field("image[]", PNG),
        field("mask", PNG),
        field("prompt", b"42"),
        field("model", b"gpt-image-1"),
        field("n", b"2"),
        field("size", b"1024x1024"),
        field("input_fidelity", b"high"),
        field("stream", b"true"),
    ];
    let edit = ImageEdit::parse(form).unwrap();
    let options = edit.answer_options();
    assert!(options.streams && options.is_edit);
    let generation = edit.into_generation().unwrap();
    let Task::Image(task) = generation.task else { panic!("no image") };
    assert_eq!((task.images.len(), task.mask.is_some(), task.count), (2, true, 2));
    assert_eq!((task.prompt.as_str(), task.size), ("42", Some(Size { width: 1024, height: 1024 })));
    assert_eq!(json!(generation.extra.fields), json!({"input_fidelity": "high"}));
}

#[test]
fn invalid_form_field_is_named() {
    let with =
        |name: &str, bytes: &[u8]| vec![field("image", PNG), field("prompt", b"a"), field(name, bytes)];
    for (form, param) in [
        (vec![field("prompt", b"a")], Some("image")),
        (vec![field("image", PNG)], Some("prompt")),
        (vec![field("image", b"text"), field("prompt", b"a")], Some("image")),
        (with("mask", b"text"), Some("mask")),
        (with("n", b"two"), Some("n")),
        (with("n", b"0"), Some("n")),
        (with("stream", b"yes"), Some("stream")),
        (with("size", b"big"), Some("size")),
        (with("response_format", b"gif"), Some("response_format")),
        (with("output_format", b"gif"), Some("output_format")),
        (with("user", b"\xff"), Some("user")),
        (with("prompt", b"b"), Some("prompt")),
        (with("mask", PNG).into_iter().chain([field("mask", PNG)]).collect(), Some("mask")),
        (with("us\"er", b"a"), None),
        (with("file", PNG), None),
        (vec![field("image", PNG); 17].into_iter().chain([field("prompt", b"a")]).collect(), Some("image")),
    ] {
        let result = ImageEdit::parse(form).and_then(ImageEdit::into_generation);
        assert_eq!(result.unwrap_err().param.as_deref(), param);
    }
}
