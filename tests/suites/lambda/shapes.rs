//! Checks of responses.

use lambda_emulator::Invocation;

fn text(answer: &Invocation) -> String {
    String::from_utf8_lossy(&answer.body()).into_owned()
}

fn must(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}

/// Checks for JSON with a value at each of these pointers (RFC 6901).
pub(crate) fn has(answer: &Invocation, pointers: &[&str]) -> Result<(), String> {
    let body = answer.json().map_err(|error| error.to_string())?;
    for pointer in pointers {
        must(body.pointer(pointer).is_some_and(|value| !value.is_null()), &format!("no {pointer}"))?;
    }
    Ok(())
}

/// Checks for a response without a body.
pub(crate) fn is_empty(answer: &Invocation) -> Result<(), String> {
    must(answer.body().is_empty(), "it has a body")
}

/// Checks for the permission of a page's request.
pub(crate) fn is_preflight(answer: &Invocation) -> Result<(), String> {
    let allowed = answer.headers.get("access-control-allow-headers").and_then(|names| names.to_str().ok());
    must(allowed.is_some_and(|names| names.contains("authorization")), "it allows no authorization")?;
    is_empty(answer)
}

/// Checks for a text that contains `part`.
pub(crate) fn text_has(answer: &Invocation, part: &str) -> Result<(), String> {
    must(text(answer).contains(part), &format!("no {part:?}"))
}

/// Checks for a native stream, in more than one chunk.
pub(crate) fn is_native_stream(answer: &Invocation) -> Result<(), String> {
    must(answer.chunks.len() > 1, "it came in one chunk")?;
    is_native_replay(answer)
}

/// Checks for the native stream of an ended run, whose events may come in one chunk.
pub(crate) fn is_native_replay(answer: &Invocation) -> Result<(), String> {
    is_event_stream(answer)?;
    for event in ["model_selected", "delta", "complete"] {
        text_has(answer, &format!(r#""event":"{event}""#))?;
    }
    Ok(())
}

/// Checks for an OpenAI stream, in more than one chunk.
pub(crate) fn is_chat_stream(answer: &Invocation) -> Result<(), String> {
    must(answer.chunks.len() > 1, "it came in one chunk")?;
    is_event_stream(answer)?;
    text_has(answer, "chat.completion.chunk")
}

/// Checks for a Gemini stream, without `[DONE]`.
pub(crate) fn is_gemini_stream(answer: &Invocation) -> Result<(), String> {
    must(answer.chunks.len() > 1, "it came in one chunk")?;
    must(!text(answer).contains("[DONE]"), "it ends in [DONE]")?;
    text_has(answer, r#""finishReason":"#)
}

/// Checks for an Ollama stream, in more than one chunk.
pub(crate) fn is_ollama_stream(answer: &Invocation) -> Result<(), String> {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    must(kind == "application/x-ndjson", &format!("its content type is {kind:?}"))?;
    must(answer.chunks.len() > 1, "it came in one chunk")?;
    text_has(answer, r#""done":true"#)
}

/// Checks for server-sent events that end with `[DONE]`.
fn is_event_stream(answer: &Invocation) -> Result<(), String> {
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    must(kind.starts_with("text/event-stream"), &format!("its content type is {kind:?}"))?;
    must(text(answer).ends_with("data: [DONE]\n\n"), "it doesn't end in [DONE]")
}
