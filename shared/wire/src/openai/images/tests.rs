use hearth_domain::{
    Artifact, ArtifactId, FinishReason, ImageFormat, ImageTask, Size, Task, Timestamp, Usage,
};
use serde_json::{Value, json};

use super::*;
use crate::{RunEvent, RunEventBody, form::FormField};

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

fn made() -> Made {
    let usage = Usage { prompt_tokens: 5, completion_tokens: 7, ..Usage::default() };
    let bodies = [
        RunEventBody::Artifact { index: 0, artifact: artifact() },
        RunEventBody::Usage { usage },
        RunEventBody::Done { finish_reason: FinishReason::Stop },
    ];
    let events: Vec<RunEvent> = (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect();
    Made::of(&events).unwrap()
}

#[test]
fn what_is_asked_reaches_the_task_and_the_rest_goes_on() {
    let asked = request(json!({
        "prompt": "a fox", "model": "gpt-image-1", "n": 2, "size": "1024x1536", "quality": "high",
        "output_format": "webp", "background": "transparent", "moderation": "low", "user": "ada",
    }));
    let generation = asked.into_generation().unwrap();
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
fn what_is_wrong_is_named() {
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
fn each_family_gives_images_as_its_clients_expect() {
    let format = |body: Value| request(body).shown().format;
    assert_eq!(format(json!({"prompt": "a", "model": "openai:dall-e-3"})), ResponseFormat::Url);
    assert_eq!(format(json!({"prompt": "a", "model": "gpt-image-1"})), ResponseFormat::B64Json);
    let said = json!({"prompt": "a", "model": "gpt-image-1", "response_format": "url"});
    assert_eq!(format(said), ResponseFormat::Url);
}

#[test]
fn an_answer_has_bytes_or_links() {
    let (made, shown) = (made(), request(json!({"prompt": "a", "size": "1024x1024"})).shown());
    let bytes = ImageBody::new(&made.artifacts[0], Some(b"abc"), "https://x");
    let list = json!(ImageList::new(&made, vec![bytes], &shown));
    assert_eq!(list["data"], json!([{"b64_json": "YWJj", "revised_prompt": "a red fox"}]));
    assert_eq!((&list["output_format"], &list["size"]), (&json!("png"), &json!("1024x1024")));
    assert_eq!((&list["usage"]["input_tokens"], &list["usage"]["total_tokens"]), (&json!(5), &json!(12)));
    let link = ImageBody::new(&made.artifacts[0], None, "https://x");
    assert_eq!(link.url.as_deref(), Some("https://x/v1/artifacts/x?expires=1&signature=s"));
    assert_eq!(link.b64_json, None);
}

#[test]
fn a_streamed_image_is_an_event_and_the_last_one_tells_the_usage() {
    let (made, shown) = (made(), request(json!({"prompt": "a"})).shown());
    let image = || ImageBody::new(&made.artifacts[0], Some(b"abc"), "");
    let frames = ImageFrames::of(&ImageList::new(&made, vec![image(), image()], &shown), &shown);
    let told: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect();
    assert_eq!(frames[0].event, Some("image_generation.completed"));
    assert_eq!(
        (&told[0]["type"], &told[0]["b64_json"]),
        (&json!("image_generation.completed"), &json!("YWJj"))
    );
    assert_eq!((&told[0]["usage"], &told[1]["usage"]["output_tokens"]), (&Value::Null, &json!(7)));
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn field(name: &str, bytes: &[u8]) -> FormField {
    FormField { name: name.into(), is_file: bytes == PNG, bytes: bytes.to_vec() }
}

#[test]
fn a_form_asks_for_changed_images() {
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
    let edit = ImageEdit::read(form).unwrap();
    let shown = edit.shown();
    assert!(shown.streams && shown.edits);
    let generation = edit.into_generation().unwrap();
    let Task::Image(task) = generation.task else { panic!("no image") };
    assert_eq!((task.images.len(), task.mask.is_some(), task.count), (2, true, 2));
    assert_eq!((task.prompt.as_str(), task.size), ("42", Some(Size { width: 1024, height: 1024 })));
    assert_eq!(json!(generation.extra.fields), json!({"input_fidelity": "high"}));
}

#[test]
fn what_is_wrong_in_a_form_is_named() {
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
        (with("us\"er", b"a"), None),
        (with("file", PNG), None),
        (vec![field("image", PNG); 17].into_iter().chain([field("prompt", b"a")]).collect(), Some("image")),
    ] {
        let read = ImageEdit::read(form).and_then(ImageEdit::into_generation);
        assert_eq!(read.unwrap_err().param.as_deref(), param);
    }
}
