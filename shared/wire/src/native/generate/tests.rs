use hearth_domain::{Priority, ResponseFormat, Task, WhileLoading};
use serde_json::{Value, json};

use super::*;

fn generation(body: Value) -> Result<Generation, ApiError> {
    serde_json::from_value::<GenerateRequest>(body).unwrap().into_generation()
}

fn add() -> Value {
    json!({"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}})
}

fn called() -> Value {
    let function = json!({"name": "add", "arguments": "{}"});
    json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "function": function}]})
}

#[test]
fn fields_reach_the_task() {
    let of = generation(json!({
        "input": {"messages": [
            {"role": "user", "content": "12 and 30?", "name": "ada"},
            called(),
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ]},
        "system_prompt": "Be brief.",
        "tools": [add()],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "parameters": {
            "n": 2, "logprobs": true, "top_logprobs": 5, "logit_bias": {"3": 1},
            "response_format": {"type": "json_object"}, "temperature": 0,
        },
        "priority": "low",
        "while_loading": "default",
    }))
    .unwrap();
    assert_eq!((of.priority, of.while_loading), (Priority::Low, WhileLoading::Default));
    let Task::Text(task) = of.task else { panic!("no text") };
    assert_eq!((task.choices, task.top_logprobs), (2, Some(5)));
    assert_eq!((task.tool_choice, task.parallel_tool_calls), (ToolChoice::Required, false));
    assert_eq!((task.tools.len(), task.response_format), (1, ResponseFormat::JsonObject));
    assert_eq!((task.sampling.logit_bias, task.sampling.temperature), (vec![(3, 1.0)], Some(0.0)));
    let roles: Vec<Role> = task.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    let names: Vec<Option<&str>> = task.messages.iter().map(|message| message.name.as_deref()).collect();
    assert_eq!(names, [None, Some("ada"), None, Some("add")]);
}

#[test]
fn an_invalid_field_is_named() {
    let hello = json!({"prompt": "hi"});
    let lost = json!({"messages": [called(), {"role": "tool", "tool_call_id": "c2", "content": "42"}]});
    let cases = [
        (json!({"input": {}}), "input"),
        (json!({"input": {"prompt": "a", "messages": []}}), "input"),
        (json!({"input": {"prompt": ""}}), "input.prompt"),
        (json!({"input": {"messages": []}}), "input.messages"),
        (json!({"input": {"messages": [{"role": "user"}]}}), "input.messages[0].content"),
        (json!({"input": lost}), "input.messages[1].tool_call_id"),
        (json!({"input": lost, "system_prompt": "s"}), "input.messages[1].tool_call_id"),
        (json!({"input": hello, "modality": "embedding"}), "modality"),
        (json!({"input": hello, "parameters": {"temperature": 3}}), "parameters.temperature"),
        (json!({"input": hello, "parameters": {"n": 0}}), "parameters.n"),
        (json!({"input": hello, "parameters": {"top_logprobs": 1}}), "parameters.top_logprobs"),
        (json!({"input": hello, "parameters": {"logit_bias": {"x": 1}}}), "parameters.logit_bias"),
        (
            json!({"input": hello, "parameters": {"logprobs": true, "top_logprobs": 21}}),
            "parameters.top_logprobs",
        ),
        (
            json!({"input": hello, "parameters": {"response_format": {"type": "json_schema"}}}),
            "parameters.response_format.json_schema",
        ),
        (
            json!({"input": hello, "parameters": {
                "response_format": {"type": "json_schema", "json_schema": {"schema": 1}},
            }}),
            "parameters.response_format.json_schema.schema",
        ),
        (json!({"input": hello, "tools": [add(), add()]}), "tools[1].function.name"),
        (json!({"input": hello, "tool_choice": "required"}), "tool_choice"),
    ];
    for (body, param) in cases {
        let error = generation(body.clone()).expect_err(&body.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
}
