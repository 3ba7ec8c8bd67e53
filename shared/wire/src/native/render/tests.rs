use hearth_domain::Logprob;

use super::*;

fn numbered(bodies: Vec<RunEventBody>) -> Vec<RunEvent> {
    (1..).zip(bodies).map(|(seq, body)| RunEvent { seq, body }).collect()
}

fn delta(choice: u32, text: &str) -> RunEventBody {
    RunEventBody::Delta { choice, text: text.into(), logprobs: Vec::new() }
}

fn frames(events: &[RunEvent]) -> Vec<Value> {
    let mut renderer = Renderer::new(RunId::new());
    let frames = events.iter().flat_map(|event| renderer.frames(event));
    frames.map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

#[test]
fn calls_are_events_and_output() {
    let begins = Some(ToolCallBegin { id: "c1".into(), name: "add".into() });
    let call = |begins, arguments: &str| RunEventBody::ToolCall {
        choice: 0,
        index: 0,
        begins,
        arguments: arguments.into(),
    };
    let done = RunEventBody::Done { finish_reason: FinishReason::ToolCalls };
    let frames_of_run = frames(&numbered(vec![call(begins, ""), call(None, "{}"), done]));
    let first =
        json!({"event": "tool_call", "choice": 0, "index": 0, "id": "c1", "name": "add", "arguments": ""});
    assert_eq!(frames_of_run[0], first);
    assert_eq!(frames_of_run[1], json!({"event": "tool_call", "choice": 0, "index": 0, "arguments": "{}"}));
    let function = json!({"name": "add", "arguments": "{}"});
    let calls = json!([{"id": "c1", "type": "function", "function": function}]);
    assert_eq!(frames_of_run[2]["output"], json!({"text": "", "tool_calls": calls}));
    assert_eq!(frames_of_run[2]["finish_reason"], "tool_calls");
}

#[test]
fn deltas_of_the_first_answer_are_the_text() {
    let early = RunEventBody::ChoiceDone { choice: 1, finish_reason: FinishReason::Length };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let frames_of_run = frames(&numbered(vec![delta(0, "a"), delta(1, "x"), early, delta(0, "b"), done]));
    let (complete, deltas) = frames_of_run.split_last().unwrap();
    let text: String = deltas.iter().map(|delta| delta["text"].as_str().unwrap()).collect();
    assert_eq!(complete["output"]["text"], text.as_str());
    assert_eq!(deltas[1]["choices"], json!([{"index": 1, "delta": {"content": "x"}}]));
    let choices = json!([
        {"index": 0, "text": "ab", "finish_reason": "stop"},
        {"index": 1, "text": "x", "finish_reason": "length"},
    ]);
    assert_eq!(complete["output"], json!({"text": "ab", "choices": choices}));
}

#[test]
fn credit_is_reported() {
    use hearth_domain::credits::{CreditStatus, Credits, Remaining};
    let remaining = Some(Remaining { requests: Some(7), ..Remaining::default() });
    let credits = Credits { status: CreditStatus::RateLimited, remaining, reset_at: None };
    let credits = RunEventBody::Credits { provider: "acme".into(), credits };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let expected = json!({
        "provider": "acme", "status": "rate_limited", "reset_at": null,
        "remaining": {"balance": null, "requests": 7, "tokens": null},
    });
    assert_eq!(frames(&numbered(vec![credits, done.clone()]))[0]["credits_status"], expected);
    assert_eq!(frames(&numbered(vec![done]))[0]["credits_status"], Value::Null);
}

#[test]
fn unknown_cost_is_null_and_not_zero() {
    let usage = RunEventBody::Usage { usage: Usage { prompt_tokens: 3, ..Usage::default() } };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let cost = RunEventBody::Cost { cost: "0.0000123".parse().unwrap() };
    let frames_of_run = frames(&numbered(vec![usage.clone(), cost, done.clone()]));
    assert_eq!(frames_of_run[0]["cost"], json!({"usd": "0.0000123"}));
    assert_eq!(frames(&numbered(vec![usage, done]))[0]["cost"], Value::Null);
}

#[test]
fn log_probabilities_come_with_their_text() {
    let token = Logprob { bytes: b"Hi".to_vec(), logprob: -0.5 };
    let logprobs = vec![TokenLogprob { token, top: Vec::new() }];
    let delta = RunEventBody::Delta { choice: 0, text: "Hi".into(), logprobs };
    let done = RunEventBody::Done { finish_reason: FinishReason::Stop };
    let frames_of_run = frames(&numbered(vec![delta, done]));
    let expected = json!([{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]);
    assert_eq!(frames_of_run[0]["choices"][0]["logprobs"], expected);
    assert_eq!(frames_of_run[1]["output"]["logprobs"], expected);
}
