use hearth_domain::{
    FinishReason, Generation, Logprob, Message, RawPrompt, Role, RunId, Selection, Task, TextTask,
    TokenLogprob, Usage,
};
use serde_json::{Value, json};

use super::*;
use crate::{RunEvent, RunEventBody, stream::Render as _};

#[expect(clippy::needless_pass_by_value, reason = "literals are given")]
fn request(fields: Value) -> CompletionRequest {
    let mut body = json!({"model": "auto", "prompt": "Say"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

fn tasks(fields: Value) -> Vec<TextTask> {
    let parts = request(fields).into_generations(RunId::new()).unwrap();
    let task = |(generation, _): (Generation, CompletionRenderer)| match generation.task {
        Task::Text(task) => task,
        other => panic!("{other:?} is no text"),
    };
    parts.into_iter().map(task).collect()
}

#[test]
fn tokens_and_infill_become_raw_prompts() {
    let raw = |fields: Value| tasks(fields).into_iter().map(|task| task.raw).collect::<Vec<_>>();
    assert_eq!(raw(json!({"prompt": "a"})), [None]);
    assert_eq!(raw(json!({"prompt": [1, 2]})), [Some(RawPrompt::Tokens(vec![1, 2]))]);
    let lists = [vec![1], vec![2]].map(|tokens| Some(RawPrompt::Tokens(tokens)));
    assert_eq!(raw(json!({"prompt": [[1], [2]]})), lists);
    let infill = RawPrompt::Infill { prefix: "def f(".into(), suffix: "):".into() };
    assert_eq!(raw(json!({"prompt": "def f(", "suffix": "):"})), [Some(infill)]);
}

#[test]
fn completions_of_several_prompts_are_numbered_through() {
    let fields =
        json!({"prompt": ["A", "B"], "n": 2, "echo": true, "stream_options": {"include_usage": true}});
    let parts = request(fields.clone()).into_generations(RunId::new()).unwrap();
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let usage =
        RunEventBody::Usage { usage: Usage { prompt_tokens: 3, completion_tokens: 2, ..Usage::default() } };
    let events = events(&[RunEventBody::text("x"), delta(1, "y", &[]), usage, done]);
    let completions = parts.into_iter().map(|(_, renderer)| renderer.into_answer(&events).unwrap()).collect();
    let joined = Completion::joined(completions).unwrap();
    let texts: Vec<_> = joined.choices.iter().map(|choice| (choice.index, choice.text.as_str())).collect();
    assert_eq!(texts, [(0, "Ax"), (1, "Ay"), (2, "Bx"), (3, "By")]);
    assert_eq!(joined.usage.unwrap().total_tokens, 10);

    let (_, mut renderer) = request(fields).into_generations(RunId::new()).unwrap().remove(1);
    let chunks: Vec<Value> = events
        .iter()
        .flat_map(|event| renderer.frames(event))
        .map(|frame| serde_json::from_str(&frame.data).unwrap())
        .collect();
    let pieces: Vec<_> = chunks
        .iter()
        .map(|chunk| (chunk["choices"][0]["index"].clone(), chunk["choices"][0]["text"].clone()))
        .collect();
    assert_eq!(
        pieces,
        [(json!(2), json!("Bx")), (json!(3), json!("By")), (json!(2), json!("")), (json!(3), json!(""))]
    );
    assert_eq!(renderer.usage().prompt_tokens, 3);
}

#[test]
fn text_prompt_becomes_a_user_message() {
    for prompt in [json!("Say"), json!(["Say"])] {
        let fields = json!({
            "prompt": prompt, "max_tokens": 5, "n": 2, "best_of": 2, "logprobs": 3, "echo": false, "suffix": null,
            "stop": ["X"], "user": "ada",
        });
        let [task] = &tasks(fields)[..] else { panic!("one prompt gives one task") };
        assert_eq!(*task.messages, [Message::new(Role::User, "Say")]);
        assert_eq!((task.choices, task.top_logprobs, task.sampling.max_tokens), (2, Some(3), Some(5)));
        assert_eq!(task.sampling.stop, ["X"]);
    }
}

#[test]
fn unsupported_request_is_refused_with_the_fields_name() {
    let cases = [
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": vec!["a"; 33]}), "prompt"),
        (json!({"prompt": [[1], []]}), "prompt"),
        (json!({"prompt": vec!["a"; 9], "n": 32}), "n"),
        (json!({"prompt": [1, 2], "suffix": "."}), "suffix"),
        (json!({"prompt": [1, 2], "echo": true}), "echo"),
        (json!({"echo": true, "logprobs": 0}), "echo"),
        (json!({"best_of": 2}), "best_of"),
        (json!({"n": 0}), "n"),
        (json!({"logprobs": 21}), "logprobs"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"logit_bias": {"x": 1}}), "logit_bias"),
    ];
    for (fields, param) in cases {
        let error =
            request(fields.clone()).into_generations(RunId::new()).map(drop).expect_err(&fields.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{fields}: {error}");
    }
}

fn events(bodies: &[RunEventBody]) -> Vec<RunEvent> {
    let selected = RunEventBody::Selected(Selection::example("tiny-chat", "local"));
    (1..)
        .zip([selected].iter().chain(bodies))
        .map(|(seq, body)| RunEvent { seq, body: body.clone() })
        .collect()
}

fn delta(choice: u32, text: &str, bytes: &[&[u8]]) -> RunEventBody {
    let token = |bytes: &&[u8]| Logprob { bytes: bytes.to_vec(), logprob: -0.5 };
    let logprobs = bytes.iter().map(|bytes| TokenLogprob { token: token(bytes), top: vec![token(bytes)] });
    RunEventBody::Delta { choice, text: text.into(), logprobs: logprobs.collect() }
}

#[test]
fn several_answers_are_rendered_in_pieces_and_whole() {
    let usage = Usage { prompt_tokens: 3, completion_tokens: 4, ..Usage::default() };
    let events = events(&[
        RunEventBody::Started { prompt_tokens: 3 },
        delta(0, "é", &["é".as_bytes()]),
        delta(1, "x", &[]),
        delta(0, "ab", &[b"a", b"b"]),
        RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length },
        RunEventBody::Usage { usage },
        RunEventBody::Done { finish_reason: FinishReason::Stop },
    ]);
    let of = request(json!({"n": 2, "logprobs": 1, "stream_options": {"include_usage": true}}));
    let (_, mut renderer) = of.clone().into_generations(RunId::new()).unwrap().remove(0);
    let frames: Vec<Value> = events
        .iter()
        .flat_map(|event| renderer.frames(event))
        .map(|frame| serde_json::from_str(&frame.data).unwrap())
        .collect();
    let pieces: Vec<_> = frames[..5]
        .iter()
        .map(|frame| {
            let choice = &frame["choices"][0];
            (choice["index"].clone(), choice["text"].clone(), choice["finish_reason"].clone())
        })
        .collect();
    let none = json!(null);
    let expected = [
        (json!(0), json!("é"), none.clone()),
        (json!(1), json!("x"), none.clone()),
        (json!(0), json!("ab"), none),
        (json!(1), json!(""), json!("length")),
        (json!(0), json!(""), json!("stop")),
    ];
    assert_eq!(pieces, expected);
    assert_eq!((&frames[5]["choices"], &frames[5]["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    assert_eq!(frames[0]["object"], "text_completion");
    let logprobs = json!({
        "tokens": ["a", "b"], "token_logprobs": [-0.5, -0.5], "top_logprobs": [{"a": -0.5}, {"b": -0.5}],
        "text_offset": [1, 2],
    });
    assert_eq!(frames[2]["choices"][0]["logprobs"], logprobs);

    let whole = json!(of.into_generations(RunId::new()).unwrap().remove(0).1.into_answer(&events).unwrap());
    assert_eq!((&whole["choices"][0]["text"], &whole["choices"][1]["text"]), (&json!("éab"), &json!("x")));
    assert_eq!(whole["choices"][0]["logprobs"]["text_offset"], json!([0, 1, 2]));
    assert_eq!(
        (&whole["choices"][1]["finish_reason"], &whole["usage"]["prompt_tokens"]),
        (&json!("length"), &json!(3))
    );
}
