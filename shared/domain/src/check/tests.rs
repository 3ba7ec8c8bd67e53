use serde_json::json;

use super::*;
use crate::{Sampling, ToolCall};

fn task() -> TextTask {
    TextTask::new(vec![Message::new(Role::User, "hi")], Sampling::default())
}

fn tool(name: &str, parameters: Value) -> Tool {
    Tool { name: name.into(), description: None, parameters, strict: false }
}

fn named(name: &str) -> Tool {
    tool(name, json!({"type": "object"}))
}

fn call(id: &str) -> Message {
    let calls = vec![ToolCall { id: id.into(), name: "look".into(), arguments: "{}".into() }];
    Message { tool_calls: calls, ..Message::new(Role::Assistant, "") }
}

fn result(id: Option<&str>) -> Message {
    Message { tool_call_id: id.map(str::to_owned), ..Message::new(Role::Tool, "seen") }
}

fn kwargs(value: &Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// `depth` objects in one another.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({}), |inner, _| json!({"properties": inner}))
}

#[test]
fn an_invalid_task_names_the_field() {
    type Change = fn(&mut TextTask);
    let cases: Vec<(Change, Result<(), Field>)> = vec![
        (|_| (), Ok(())),
        (|t| t.messages.clear(), Err(Field::Messages)),
        (|t| t.sampling.temperature = Some(3.0), Err(Field::Sampling("temperature"))),
        (|t| t.choices = 0, Err(Field::Choices)),
        (|t| t.choices = 32, Ok(())),
        (|t| t.choices = 33, Err(Field::Choices)),
        (|t| t.top_logprobs = Some(20), Ok(())),
        (|t| t.top_logprobs = Some(21), Err(Field::TopLogprobs)),
        (|t| t.tools = (0..2048).map(|n| named(&format!("t{n}"))).collect(), Ok(())),
        (|t| t.tools = (0..2049).map(|n| named(&format!("t{n}"))).collect(), Err(Field::Tools)),
        (|t| t.tools = vec![named("a"), named("b.c-D_9")], Ok(())),
        (|t| t.tools = vec![named("a"), named("b"), named("a")], Err(Field::ToolName(2))),
        (|t| t.tools = vec![named("")], Err(Field::ToolName(0))),
        (|t| t.tools = vec![named("two words")], Err(Field::ToolName(0))),
        (|t| t.tools = vec![named("größe")], Err(Field::ToolName(0))),
        (|t| t.tools = vec![named(&"n".repeat(256))], Ok(())),
        (|t| t.tools = vec![named("a"), named(&"n".repeat(257))], Err(Field::ToolName(1))),
        (|t| t.tools = vec![tool("a", json!([]))], Err(Field::ToolParameters(0))),
        (|t| t.tools = vec![named("a"), tool("b", json!(true))], Err(Field::ToolParameters(1))),
        (|t| t.tools = vec![tool("a", nested(64))], Ok(())),
        (|t| t.tools = vec![tool("a", nested(65))], Err(Field::ToolParameters(0))),
        (|t| t.response_format = ResponseFormat::JsonSchema(nested(64)), Ok(())),
        (|t| t.response_format = ResponseFormat::JsonSchema(nested(65)), Err(Field::ResponseSchema)),
        (|t| t.response_format = ResponseFormat::JsonSchema(json!("object")), Err(Field::ResponseSchema)),
        (
            |t| t.tools = vec![tool("a", json!({"const": "x".repeat(128 << 10)}))],
            Err(Field::ToolParameters(0)),
        ),
        (|t| t.response_format = ResponseFormat::JsonSchema(json!({"const": "x".repeat(500 << 10)})), Ok(())),
        (
            |t| t.response_format = ResponseFormat::JsonSchema(json!({"const": "x".repeat(512 << 10)})),
            Err(Field::ResponseSchema),
        ),
        (|t| t.template_kwargs = kwargs(&json!({"enable_thinking": false, "depth": [{"a": 1}]})), Ok(())),
        (|t| t.template_kwargs = kwargs(&json!({"messages": []})), Err(Field::TemplateKwargs)),
        (|t| t.template_kwargs = kwargs(&json!({"bos_token": "x"})), Err(Field::TemplateKwargs)),
        (|t| t.template_kwargs = kwargs(&json!({"x": nested(7)})), Ok(())),
        (|t| t.template_kwargs = kwargs(&json!({"x": nested(8)})), Err(Field::TemplateKwargs)),
        (|t| t.template_kwargs = kwargs(&json!({"x": "y".repeat(16 << 10)})), Err(Field::TemplateKwargs)),
        (|t| t.tool_choice = ToolChoice::None, Ok(())),
        (|t| t.tool_choice = ToolChoice::Required, Err(Field::ToolChoice)),
        (|t| t.tool_choice = ToolChoice::Named("a".into()), Err(Field::ToolChoice)),
        (
            |t| (t.tools, t.tool_choice) = (vec![named("a")], ToolChoice::Named("b".into())),
            Err(Field::ToolChoice),
        ),
        (|t| (t.tools, t.tool_choice) = (vec![named("a")], ToolChoice::Named("a".into())), Ok(())),
        (|t| (t.tools, t.tool_choice) = (vec![named("a")], ToolChoice::Required), Ok(())),
        (|t| t.messages.extend([call("1"), result(Some("1"))]), Ok(())),
        (|t| t.messages.extend([call("1"), result(None)]), Err(Field::ToolCallId(2))),
        (|t| t.messages.extend([call("1"), result(Some("2"))]), Err(Field::ToolCallId(2))),
        (|t| t.messages.extend([result(Some("1")), call("1")]), Err(Field::ToolCallId(1))),
        (|t| t.messages.extend([call("1"), call("2"), result(Some("1")), result(Some("2"))]), Ok(())),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let mut task = task();
        change(&mut task);
        assert_eq!(task.check().map_err(|error| error.field), expected, "case {number}");
    }
}

#[test]
fn a_schema_far_too_deep_is_refused_without_overflowing_the_stack() {
    let mut task = task();
    let mut schema = json!({});
    for _ in 0..20_000 {
        schema = Value::Array(vec![schema]);
    }
    task.tools = vec![tool("a", Value::Object([("anyOf".to_owned(), schema)].into_iter().collect()))];
    assert_eq!(task.check().unwrap_err().field, Field::ToolParameters(0));
    // Dropping it would recurse.
    std::mem::forget(task);
}

#[test]
fn an_empty_input_is_invalid() {
    let text = |text: &str| EmbeddingInput::Text(text.into());
    let check = |inputs: Vec<EmbeddingInput>, dimensions| {
        EmbeddingTask { inputs, dimensions }.check().map_err(|error| error.field)
    };
    assert_eq!(check(vec![text("a"), EmbeddingInput::Tokens(vec![1])], Some(1)), Ok(()));
    assert_eq!(check(vec![text("a"); 2048], None), Ok(()));
    assert_eq!(check(vec![], None), Err(Field::Inputs));
    assert_eq!(check(vec![text("a"); 2049], None), Err(Field::Inputs));
    assert_eq!(check(vec![text("a"), text("")], None), Err(Field::Input(1)));
    assert_eq!(check(vec![EmbeddingInput::Tokens(vec![])], None), Err(Field::Input(0)));
    assert_eq!(check(vec![text("a")], Some(0)), Err(Field::Dimensions));
}
