use hearth_domain::{FinishReason, HostedTools, Message, Role, RunId, Task, TextTask, ToolChoice};
use serde_json::{Value, json};

use crate::{
    ApiError, RunEvent, RunEventBody,
    event::ToolCallBegin,
    openai::responses::{ResponsesRequest, ResponsesTurn},
    stream::Render as _,
};

fn request(fields: &Value) -> ResponsesRequest {
    let mut body = json!({"model": "auto", "input": "hi"});
    body.as_object_mut().unwrap().append(&mut fields.as_object().unwrap().clone());
    serde_json::from_value(body).unwrap()
}

fn turn(fields: &Value) -> Result<(TextTask, HostedTools), ApiError> {
    let ResponsesTurn { generation, .. } = request(fields).into_turn(Vec::new())?;
    let Task::Text(task) = generation.task else { panic!("a response is a text") };
    Ok((task, generation.extra.hosted))
}

fn names(task: &TextTask) -> Vec<&str> {
    task.tools.iter().map(|tool| tool.name.as_str()).collect()
}

/// The tools of Codex: functions, a namespace, a custom tool, and a hosted search.
fn tools() -> Value {
    json!([
        {"type": "function", "name": "exec_command", "strict": false, "parameters": {"type": "object"}},
        {"type": "namespace", "name": "multi_agent_v1", "description": "Agents.", "tools": [
            {"type": "function", "name": "close_agent", "parameters": {"type": "object"}},
            {"type": "custom", "name": "exec", "description": "Runs.", "format": {
                "type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
        ]},
        {"type": "web_search", "external_web_access": false},
    ])
}

#[test]
fn namespaces_and_custom_tools_become_functions() {
    let (task, hosted) = turn(&json!({"tools": tools()})).unwrap();
    assert_eq!(names(&task), ["exec_command", "multi_agent_v1__close_agent", "multi_agent_v1__exec"]);
    let custom = &task.tools[2];
    let expected = "Runs.\n\nThe input must follow this lark grammar:\nstart: /.+/";
    assert_eq!(custom.description.as_deref(), Some(expected));
    assert_eq!(custom.parameters["required"], json!(["input"]));
    let search = json!({"type": "web_search", "external_web_access": false});
    assert_eq!(hosted, HostedTools { definitions: vec![search], ..HostedTools::default() });
}

#[test]
fn additional_tools_of_items_are_offered() {
    let input = json!([
        {"type": "additional_tools", "role": "developer", "tools": tools()},
        {"role": "user", "content": "hi"},
    ]);
    let (task, hosted) = turn(&json!({"input": input})).unwrap();
    assert_eq!(names(&task), ["exec_command", "multi_agent_v1__close_agent", "multi_agent_v1__exec"]);
    assert_eq!((hosted.definitions.len(), task.messages.len()), (1, 1));
}

#[test]
fn calls_in_history_get_function_names() {
    let input = json!([
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "c1", "namespace": "multi_agent_v1", "name": "close_agent", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "closed"},
        {"type": "custom_tool_call", "call_id": "c2", "namespace": "multi_agent_v1", "name": "exec", "input": "ls \"x\""},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    ]);
    let (task, _) = turn(&json!({"input": input, "tools": tools()})).unwrap();
    let calls: Vec<_> = task
        .messages
        .iter()
        .flat_map(|message| &message.tool_calls)
        .map(|call| (call.name.as_str(), call.arguments.as_str()))
        .collect();
    let expected =
        [("multi_agent_v1__close_agent", "{}"), ("multi_agent_v1__exec", r#"{"input":"ls \"x\""}"#)];
    assert_eq!(calls, expected);
    let results: Vec<_> = task
        .messages
        .iter()
        .filter(|message| message.role == Role::Tool)
        .map(|message: &Message| message.content.as_str())
        .collect();
    assert_eq!(results, ["closed", "done"]);
}

fn call(index: u32, name: &str, arguments: &[&str]) -> Vec<RunEventBody> {
    let begins = Some(ToolCallBegin { id: format!("c{index}"), name: name.into() });
    let mut events = vec![RunEventBody::ToolCall { choice: 0, index, begins, arguments: String::new() }];
    events.extend(arguments.iter().map(|arguments| RunEventBody::ToolCall {
        choice: 0,
        index,
        begins: None,
        arguments: (*arguments).to_owned(),
    }));
    events
}

#[test]
fn calls_are_rendered_with_the_clients_names() {
    let bodies = [
        call(0, "multi_agent_v1__close_agent", &["{}"]),
        call(1, "multi_agent_v1__exec", &["{\"input\":", "\"ls\\n\"}"]),
        call(2, "exec_command", &["{}"]),
        vec![RunEventBody::Done { finish_reason: FinishReason::ToolCalls }],
    ];
    let events: Vec<_> = (1..).zip(bodies.concat()).map(|(seq, body)| RunEvent { seq, body }).collect();
    let mut renderer = request(&json!({"tools": tools()})).renderer(RunId::new());
    let frames: Vec<Value> = events
        .iter()
        .flat_map(|event| renderer.frames(event))
        .map(|frame| serde_json::from_str(&frame.data).unwrap())
        .collect();
    let input: Vec<_> = frames
        .iter()
        .filter(|frame| frame["type"].as_str().unwrap().starts_with("response.custom_tool_call_input"))
        .map(|frame| {
            (frame["type"].as_str().unwrap(), frame["delta"].as_str().or(frame["input"].as_str()).unwrap())
        })
        .collect();
    let expected =
        [("response.custom_tool_call_input.delta", "ls\n"), ("response.custom_tool_call_input.done", "ls\n")];
    assert_eq!(input, expected);
    let output = &frames.last().unwrap()["response"]["output"];
    let calls: Vec<_> = output
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let id = item["id"].as_str().unwrap();
            (
                item["type"].clone(),
                item["namespace"].clone(),
                item["name"].clone(),
                id[..id.find('_').unwrap()].to_owned(),
            )
        })
        .collect();
    let space = json!("multi_agent_v1");
    let expected = [
        (json!("function_call"), space.clone(), json!("close_agent"), "fc".to_owned()),
        (json!("custom_tool_call"), space, json!("exec"), "ctc".to_owned()),
        (json!("function_call"), json!(null), json!("exec_command"), "fc".to_owned()),
    ];
    assert_eq!(calls, expected);
    assert_eq!(output[1]["input"], "ls\n");
}

#[test]
fn required_hosted_tool_needs_a_provider_of_this_dialect() {
    let needed = |fields: Value| turn(&fields).unwrap().1;
    let search = || json!([{"type": "web_search"}, {"type": "function", "name": "look"}]);
    assert_eq!(needed(json!({"tools": search()})).needed, None);
    assert_eq!(needed(json!({"tools": search(), "tool_choice": "none"})).needed, None);
    let required = needed(json!({"tools": search(), "tool_choice": "required"}));
    assert_eq!((required.needed.as_deref(), required.choice), (Some("web_search"), Some(json!("required"))));
    let chosen = json!({"type": "web_search"});
    let named = needed(json!({"tools": search(), "tool_choice": chosen}));
    assert_eq!((named.needed.as_deref(), named.choice), (Some("web_search"), Some(chosen)));
    let files = needed(json!({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}));
    assert_eq!((files.needed.as_deref(), files.choice), (Some("file_search"), None));
    let only = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]});
    let (task, hosted) = turn(&json!({"tools": search(), "tool_choice": only})).unwrap();
    assert_eq!((names(&task).len(), task.tool_choice, hosted.definitions.len()), (0, ToolChoice::Auto, 1));
    assert_eq!(hosted.needed.as_deref(), Some("web_search"));
}

#[test]
fn tools_of_the_clients_own_are_optional_and_new_types_are_required() {
    let hosted = |kind: &str| turn(&json!({"tools": [{"type": kind, "execution": "client"}]})).unwrap().1;
    for (kind, needed) in
        [("tool_search", None), ("shell", None), ("computer", Some("computer")), ("new", Some("new"))]
    {
        let hosted = hosted(kind);
        assert_eq!((hosted.definitions.len(), hosted.needed.as_deref()), (1, needed), "{kind}");
    }
}

#[test]
fn unsupported_tools_are_refused() {
    let cases = [
        (json!({"tools": [{"type": "namespace", "tools": []}]}), "tools[0].name"),
        (
            json!({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]}),
            "tools[0].tools[0].type",
        ),
        (json!({"tools": [{"type": "custom"}]}), "tools[0].name"),
        (
            json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "file_search"}}),
            "tool_choice.type",
        ),
        (
            json!({"tools": tools(), "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "close_agent"}]}}),
            "tool_choice.tools[0]",
        ),
        (
            json!({"input": [{"type": "additional_tools", "tools": [
                {"type": "namespace", "name": "n", "tools": [{"type": "computer"}]}]}]}),
            "input[0].tools[0].tools[0].type",
        ),
        (
            json!({"tools": [{"type": "web_search"}, {"type": "namespace", "name": "n", "tools": [
            {"type": "function", "name": "f", "parameters": 7}]}]}),
            "tools[1].tools[0].parameters",
        ),
    ];
    for (fields, param) in cases {
        let error = turn(&fields).map(drop).expect_err(&fields.to_string());
        assert_eq!(error.param.as_deref(), Some(param), "{fields}: {error}");
    }
}

#[test]
fn tools_are_echoed_as_sent() {
    let echoed = json!(request(&json!({"tools": tools()})).echo().tools);
    assert_eq!(echoed[2], tools()[2]);
    assert_eq!(echoed[1]["tools"][1], tools()[1]["tools"][1]);
    let function = json!({"type": "function", "name": "exec_command", "description": null, "parameters": {"type": "object"}, "strict": false});
    assert_eq!(echoed[0], function);
}
