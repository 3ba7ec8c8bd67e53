use std::time::{Duration, Instant};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue as Attribute, Message};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use hearth_domain::FinishReason;
use hearth_wire::{ErrorCode, event::ToolCallBegin};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_ENCODING};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    decompress::{self, gzipped},
    dialect::openai_chat::COMMON,
    transport::HttpResponse,
};

const DIALECTS: [Dialect; 5] = [
    Dialect::OpenAiChat(&COMMON),
    Dialect::OpenAiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Bedrock,
];

/// The events of a body in these pieces, and the error after them.
fn read<'a>(
    dialect: Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<RunEventBody>, Result<(), ApiError>) {
    let (mut reader, mut events) = (AnswerReader::new(dialect), Vec::new());
    let read = || {
        for piece in pieces {
            reader.push(piece, &mut events)?;
        }
        reader.end(&mut events)
    };
    let result = read();
    (events, result)
}

/// Removes ids that the gateway has created, which are random.
fn comparable(
    (events, result): (Vec<RunEventBody>, Result<(), ApiError>),
) -> (Vec<RunEventBody>, Result<(), ApiError>) {
    let without_new_ids = |event| match event {
        RunEventBody::ToolCall { choice, index, begins: Some(begins), arguments } => {
            let is_new = begins.id.starts_with("call_") && begins.id.len() == 29;
            let id = if is_new { String::new() } else { begins.id };
            let begins = Some(ToolCallBegin { id, name: begins.name });
            RunEventBody::ToolCall { choice, index, begins, arguments }
        }
        RunEventBody::Reasoning { choice, index, mut added } => {
            // The place of a signature of Google's contains the id of the call.
            added.signature = added.signature.map(|signature| signature.chars().take(1).collect());
            RunEventBody::Reasoning { choice, index, added }
        }
        event => event,
    };
    (events.into_iter().map(without_new_ids).collect(), result)
}

/// The answer of [`frames`] as one document.
fn document(dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAiChat(_) => {
            json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "reasoning_content": "Hm.", "content": "Grüße 😀",
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"n\":1}"}}]}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        }
        Dialect::OpenAiResponses => {
            json!({"object": "response", "status": "completed", "error": null, "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Grüße 😀",
                "logprobs": [{"token": "Grüße", "logprob": -0.5}]}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{\"n\":1}"}],
            "usage": {"input_tokens": 1, "output_tokens": 2}})
        }
        Dialect::Anthropic => json!({"type": "message", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": ""}, {"type": "text", "text": "Grüße 😀"},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1}}],
            "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 2}}),
        Dialect::Gemini => {
            json!({"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": true}, {"text": "Grüße 😀"},
            {"functionCall": {"id": "a", "name": "f", "args": {"n": 1}}}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}})
        }
        Dialect::Bedrock => json!({"output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "Grüße 😀"},
            {"toolUse": {"toolUseId": "a", "name": "f", "input": {"n": 1}}}]}},
            "stopReason": "tool_use", "usage": {"inputTokens": 1, "outputTokens": 2}}),
    }
}

#[test]
fn whole_document_gives_the_events_of_a_stream() {
    for dialect in DIALECTS {
        let text = document(dialect).to_string();
        let (events, result) = read(dialect, [text.as_bytes()]);
        result.unwrap();
        let [thoughts, delta, rest @ ..] = events.as_slice() else { panic!("{dialect:?}: {events:?}") };
        let is_thought = |event: &RunEventBody| matches!(event, RunEventBody::Reasoning { added, .. } if added.text == "Hm.");
        assert!(is_thought(thoughts), "{dialect:?}: {events:?}");
        let RunEventBody::Delta { text, logprobs, .. } = delta else { panic!("{dialect:?}: {events:?}") };
        assert_eq!(
            (text.as_str(), logprobs.len()),
            ("Grüße 😀", usize::from(dialect == Dialect::OpenAiResponses))
        );
        let arguments: String = rest
            .iter()
            .filter_map(|event| match event {
                RunEventBody::ToolCall { arguments, .. } => Some(arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(arguments, "{\"n\":1}", "{dialect:?}: {events:?}");
        let [.., RunEventBody::Usage { usage }, RunEventBody::Done { finish_reason }] = rest else {
            panic!("{dialect:?}: {events:?}")
        };
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (1, 2), "{dialect:?}");
        assert_eq!(*finish_reason, FinishReason::ToolCalls, "{dialect:?}");
    }
}

/// Frames of a complete answer with everything that the dialect has.
fn frames(dialect: Dialect) -> Vec<Value> {
    match dialect {
        Dialect::OpenAiChat(_) => {
            let chunk = |delta: Value, finish: Value| json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            vec![
                chunk(json!({"role": "assistant", "content": ""}), Value::Null),
                chunk(json!({"reasoning_content": "Hm."}), Value::Null),
                chunk(json!({"content": "Grüße 😀"}), Value::Null),
                chunk(
                    json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"n\""}}]}),
                    Value::Null,
                ),
                chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}), Value::Null),
                chunk(json!({}), json!("tool_calls")),
                json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
            ]
        }
        Dialect::OpenAiResponses => vec![
            json!({"type": "response.created", "response": {"status": "in_progress"}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}}),
            json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm."}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "encrypted_content": "E"}}),
            json!({"type": "response.output_text.delta", "output_index": 1, "delta": "Grüße 😀"}),
            json!({"type": "response.output_item.added", "output_index": 2, "item": {"type": "function_call", "call_id": "a", "name": "f"}}),
            json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"n\":1}"}),
            json!({"type": "response.output_item.done", "output_index": 2, "item": {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{\"n\":1}"}}),
            json!({"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 1, "output_tokens": 2}}}),
        ],
        Dialect::Anthropic => vec![
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 1, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "S"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße 😀"}}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}}}),
            json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"n\":1}"}}),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}),
            json!({"type": "message_stop"}),
        ],
        Dialect::Gemini => vec![
            json!({"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": true}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": "Grüße 😀"}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"functionCall": {"id": "a", "name": "f", "args": {"n": 1}}}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}}),
        ],
        Dialect::Bedrock => vec![
            json!(["messageStart", {"role": "assistant"}]),
            json!(["contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm."}}}]),
            json!(["contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Grüße 😀"}}]),
            json!(["contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "a", "name": "f"}}}]),
            json!(["contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "{\"n\":1}"}}}]),
            json!(["contentBlockStop", {"contentBlockIndex": 2}]),
            json!(["messageStop", {"stopReason": "tool_use"}]),
            json!(["metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}}]),
        ],
    }
}

/// The bytes of frames.
fn bytes(dialect: Dialect, frames: &[Value]) -> Vec<u8> {
    let bytes = frames.iter().map(|frame| match dialect {
        Dialect::Bedrock => {
            let header = |name: &str, value: &str| {
                Header::new(name.to_owned(), Attribute::String(value.to_owned().into()))
            };
            let headers = vec![header(":event-type", frame[0].as_str().unwrap_or("messageStop"))];
            let mut bytes = Vec::new();
            write_message_to(&Message::new_from_parts(headers, frame[1].to_string()), &mut bytes).unwrap();
            bytes
        }
        Dialect::Anthropic => {
            format!("event: {}\ndata: {frame}\n\n", frame["type"].as_str().unwrap_or("ping")).into_bytes()
        }
        _ => format!("data: {frame}\n\n").into_bytes(),
    });
    bytes.collect::<Vec<_>>().concat()
}

/// Splits bytes at the places in `cuts`.
fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

/// Returns whether an answer is complete, with `Done` as its last and only terminal event, or ended by an error.
fn is_complete_or_error(events: &[RunEventBody], result: &Result<(), ApiError>) -> bool {
    let ends = events.iter().filter(|event| event.is_terminal()).count();
    let done = matches!(events.last(), Some(RunEventBody::Done { .. }));
    if result.is_ok() { done && ends == 1 } else { ends == 0 }
}

/// Odd values that replace one in a frame.
fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        Just(json!("")),
        Just(json!("error")),
        Just(json!([null, {"text": "x"}])),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ]
}

/// Replaces the value number `place` of `frame` by `value`.
fn replace(frame: &mut Value, place: &mut usize, value: &Value) -> bool {
    if *place == 0 {
        *frame = value.clone();
        return true;
    }
    *place -= 1;
    match frame {
        Value::Array(values) => values.iter_mut().any(|inner| replace(inner, place, value)),
        Value::Object(fields) => fields.iter_mut().any(|(_, inner)| replace(inner, place, value)),
        _ => false,
    }
}

/// A valid stream with some frames changed, removed or repeated, or truncated.
fn mutated(dialect: Dialect) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..12_usize, odd_value(), 0..6_u8);
    prop::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut frames = frames(dialect);
        for (frame, mut place, value, kind) in changes {
            if frames.is_empty() {
                break;
            }
            let number = frame.index(frames.len());
            match kind {
                0 => drop(frames.remove(number)),
                1 => frames.insert(number, frames[number].clone()),
                2 => frames.truncate(number),
                _ => {
                    replace(&mut frames[number], &mut place, &value);
                }
            }
        }
        bytes(dialect, &frames)
    })
}

proptest! {
    #[test]
    fn any_bytes_give_a_complete_answer_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        prefix in prop::sample::select(vec!["", "data: ", "{", "data: {\"choices\":[", "\0\0\0\x20"]),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let bytes = [prefix.as_bytes(), &bytes].concat();
        for dialect in DIALECTS {
            let (events, result) = comparable(read(dialect, cut(&bytes, &cuts)));
            prop_assert!(is_complete_or_error(&events, &result), "{dialect:?}: {events:?} {result:?}");
            prop_assert_eq!((events, result), comparable(read(dialect, [&bytes[..]])));
        }
    }

    #[test]
    fn changed_stream_gives_a_complete_answer_or_an_error(
        streams in DIALECTS.map(mutated),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        for (dialect, bytes) in DIALECTS.into_iter().zip(streams) {
            let (events, result) = comparable(read(dialect, cut(&bytes, &cuts)));
            prop_assert!(is_complete_or_error(&events, &result), "{dialect:?}: {events:?} {result:?}");
            prop_assert_eq!((events, result), comparable(read(dialect, [&bytes[..]])));
        }
    }

    #[test]
    fn changed_byte_gives_a_complete_answer_or_an_error(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for dialect in DIALECTS {
            let mut bytes = bytes(dialect, &frames(dialect));
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let (events, result) = read(dialect, [&bytes[..]]);
            prop_assert!(is_complete_or_error(&events, &result), "{dialect:?}: {events:?} {result:?}");
        }
    }
}

#[test]
fn answer_is_the_same_in_every_dialect_byte_by_byte() {
    for dialect in DIALECTS {
        let bytes = bytes(dialect, &frames(dialect));
        let (events, result) = read(dialect, bytes.chunks(1));
        assert_eq!(result, Ok(()), "{dialect:?}");
        let text: String = events
            .iter()
            .filter_map(|event| match event {
                RunEventBody::Delta { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let arguments: String = events
            .iter()
            .filter_map(|event| match event {
                RunEventBody::ToolCall { arguments, .. } => Some(arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!((text.as_str(), arguments.as_str()), ("Grüße 😀", "{\"n\":1}"), "{dialect:?}");
        let done = RunEventBody::Done { finish_reason: FinishReason::ToolCalls };
        assert_eq!(events.last(), Some(&done), "{dialect:?}");
        assert!(
            events
                .iter()
                .any(|event| matches!(event, RunEventBody::Reasoning { added, .. } if added.text == "Hm."))
        );
    }
}

#[test]
fn truncated_answer_is_an_error() {
    for dialect in DIALECTS {
        let frames = frames(dialect);
        for count in 0..2 {
            let bytes = bytes(dialect, &frames[..count]);
            let (_, result) = read(dialect, [&bytes[..]]);
            assert_eq!(result.unwrap_err().code, ErrorCode::ProviderError, "{dialect:?}");
        }
    }
}

#[test]
fn empty_body_is_an_error() {
    for dialect in DIALECTS {
        let error = read(dialect, []).1.unwrap_err();
        assert!(error.message.contains("empty"), "{error}");
    }
}

#[test]
fn document_in_place_of_a_stream_is_read() {
    let whole = [
        json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Hello", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}}]}),
        json!({"object": "response", "status": "completed", "error": null, "output": [
            {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}]}),
        json!({"type": "message", "stop_reason": "tool_use", "content": [
            {"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "a", "name": "f", "input": {}}]}),
        json!([{"candidates": [{"content": {"parts": [{"text": "Hello"}, {"functionCall": {"id": "a", "name": "f"}}]}, "finishReason": "STOP"}]}]),
        json!({"stopReason": "tool_use", "output": {"message": {"content": [
            {"text": "Hello"}, {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}]}}}),
    ];
    for (dialect, body) in DIALECTS.into_iter().zip(whole) {
        for text in [body.to_string(), format!("\n{body:#}\n")] {
            let (events, result) = read(dialect, [text.as_bytes()]);
            assert_eq!(result, Ok(()), "{dialect:?}");
            assert!(events.contains(&RunEventBody::text("Hello")), "{dialect:?}: {events:?}");
            let calls = events.iter().filter_map(|event| match event {
                RunEventBody::ToolCall { begins, arguments, .. } => {
                    Some((begins.as_ref().map(|begins| begins.id.as_str()), arguments.as_str()))
                }
                _ => None,
            });
            let calls: Vec<_> = calls.collect();
            assert_eq!(calls[0].0, Some("a"), "{dialect:?}");
            assert_eq!(
                calls.iter().map(|(_, arguments)| *arguments).collect::<String>(),
                "{}",
                "{dialect:?}"
            );
            assert_eq!(events.last(), Some(&RunEventBody::Done { finish_reason: FinishReason::ToolCalls }));
        }
    }
}

#[test]
fn error_in_json_keeps_its_message_in_every_dialect() {
    let bodies = [
        r#"{"error":{"message":"not loaded"}}"#,
        r#"{"error":"not loaded"}"#,
        r#"{"detail":"not loaded"}"#,
        r#"[{"error":{"message":"not loaded"}}]"#,
        r#"{"message":"not loaded"}"#,
    ];
    for dialect in DIALECTS {
        for body in bodies {
            let error = read(dialect, [body.as_bytes()]).1.unwrap_err();
            assert!(error.message.contains("not loaded"), "{dialect:?} {body}: {error}");
        }
    }
    for dialect in &DIALECTS[..4] {
        for body in [
            "data: {\"error\":\"not loaded\"}\n\n",
            "event: error\ndata: not loaded\n\n",
            "error: {\"message\":\"not loaded\"}\n\n",
        ] {
            let error = read(*dialect, [body.as_bytes()]).1.unwrap_err();
            assert!(error.message.contains("not loaded"), "{dialect:?} {body}: {error}");
        }
    }
}

/// Frames without a part of the answer, and with values that the dialect's documentation doesn't have.
fn odd_frames(dialect: Dialect) -> Vec<Value> {
    let meaningless = [Value::Null, json!(1), json!("ping"), json!({})];
    let odd = match dialect {
        Dialect::OpenAiChat(_) => vec![
            json!({"choices": null, "usage": null}),
            json!({"choices": [{"index": 0, "delta": null, "finish_reason": null}]}),
            json!({"choices": [{"delta": {"content": null, "tool_calls": null, "role": 7}, "logprobs": {"content": null}}]}),
            json!({"choices": [{"delta": {}, "finish_reason": ""}], "usage": {"prompt_tokens": null, "completion_tokens": 0}}),
        ],
        Dialect::OpenAiResponses => vec![
            json!({"type": null, "response": null}),
            json!({"type": "response.in_progress", "response": {"status": 7, "output": null, "usage": null}}),
            json!({"type": "response.output_text.delta", "output_index": 1, "delta": null}),
            json!({"type": "response.output_item.added", "output_index": null, "item": null}),
            json!({"type": "response.of_tomorrow", "output_index": 1, "delta": {"x": 1}}),
        ],
        Dialect::Anthropic => vec![
            json!({"type": "ping", "usage": null}),
            json!({"type": "content_block_delta", "index": 1, "delta": null}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": null}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "of_tomorrow", "x": 1}}),
            json!({"type": "message_delta", "delta": {"stop_reason": null}, "usage": null}),
            json!({"type": "of_tomorrow", "delta": []}),
        ],
        Dialect::Gemini => vec![
            json!({"candidates": null, "usageMetadata": null}),
            json!({"candidates": [{"content": null, "finishReason": null}]}),
            json!({"candidates": [{"content": {"parts": null, "role": 7}, "finishReason": ""}]}),
            json!({"candidates": [{"content": {"parts": [null, {"text": null}, {"ofTomorrow": 1}]}}], "usageMetadata": {"promptTokenCount": null}}),
        ],
        Dialect::Bedrock => vec![
            json!(["messageStart", null]),
            json!(["contentBlockDelta", {"contentBlockIndex": 1, "delta": null}]),
            json!(["contentBlockDelta", {"contentBlockIndex": "1", "delta": {"text": null}}]),
            json!(["contentBlockStop", {"contentBlockIndex": null}]),
            json!(["metadata", {"usage": null, "metrics": 7}]),
            json!(["ofTomorrow", {"x": 1}]),
        ],
    };
    let meaningless = meaningless.into_iter().map(|value| match dialect {
        Dialect::Bedrock => json!(["contentBlockDelta", value]),
        _ => value,
    });
    meaningless.chain(odd).collect()
}

#[test]
fn unimportant_odd_values_are_ignored() {
    for dialect in DIALECTS {
        let mut with_odd = Vec::new();
        let odd = odd_frames(dialect);
        // Each of them before each frame of the answer.
        for frame in frames(dialect) {
            with_odd.extend(odd.iter().cloned());
            with_odd.push(frame);
        }
        let read_frames = |frames: &[Value]| comparable(read(dialect, [&bytes(dialect, frames)[..]]));
        let (events, result) = read_frames(&with_odd);
        assert_eq!(result, Ok(()), "{dialect:?}");
        assert_eq!(events, read_frames(&frames(dialect)).0, "{dialect:?}");
    }
}

/// Answers without an end: the frames that begin one, and the frame that is repeated. The number of pieces is counted after the
/// decoder, alike for all: the first dialect has an answer of short ones.
fn endless_answers(dialect: Dialect) -> Vec<(Vec<Value>, Value)> {
    let long = "x".repeat(64 << 10);
    match dialect {
        Dialect::OpenAiChat(_) => {
            let frame = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
            let call = |arguments: &str| json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": arguments}}]});
            vec![
                (vec![], frame(json!({"content": long}))),
                (vec![], frame(json!({"reasoning_content": long}))),
                (vec![], frame(call(&long))),
                (vec![], frame(json!({"tool_calls": [{"index": 0, "function": {"arguments": long}}]}))),
                (vec![], frame(json!({"content": "x"}))),
            ]
        }
        Dialect::OpenAiResponses => {
            let delta = |kind: &str, text: &str| json!({"type": kind, "output_index": 0, "summary_index": 0, "delta": text});
            let call = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "call_id": "a", "name": "f"}});
            vec![
                (vec![], delta("response.output_text.delta", &long)),
                (vec![], delta("response.reasoning_summary_text.delta", &long)),
                (vec![call], delta("response.function_call_arguments.delta", &long)),
            ]
        }
        Dialect::Anthropic => {
            let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
            let begin =
                |block: Value| json!({"type": "content_block_start", "index": 0, "content_block": block});
            let call = begin(json!({"type": "tool_use", "id": "a", "name": "f", "input": {}}));
            let thoughts = || begin(json!({"type": "thinking", "thinking": ""}));
            vec![
                (vec![], delta(json!({"type": "text_delta", "text": long}))),
                (vec![thoughts()], delta(json!({"type": "thinking_delta", "thinking": long}))),
                (vec![thoughts()], delta(json!({"type": "signature_delta", "signature": long}))),
                (vec![call], delta(json!({"type": "input_json_delta", "partial_json": long}))),
            ]
        }
        Dialect::Gemini => {
            let part = |part: Value| json!({"candidates": [{"content": {"parts": [part]}}]});
            vec![
                (vec![], part(json!({"text": long}))),
                (vec![], part(json!({"text": long, "thought": true}))),
                (vec![], part(json!({"functionCall": {"name": "f", "args": {"a": long}}}))),
                (vec![], part(json!({"functionCall": {"name": "f", "args": {}}}))),
            ]
        }
        Dialect::Bedrock => {
            let delta = |delta: Value| json!(["contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}]);
            let call = json!(["contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "a", "name": "f"}}}]);
            vec![
                (vec![], delta(json!({"text": long}))),
                (vec![], delta(json!({"reasoningContent": {"text": long}}))),
                (vec![call], delta(json!({"toolUse": {"input": long}}))),
            ]
        }
    }
}

#[test]
fn endless_answer_is_an_error_within_the_limits() {
    for dialect in DIALECTS {
        for (first, repeated) in endless_answers(dialect) {
            let (mut reader, mut events) = (AnswerReader::new(dialect), Vec::new());
            let began = Instant::now();
            reader.push(&bytes(dialect, &first), &mut events).unwrap();
            let frame = bytes(dialect, std::slice::from_ref(&repeated));
            let piece = frame.repeat((32 << 10) / frame.len() + 1);
            let (mut count, mut size) = (events.len(), 0);
            let error = loop {
                events.clear();
                let read = reader.push(&piece, &mut events);
                count += events.len();
                size += events.iter().map(bytes_of).sum::<usize>();
                if let Err(error) = read {
                    break error;
                }
            };
            assert_eq!(error.code, ErrorCode::ProviderError, "{dialect:?}");
            let is_limit = ["more than", "without a name"].iter().any(|part| error.message.contains(part));
            assert!(is_limit, "{dialect:?}: {error}");
            let is_within = count <= ANSWER_MAX_EVENTS && size <= ANSWER_MAX_BYTES;
            assert!(is_within, "{dialect:?}: {count} events of {size} bytes");
            assert!(began.elapsed() < Duration::from_secs(60), "{dialect:?}: {:?}", began.elapsed());
        }
    }
}

/// A body without an end that is small before it is decompressed: comments of server-sent events, and spaces before JSON.
#[tokio::test]
async fn endless_body_is_an_error_within_the_limit_after_decompression() {
    const LIMIT: usize = 8 << 20;
    let comments = format!(": {}\n\n", "x".repeat(1 << 20));
    for filler in [comments.into_bytes(), vec![b' '; 1 << 20]] {
        let compressed = Bytes::from(gzipped(&filler));
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let body = stream::repeat(compressed).map(Ok).boxed();
        let response = HttpResponse { status: StatusCode::OK, headers, body };
        let mut pieces = decompress::body_of(response).unwrap();
        let (mut reader, mut events, mut size) = (AnswerReader::new(DIALECTS[0]), Vec::new(), 0);
        assert_eq!(reader.body_max_bytes, BODY_MAX_BYTES);
        reader.body_max_bytes = LIMIT;
        let error = loop {
            let piece = pieces.next().await.unwrap().unwrap();
            size += piece.len();
            if let Err(error) = reader.push(&piece, &mut events) {
                break error;
            }
        };
        assert!(error.message.contains("its body has more than 8 MiB"), "{error}");
        assert!(size <= LIMIT + (16 << 10) && events.is_empty(), "{size}");
    }
}
