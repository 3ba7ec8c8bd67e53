//! What an answer looks like.

use lambda_emulator::Invocation;

fn text(answer: &Invocation) -> String {
    String::from_utf8_lossy(&answer.body()).into_owned()
}

fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// JSON with something at each of these places (RFC 6901).
pub(crate) fn has(answer: &Invocation, pointers: &[&str]) -> Result<(), String> {
    let body = answer.json().map_err(|error| error.to_string())?;
    for pointer in pointers {
        must(body.pointer(pointer).is_some_and(|value| !value.is_null()), &format!("no {pointer}"))?;
    }
    Ok(())
}

/// A text that holds `part`.
pub(crate) fn text_has(answer: &Invocation, part: &str) -> Result<(), String> {
    must(text(answer).contains(part), &format!("no {part:?}"))
}

/// A native stream, in more than one piece.
pub(crate) fn is_native_stream(answer: &Invocation) -> Result<(), String> {
    must(answer.chunks.len() > 1, "it came in one piece")?;
    is_native_replay(answer)
}

/// A native stream of a run that has ended: its events are there together, and may come in one piece.
pub(crate) fn is_native_replay(answer: &Invocation) -> Result<(), String> {
    is_event_stream(answer)?;
    for event in ["model_selected", "delta", "complete"] {
        text_has(answer, &format!(r#""event":"{event}""#))?;
    }
    Ok(())
}

/// An OpenAI stream, in more than one piece.
pub(crate) fn is_chat_stream(answer: &Invocation) -> Result<(), String> {
    must(answer.chunks.len() > 1, "it came in one piece")?;
    is_event_stream(answer)?;
    text_has(answer, "chat.completion.chunk")
}

/// A stream of Gemini's: events without names, and no last one.
pub(crate) fn is_gemini_stream(answer: &Invocation) -> Result<(), String> {
    must(answer.chunks.len() > 1, "it came in one piece")?;
    must(!text(answer).contains("[DONE]"), "it ends in [DONE]")?;
    text_has(answer, r#""finishReason":"#)
}

/// A stream of Ollama's, in more than one piece.
pub(crate) fn is_ollama_stream(answer: &Invocation) -> Result<(), String> {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    must(kind == "application/x-ndjson", &format!("its content type is {kind:?}"))?;
    must(answer.chunks.len() > 1, "it came in one piece")?;
    text_has(answer, r#""done":true"#)
}

/// Server-sent events up to `[DONE]`.
fn is_event_stream(answer: &Invocation) -> Result<(), String> {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    must(kind.starts_with("text/event-stream"), &format!("its content type is {kind:?}"))?;
    must(text(answer).ends_with("data: [DONE]\n\n"), "it doesn't end in [DONE]")
}
