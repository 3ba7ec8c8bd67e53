use hearth_domain::{Message, ReasoningEffort, Role, Tool, ToolCall};
use hearth_wire::ApiError;
use serde_json::json;

use super::*;
use crate::engines::llama::tools::ToolFormat;

mod families;

/// Probes and compiles a template, as a load does.
fn compile(source: &str) -> ChatTemplate {
    let abilities = probe(Some(source)).unwrap_or_default();
    ChatTemplate::compile(Some(source), "<s>".into(), "</s>".into(), abilities).unwrap()
}

fn render(source: &str, messages: &[Message]) -> Result<String, ApiError> {
    with_tools(&compile(source), messages, &[])
}

fn with_tools(template: &ChatTemplate, messages: &[Message], tools: &[Tool]) -> Result<String, ApiError> {
    template.render(&Rendering { messages, tools, ..Rendering::default() })
}

fn weather() -> Tool {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    Tool { name: "weather".into(), description: Some("The weather".into()), parameters, strict: false }
}

fn call(id: &str, city: &str) -> ToolCall {
    let arguments = json!({"city": city}).to_string();
    ToolCall { id: id.into(), name: "weather".into(), arguments }
}

fn calls(content: &str, calls: &[ToolCall]) -> Message {
    Message { tool_calls: calls.to_vec(), ..Message::new(Role::Assistant, content) }
}

fn result(id: &str, content: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, content) }
}

/// A question, a call, and its result.
fn conversation() -> Vec<Message> {
    vec![
        Message::new(Role::User, "Rain in Ulm?"),
        calls("", &[call("call_1", "Ulm")]),
        result("call_1", "none"),
    ]
}

#[test]
fn white_space_is_trimmed_as_in_python() {
    let source = "{{ bos_token }}{%- for m in messages %}\n  {%- if m['role'] == 'user' %}\n[U]{{ m['content'].strip() }}\n  {%- endif %}\n{%- endfor %}";
    let messages = [Message::new(Role::User, "  hi  ")];
    assert_eq!(render(source, &messages).unwrap(), "<s>[U]hi");
}

#[test]
fn model_without_template_gets_chatml() {
    let template =
        ChatTemplate::compile(None, "<s>".into(), "</s>".into(), TemplateAbilities::default()).unwrap();
    let prompt = with_tools(&template, &[Message::new(Role::User, "hi")], &[]).unwrap();
    assert_eq!(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

/// A template closes each turn, so the model begins another one and doesn't continue the text.
#[test]
fn last_message_of_the_assistant_is_a_finished_turn() {
    let messages =
        [Message::new(Role::User, "Where?"), Message::new(Role::Assistant, "The capital of France is")];
    let template =
        ChatTemplate::compile(None, "<s>".into(), "</s>".into(), TemplateAbilities::default()).unwrap();
    assert_eq!(
        with_tools(&template, &messages, &[]).unwrap(),
        "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\nThe capital of France is<|im_end|>\n\
         <|im_start|>assistant\n"
    );
}

#[test]
fn refusal_and_endless_loop_are_errors() {
    let refusal = render("{{ raise_exception('roles must alternate') }}", &[]).unwrap_err();
    assert!(refusal.message.contains("roles must alternate"), "{}", refusal.message);
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let refusal = render(endless, &[]).unwrap_err();
    assert!(refusal.message.contains("more steps than any conversation needs"), "{}", refusal.message);
}

#[test]
fn tools_calls_and_results_have_the_openai_format() {
    let source = "{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% for m in messages %}\
        {{ m.role }}{% if m.tool_calls %}{% for c in m.tool_calls %}[{{ c.id }} {{ c.type }} {{ c.function.name }} \
        {{ c.function.arguments | tojson }} {{ c.function.arguments is mapping }}]{% endfor %}\
        {% else %}({{ m.content }}){% endif %}{% if m.role == 'tool' %}{{ m.tool_call_id }} {{ m.name }}{% endif %};{% endfor %}";
    let prompt = with_tools(&compile(source), &conversation(), &[weather()]).unwrap();
    let tool = r#"{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}"#;
    let turns = r#"user(Rain in Ulm?);assistant[call_1 function weather {"city": "Ulm"} True];tool(none)call_1 weather;"#;
    assert_eq!(prompt, format!("{tool}\n{turns}"));
    let without =
        "{{ tools is none }}{{ messages[0].tool_calls is defined }}{{ messages[0].name is defined }}";
    assert_eq!(render(without, &conversation()).unwrap(), "TrueFalseFalse");
}

#[test]
fn message_format_is_found_by_trial() {
    let each = |call: &str| {
        format!(
            "{{% if tools %}}{{% endif %}}{{% for m in messages %}}{{% for c in m.tool_calls or [] %}}{call}{{% endfor %}}{{% endfor %}}"
        )
    };
    for (source, expected) in [
        // JSON text for a template that concatenates, a map for one that iterates.
        (each("{{ '```' + c.function.arguments + '```' }}"), r#"```{"city":"Ulm"}```"#),
        (each("{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}"), "city=Ulm"),
        (each("{{ 'none' if m['content'] is none else 'text' }}"), "none"),
        (each("{{ m.content + '!' }}"), "!"),
        // A template that tests for none and fails in another line all the same.
        (
            each("{% if m.content is not none %}{{ m.content + '!' }}{% endif %}{{ m.content | length }}"),
            "!0",
        ),
    ] {
        assert_eq!(
            with_tools(&compile(&source), &conversation(), &[weather()]).unwrap(),
            expected,
            "{source}"
        );
    }
}

#[test]
fn mistral_call_ids_have_nine_characters() {
    let source = "{% if tools %}[TOOL_CALLS]{% endif %}{% for m in messages %}{% for c in m.tool_calls or [] %}\
        {% if c.id | length != 9 %}{{ raise_exception('length 9!') }}{% endif %}{{ c.id }}{% endfor %}\
        {% if m.role == 'tool' %}={{ m.tool_call_id }};{% endif %}{% endfor %}";
    let messages = [
        calls("", &[call("call_abcdefghijklmnopqrstuvwx", "Ulm"), call("c-1", "Bonn")]),
        result("call_abcdefghijklmnopqrstuvwx", "none"),
        result("c-1", "some"),
    ];
    assert_eq!(
        with_tools(&compile(source), &messages, &[weather()]).unwrap(),
        "[TOOL_CALLS]pqrstuvwx0000000c1=pqrstuvwx;=0000000c1;"
    );
}

#[test]
fn parallel_calls_become_single_call_turns() {
    let source = "{% if tools %}<|python_tag|>{% endif %}{% for m in messages %}{% if m.tool_calls %}\
        {% if m.tool_calls | length != 1 %}{{ raise_exception('one call at once') }}{% endif %}\
        {{ m.content }}{{ m.tool_calls[0].function.arguments | tojson }}\
        {% else %}({{ m.content }}){% endif %}{% endfor %}";
    let messages = [
        Message::new(Role::User, "Rain?"),
        calls("Look: ", &[call("a", "Ulm"), call("b", "Bonn")]),
        result("b", "some"),
        result("a", "none"),
        Message::new(Role::User, "Thanks"),
    ];
    assert_eq!(
        with_tools(&compile(source), &messages, &[weather()]).unwrap(),
        "<|python_tag|>(Rain?)Look: {\"city\": \"Ulm\"}(none){\"city\": \"Bonn\"}(some)(Thanks)"
    );
}

#[test]
fn call_that_the_template_omits_gets_a_turn_of_its_own() {
    let source = "{% if tools %}tools;{% endif %}{% for m in messages %}{{ m.role }}:{{ m.content }}\
        {% if m.tool_calls %}{{ m.tool_calls[0].function.arguments | tojson }}{% endif %};{% endfor %}";
    let messages =
        [calls("", &[call("a", "Ulm"), call("b", "Bonn")]), result("a", "none"), result("b", "some")];
    assert_eq!(
        with_tools(&compile(source), &messages, &[weather()]).unwrap(),
        "tools;assistant:{\"city\": \"Ulm\"};tool:none;assistant:{\"city\": \"Bonn\"};tool:some;"
    );
}

#[test]
fn template_that_refuses_the_tools_gets_them_in_the_system_message() {
    let source = "{% for tool in tools or [] %}{{ tool.function.parameters.properties.city.description + '' }}{% endfor %}\
        {% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}";
    let template = compile(source);
    let prompt = with_tools(&template, &conversation(), &[weather()]).unwrap();
    assert!(prompt.starts_with("system:You can call tools.") && prompt.contains("weather"), "{prompt}");
    assert_eq!(template.tool_format(), ToolFormat::Hermes);
}

#[test]
fn calls_are_written_into_the_content_if_the_template_omits_them() {
    let source = "{% if tools %}Use <|tool_call|>.{% endif %}{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}";
    assert_eq!(
        with_tools(&compile(source), &conversation(), &[weather()]).unwrap(),
        "Use <|tool_call|>.user:Rain in Ulm?;\
         assistant:<|tool_call|>[{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}}];tool:none;"
    );
}

#[test]
fn template_without_tools_gets_the_fallback_tool_prompt() {
    let template = compile("{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}");
    let mut messages = conversation();
    messages.insert(0, Message::new(Role::System, "Be brief."));
    messages.extend([result("call_2", "some"), Message::new(Role::User, "Thanks")]);
    let prompt = with_tools(&template, &messages, &[weather()]).unwrap();
    let (system, turns) = prompt.split_once("</tools>\n").unwrap();
    assert!(system.starts_with("<system>Be brief.\n\nYou can call tools."), "{system}");
    assert!(system.contains(r#"{"type": "function", "function": {"name": "weather", "#), "{system}");
    assert_eq!(
        turns,
        "<user>Rain in Ulm?\n\
         <assistant><tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}}\n</tool_call>\n\
         <user><tool_response>\nnone\n</tool_response>\n<tool_response>\nsome\n</tool_response>\nThanks\n"
    );
    assert_eq!(template.tool_format(), ToolFormat::Hermes);
    // A later request may have tool results without tools.
    assert!(!with_tools(&template, &messages, &[]).unwrap().contains("<tools>"));
}

#[test]
fn fallback_tool_prompt_joins_the_user_message_without_a_system_role() {
    let source = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
        {% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}\
        <{{ m.role }}>{{ m.content }}\n{% endfor %}";
    let template = compile(source);
    let prompt = with_tools(&template, &conversation(), &[weather()]).unwrap();
    assert!(prompt.starts_with("<user>You can call tools."), "{prompt}");
    assert!(prompt.contains("</tools>\n\nRain in Ulm?\n<assistant><tool_call>"), "{prompt}");
    // The same for the client's own system message.
    let prompt = with_tools(&template, &[Message::new(Role::System, "Be brief.")], &[weather()]).unwrap();
    assert!(prompt.starts_with("<user>Be brief.\n\nYou can call tools."), "{prompt}");
}

#[test]
fn tiny_chat_template_renders_tools() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny-chat/tiny-chat.gguf");
    let header = crate::gguf::Header::read(std::path::Path::new(path)).unwrap();
    let abilities = probe(header.chat_template()).unwrap();
    let template =
        ChatTemplate::compile(header.chat_template(), String::new(), String::new(), abilities).unwrap();
    assert_eq!(template.tool_format(), ToolFormat::Hermes);
    let prompt = with_tools(&template, &conversation(), &[weather()]).unwrap();
    assert!(
        prompt.contains(r#"<tool_call>{"name":"weather","arguments":{"city": "Ulm"}}</tool_call>"#),
        "{prompt}"
    );
    assert!(prompt.contains("<tool_response>none</tool_response>"), "{prompt}");
}
