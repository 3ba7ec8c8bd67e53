use std::sync::Arc;

use hearth_domain::{
    Attachment, AttachmentContent, ClientDialect, Document, DocumentSource, Extra, Generation, HostedTools,
    Image, Message, ModelId, Opaque, PlacedImage, ReasoningEffort, ResponseFormat, Role, RunId, Sampling,
    SchemaLabel, Task, TextTask, Tool, ToolCall, ToolChoice,
};
use hearth_wire::ErrorCode;
use serde_json::{Value, json};

use super::*;
use crate::vendor;

/// A request of a client of this dialect to a model of a vendor.
struct Asked {
    kind: &'static str,
    model: &'static str,
    client: ClientDialect,
    fields: Value,
}

const CHAT: Asked =
    Asked { kind: "openai_compatible", model: "big", client: ClientDialect::OpenAiChat, fields: Value::Null };

impl Asked {
    fn to(kind: &'static str, model: &'static str) -> Self {
        Self { kind, model, ..CHAT }
    }

    fn call(&self, task: TextTask) -> Call {
        let fields = self.fields.as_object().cloned().unwrap_or_default();
        let extra = Extra::new(self.client, fields);
        let generation = Generation { extra, ..Generation::new(None, task) };
        Call { run: RunId::new(), model: ModelId::new(self.model), generation: Arc::new(generation) }
    }

    fn dialect(&self) -> Dialect {
        if self.kind == "responses" {
            Dialect::OpenAiResponses
        } else {
            vendor::of_kind(self.kind).unwrap().dialect
        }
    }

    /// The task that is sent.
    fn sent(&self, task: TextTask) -> Result<TextTask, ApiError> {
        let call = self.call(task);
        let Task::Text(task) = &call.generation.task else { panic!("no text") };
        prepare("acme", self.kind, self.dialect(), &call, task).map(|prepared| prepared.task.into_owned())
    }

    /// The field that a refusal names.
    fn refused(&self, task: TextTask) -> String {
        let error = self.sent(task).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        error.param.unwrap()
    }
}

fn hello() -> TextTask {
    TextTask::new(vec![Message::new(Role::User, "Hello!")], Sampling::default())
}

fn tool(name: &str) -> Tool {
    Tool { name: name.into(), description: None, parameters: json!({"type": "object"}), strict: false }
}

fn call(id: &str, name: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: "{}".into() }
}

fn calls(ids: &[&str]) -> Message {
    Message {
        tool_calls: ids.iter().map(|id| call(id, "look")).collect(),
        ..Message::new(Role::Assistant, "")
    }
}

fn result(id: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, "seen") }
}

/// The ids of calls, and those of results.
fn ids(task: &TextTask) -> (Vec<&str>, Vec<&str>) {
    let calls = task.messages.iter().flat_map(|message| &message.tool_calls);
    let results = task.messages.iter().filter_map(|message| message.tool_call_id.as_deref());
    (calls.map(|call| call.id.as_str()).collect(), results.collect())
}

fn opaque(value: Value) -> AttachmentContent {
    AttachmentContent::Opaque(Opaque { param: "messages[0].content[1]".to_owned(), value })
}

fn attached(role: Role, text: &str, content: AttachmentContent) -> Message {
    let attachments = vec![Attachment { at: text.len(), images_before: 0, content }];
    Message { attachments, ..Message::new(role, text) }
}

fn pdf() -> AttachmentContent {
    let source = DocumentSource::Data { media_type: "application/pdf".into(), data: "JVBERg==".into() };
    AttachmentContent::Document(Document { source, name: None })
}

#[test]
fn each_rule_names_a_page() {
    for vendor in vendor::ALL {
        for model in ["gpt-5", "o3", "gpt-4o", "claude-opus-4-6", "grok-4", "gemini-2.5-pro", "other"] {
            let rules = format!("{:?}", Rules::of(vendor.kind, vendor.dialect, model));
            let sources: Vec<&str> =
                rules.split("source: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert!(!sources.is_empty(), "{} {model}", vendor.kind);
            assert!(sources.iter().all(|source| source.starts_with("https://")), "{sources:?}");
        }
    }
}

#[test]
fn request_that_keeps_to_the_rules_is_not_copied() {
    for vendor in vendor::ALL {
        let asked = Asked::to(vendor.kind, "any");
        let call = asked.call(hello());
        let Task::Text(task) = &call.generation.task else { panic!("no text") };
        let prepared = prepare("acme", vendor.kind, vendor.dialect, &call, task).unwrap();
        assert!(matches!(prepared.task, Cow::Borrowed(_)), "{}", vendor.kind);
    }
}

#[test]
fn repeated_call_ids_become_two_each_with_its_result() {
    let mut task = hello();
    task.messages.extend([
        calls(&["call_0"]),
        result("call_0"),
        calls(&["call_0", "b:1"]),
        result("b:1"),
        result("call_0"),
    ]);
    for kind in ["anthropic", "bedrock"] {
        let sent = Asked::to(kind, "any").sent(task.clone()).unwrap();
        assert_eq!(
            ids(&sent),
            (vec!["call_0", "call_0_1", "b_1"], vec!["call_0", "b_1", "call_0_1"]),
            "{kind}"
        );
    }
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
}

#[test]
fn two_calls_of_one_turn_under_one_id_have_a_result_each() {
    let mut task = hello();
    task.messages.extend([calls(&["a", "a"]), result("a"), result("a")]);
    let sent = Asked::to("anthropic", "any").sent(task).unwrap();
    assert_eq!(ids(&sent), (vec!["a", "a_1"], vec!["a", "a_1"]));
}

#[test]
fn id_that_is_made_is_not_another_calls() {
    let mut task = hello();
    task.messages.extend([
        calls(&["a"]),
        result("a"),
        calls(&["a"]),
        result("a"),
        calls(&["a_1"]),
        result("a_1"),
    ]);
    let sent = Asked::to("anthropic", "any").sent(task).unwrap();
    let (calls, results) = ids(&sent);
    assert_eq!((calls[0], calls[2]), ("a", "a_1"));
    assert!(calls[1] != "a" && calls[1] != "a_1", "{calls:?}");
    assert_eq!(calls, results);
}

#[test]
fn ids_for_mistral_have_nine_letters_and_digits_and_stay_the_same() {
    let mut task = hello();
    task.messages
        .extend([calls(&["call_PTLP8xhu3uwZk4l3nlnrrJha"]), result("call_PTLP8xhu3uwZk4l3nlnrrJha")]);
    task.messages.extend([calls(&["D681PevKs"]), result("D681PevKs")]);
    let sent = Asked::to("mistral", "any").sent(task.clone()).unwrap();
    let (calls, results) = ids(&sent);
    assert_eq!(calls, results);
    assert!(
        calls.iter().all(|id| id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric())),
        "{calls:?}"
    );
    assert_eq!(calls[1], "D681PevKs");
    assert_eq!(Asked::to("mistral", "any").sent(task).unwrap(), sent);
}

#[test]
fn long_ids_are_shortened_for_openai() {
    let long = format!("toolu_{}", "x".repeat(60));
    let mut task = hello();
    task.messages.extend([calls(&[&long]), result(&long)]);
    let sent = Asked::to("openai", "gpt-4o").sent(task).unwrap();
    let (calls, results) = ids(&sent);
    assert_eq!(calls, results);
    assert!(calls[0].len() <= 40, "{calls:?}");
}

#[test]
fn tool_names_are_made_fit_and_restored() {
    let long = "mcp__plugin_project_".to_owned() + &"x".repeat(70);
    let mut task = hello();
    task.tools = vec![tool(&long), tool("read.file"), tool("plain")];
    task.tool_choice = ToolChoice::Named(long.clone());
    task.messages
        .push(Message { tool_calls: vec![call("c1", "read.file")], ..Message::new(Role::Assistant, "") });
    task.messages.push(result("c1"));
    let sent = Asked::to("openai", "gpt-4o").sent(task.clone()).unwrap();
    let names: Vec<&str> = sent.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names[0].len(), names[1], names[2]), (64, "read_file", "plain"));
    assert_eq!(sent.tool_choice, ToolChoice::Named(names[0].to_owned()));
    assert_eq!(sent.messages[1].tool_calls[0].name, "read_file");
    // Anthropic takes 128 characters, and any other server says itself what it takes.
    let kept = Asked::to("anthropic", "any").sent(task.clone()).unwrap();
    assert_eq!((kept.tools[0].name.as_str(), kept.tools[1].name.as_str()), (long.as_str(), "read_file"));
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
}

#[test]
fn names_that_would_be_the_same_are_set_apart() {
    let mut task = hello();
    task.tools = vec![tool("a.b"), tool("a_b")];
    let sent = Asked::to("openai", "gpt-4o").sent(task).unwrap();
    assert_eq!(sent.tools[1].name, "a_b");
    assert!(sent.tools[0].name.starts_with("a_b_"), "{}", sent.tools[0].name);
}

#[test]
fn tools_beyond_a_vendors_most_are_refused_there_alone() {
    let many = TextTask { tools: (0..150).map(|n| tool(&format!("t{n}"))).collect(), ..hello() };
    assert_eq!(Asked::to("openai", "gpt-4o").refused(many.clone()), "tools");
    assert!(Asked::to("anthropic", "any").sent(many.clone()).is_ok());
    assert!(CHAT.sent(many).is_ok());
}

#[test]
fn stop_texts_that_a_vendor_does_not_take_are_the_gateways() {
    let with = |stops: &[&str]| {
        let mut task = hello();
        task.sampling.stop = stops.iter().map(|text| (*text).to_owned()).collect();
        task
    };
    let sent = |kind, model, stops: &[&str]| Asked::to(kind, model).sent(with(stops)).unwrap().sampling.stop;
    assert_eq!(sent("anthropic", "any", &["\n", "END"]), ["END"]);
    assert_eq!(sent("openai", "gpt-4o", &["a", "b", "c", "d", "e"]), ["a", "b", "c", "d"]);
    assert!(sent("openai", "o3", &["a"]).is_empty());
    assert!(sent("responses", "gpt-4o", &["a"]).is_empty());
    assert!(sent("xai", "grok-4", &["a"]).is_empty());
    assert_eq!(sent("xai", "grok-4-fast-non-reasoning", &["a"]), ["a"]);
    assert_eq!(sent("openai_compatible", "big", &["\n"; 9]).len(), 9);
}

#[test]
fn sampling_that_a_family_refuses_is_left_out() {
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        presence_penalty: Some(0.5),
        max_tokens: Some(5),
        ..Sampling::default()
    };
    let task = |reasoning| TextTask { sampling: sampling.clone(), reasoning, ..hello() };
    let set = |kind, model, reasoning| {
        let sent = Asked::to(kind, model).sent(task(reasoning)).unwrap().sampling;
        assert_eq!(sent.max_tokens, Some(5));
        [sent.temperature, sent.top_p, sent.presence_penalty].map(|value| value.is_some())
    };
    let high = Some(ReasoningEffort::High);
    assert_eq!(set("openai", "gpt-4o", None), [true; 3]);
    for model in ["o3-mini", "gpt-5", "gpt-5-mini-2025-08-07"] {
        assert_eq!(set("openai", model, None), [false; 3], "{model}");
    }
    assert_eq!(set("openai", "gpt-5-chat-latest", None), [true; 3]);
    assert_eq!((set("openai", "gpt-5.1", None), set("openai", "gpt-5.1", high)), ([true; 3], [false; 3]));
    assert_eq!(set("xai", "grok-4", None), [true, true, false]);
    assert_eq!(set("anthropic", "claude-3-5-haiku", None)[..2], [true, true]);
    for (kind, model) in [
        ("anthropic", "claude-opus-4-1"),
        ("anthropic", "claude-sonnet-4-5"),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ] {
        assert_eq!(set(kind, model, None)[..2], [true, false], "{model}");
    }
}

#[test]
fn the_nearest_effort_is_asked_for() {
    let effort = |kind, model, effort| {
        Asked::to(kind, model).sent(TextTask { reasoning: Some(effort), ..hello() }).unwrap().reasoning
    };
    use ReasoningEffort::{High, Low, Minimal, None as Nothing};
    assert_eq!(effort("openai", "gpt-4o", High), None);
    assert_eq!(effort("openai", "o3", Nothing), Some(Low));
    assert_eq!(effort("openai", "gpt-5", Nothing), Some(Minimal));
    assert_eq!(effort("openai", "gpt-5.1", Nothing), Some(Nothing));
    assert_eq!(effort("openai", "gpt-5.1", Minimal), Some(Low));
    assert_eq!(effort("xai", "grok-4", High), None);
    assert_eq!(effort("xai", "grok-4.5", High), Some(High));
    assert_eq!(effort("openai_compatible", "gpt-4o", High), Some(High));
}

#[test]
fn what_cannot_be_had_is_refused_in_the_clients_words() {
    let two = TextTask { choices: 2, ..hello() };
    let likely = TextTask { top_logprobs: Some(2), ..hello() };
    let mut biased = hello();
    biased.sampling.logit_bias = vec![(1, 5.0)];
    for kind in ["anthropic", "bedrock", "groq"] {
        assert_eq!(Asked::to(kind, "any").refused(two.clone()), "n");
        assert_eq!(Asked::to(kind, "any").refused(likely.clone()), "top_logprobs");
        assert_eq!(Asked::to(kind, "any").refused(biased.clone()), "logit_bias");
    }
    let native = Asked { client: ClientDialect::Native, ..Asked::to("anthropic", "any") };
    assert_eq!(native.refused(two), "parameters.n");
    let notes = json!({"metadata": {"who": "x".repeat(513)}});
    assert_eq!(Asked { fields: notes, ..Asked::to("openai", "gpt-4o") }.refused(hello()), "metadata");
    let notes = json!({"metadata": {"who": "x".repeat(512)}});
    assert!(Asked { fields: notes, ..Asked::to("openai", "gpt-4o") }.sent(hello()).is_ok());
}

#[test]
fn begun_answers_are_trimmed_or_refused() {
    let begun = |text: &str| {
        let mut task = hello();
        task.messages.push(Message::new(Role::Assistant, text));
        task
    };
    let sent = Asked::to("anthropic", "claude-3-5-haiku").sent(begun("Sure: \n")).unwrap();
    assert_eq!(sent.messages[1].content, "Sure:");
    assert_eq!(Asked::to("anthropic", "claude-opus-4-6").refused(begun("Sure:")), "messages");
    let responses =
        Asked { client: ClientDialect::OpenAiResponses, ..Asked::to("anthropic", "claude-opus-4-6") };
    assert_eq!(responses.refused(begun("Sure:")), "input");
    assert_eq!(CHAT.sent(begun("Sure: ")).unwrap(), begun("Sure: "));
}

#[test]
fn conversation_that_the_assistant_begins_has_a_users_turn_first() {
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message::new(Role::Assistant, "Hi."),
        Message::new(Role::User, "Hello."),
    ];
    let task = TextTask::new(messages, Sampling::default());
    let sent = Asked::to("bedrock", "any").sent(task.clone()).unwrap();
    let roles: Vec<Role> = sent.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
}

#[test]
fn empty_turns_and_speakers_are_left_out_where_they_are_refused() {
    let mut task = hello();
    task.messages[0].name = Some("ada".into());
    task.messages.extend([Message::new(Role::Assistant, " "), Message::new(Role::User, "And?")]);
    let sent = Asked::to("mistral", "any").sent(task.clone()).unwrap();
    assert_eq!((sent.messages.len(), &sent.messages[0].name), (2, &None));
    assert_eq!(Asked::to("openai", "gpt-4o").sent(task.clone()).unwrap(), task);
}

#[test]
fn images_of_another_format_are_refused() {
    let shows = |url: &str| {
        let mut task = hello();
        task.messages[0].images.push(PlacedImage { at: 0, image: Image::at(url) });
        task
    };
    for kind in ["anthropic", "openai", "bedrock", "google"] {
        assert_eq!(
            Asked::to(kind, "any").refused(shows("data:image/tiff;base64,AAAA")),
            "messages",
            "{kind}"
        );
        assert!(Asked::to(kind, "any").sent(shows("data:image/jpg;base64,AAAA")).is_ok(), "{kind}");
    }
    assert!(CHAT.sent(shows("data:image/tiff;base64,AAAA")).is_ok());
}

#[test]
fn documents_go_to_those_that_read_them() {
    let task = TextTask::new(vec![attached(Role::User, "Sum up.", pdf())], Sampling::default());
    for kind in ["anthropic", "openai", "responses", "google", "bedrock", "openrouter", "openai_compatible"] {
        assert!(Asked::to(kind, "any").sent(task.clone()).is_ok(), "{kind}");
    }
    for kind in ["groq", "mistral", "deepseek", "xai", "ollama"] {
        assert_eq!(Asked::to(kind, "any").refused(task.clone()), "messages", "{kind}");
    }
    let source = DocumentSource::Url("https://example.org/a.pdf".into());
    let link = AttachmentContent::Document(Document { source, name: None });
    let task = TextTask::new(vec![attached(Role::User, "Sum up.", link)], Sampling::default());
    assert!(Asked::to("anthropic", "any").sent(task.clone()).is_ok());
    assert_eq!(Asked::to("openai", "gpt-4o").refused(task.clone()), "messages");
    assert_eq!(local_task(&CHAT.call(task)).unwrap_err().param.as_deref(), Some("messages"));
}

#[test]
fn words_of_another_dialect_are_refused_with_their_place() {
    let shown = attached(Role::User, "Look:", opaque(json!({"type": "input_audio"})));
    let task = TextTask::new(vec![shown], Sampling::default());
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
    assert_eq!(Asked::to("anthropic", "any").refused(task.clone()), "messages[0].content[1].type");
    assert!(local_task(&CHAT.call(task)).is_err());
    for (client, name) in [
        (ClientDialect::Anthropic, "mcp_servers"),
        (ClientDialect::Anthropic, "container"),
        (ClientDialect::OpenAiChat, "audio"),
        (ClientDialect::Gemini, "cachedContent"),
    ] {
        let fields = json!({name: {"x": 1}});
        let other = if client == ClientDialect::Anthropic { "openai" } else { "anthropic" };
        assert_eq!(
            Asked { client, fields: fields.clone(), ..Asked::to(other, "any") }.refused(hello()),
            name
        );
        let nothing = Asked { client, fields: json!({name: null}), ..Asked::to(other, "any") };
        assert!(nothing.sent(hello()).is_ok());
        let local = Asked { client, fields, ..CHAT }.call(hello());
        assert_eq!(local_task(&local).unwrap_err().param.as_deref(), Some(name));
    }
}

#[test]
fn what_only_gemini_has_is_refused_with_its_name() {
    let gemini = |fields| Asked { client: ClientDialect::Gemini, fields, ..Asked::to("openai", "gpt-4o") };
    let form = json!({"generationConfig": {"responseMimeType": "text/x.enum"}});
    assert_eq!(gemini(form).refused(hello()), "generationConfig.responseMimeType");
    assert!(
        gemini(json!({"generationConfig": {"mediaResolution": "LOW"}, "safetySettings": []}))
            .sent(hello())
            .is_ok()
    );
    let shown = attached(Role::User, "Hear:", opaque(json!({"inlineData": {}})));
    let task = TextTask::new(vec![shown], Sampling::default());
    // Its parts have no type.
    assert_eq!(gemini(json!({})).refused(task), "messages[0].content[1]");
}

#[test]
fn traces_of_hosted_tools_in_the_models_turns_are_left_out() {
    let mut task = hello();
    task.messages.push(attached(Role::Assistant, "", opaque(json!({"type": "server_tool_use"}))));
    task.messages.push(attached(
        Role::Assistant,
        "Found it.",
        opaque(json!({"type": "web_search_tool_result"})),
    ));
    task.messages.push(Message::new(Role::User, "And?"));
    let asked = Asked { client: ClientDialect::Anthropic, ..Asked::to("openai", "gpt-4o") };
    let sent = asked.sent(task.clone()).unwrap();
    let texts: Vec<&str> = sent.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["Hello!", "Found it.", "And?"]);
    assert!(sent.messages.iter().all(Message::is_text_only));
    let same = Asked { client: ClientDialect::Anthropic, ..Asked::to("anthropic", "any") };
    assert_eq!(same.sent(task.clone()).unwrap(), task);
}

#[test]
fn hosted_tools_that_must_be_called_are_refused_elsewhere() {
    let mut hosted =
        HostedTools { definitions: vec![json!({"type": "web_search"})], ..HostedTools::default() };
    let asked = |hosted: &HostedTools, kind| {
        let asked = Asked { client: ClientDialect::OpenAiResponses, ..Asked::to(kind, "gpt-4o") };
        let mut call = asked.call(hello());
        Arc::make_mut(&mut call.generation).extra.hosted = hosted.clone();
        let Task::Text(task) = &call.generation.task else { panic!("no text") };
        (prepare("acme", kind, asked.dialect(), &call, task).is_ok(), local_task(&call).is_ok())
    };
    assert_eq!(asked(&hosted, "anthropic"), (true, true));
    hosted.need(None, json!("required"));
    assert_eq!(asked(&hosted, "anthropic"), (false, false));
    assert!(asked(&hosted, "responses").0);
}

#[test]
fn json_is_asked_for_in_words_where_a_vendor_has_none() {
    let schema = json!({"type": "object", "properties": {"colour": {"type": "string"}}});
    let by_schema = TextTask { response_format: ResponseFormat::JsonSchema(schema), ..hello() };
    let sent = Asked::to("deepseek", "any").sent(by_schema.clone()).unwrap();
    assert_eq!(sent.response_format, ResponseFormat::JsonObject);
    assert!(sent.messages[0].role == Role::System && sent.messages[0].content.contains("\"colour\""));
    assert_eq!(CHAT.sent(by_schema.clone()).unwrap(), by_schema);

    let object = TextTask { response_format: ResponseFormat::JsonObject, ..hello() };
    for kind in ["anthropic", "bedrock"] {
        let sent = Asked::to(kind, "any").sent(object.clone()).unwrap();
        assert_eq!(sent.response_format, ResponseFormat::Text);
        assert!(sent.messages[0].content.contains("JSON"));
    }
    // OpenAI wants the word, which a client may have said.
    assert_eq!(Asked::to("openai", "gpt-4o").sent(object.clone()).unwrap().messages.len(), 2);
    let mut said = object;
    said.messages[0].content = "Give me json.".into();
    assert_eq!(Asked::to("openai", "gpt-4o").sent(said.clone()).unwrap(), said);
}

#[test]
fn schemas_that_a_vendor_refuses_are_named() {
    let with = |parameters: Value, strict| TextTask {
        tools: vec![tool("a"), Tool { parameters, strict, ..tool("b") }],
        ..hello()
    };
    let joined = json!({"anyOf": [{"type": "object"}]});
    assert_eq!(
        Asked::to("openai", "gpt-4o").refused(with(joined.clone(), false)),
        "tools[1].function.parameters"
    );
    let messages = Asked { client: ClientDialect::Anthropic, ..Asked::to("anthropic", "any") };
    assert_eq!(messages.refused(with(joined.clone(), false)), "tools[1].input_schema");
    assert!(CHAT.sent(with(joined, false)).is_ok());

    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    assert_eq!(
        Asked::to("openai", "gpt-4o").refused(with(open.clone(), true)),
        "tools[1].function.parameters"
    );
    let label = SchemaLabel { strict: Some(true), ..SchemaLabel::default() };
    let format = ResponseFormat::JsonSchema(open.clone());
    let task = TextTask { response_format: format, schema_label: label, ..hello() };
    assert_eq!(Asked::to("openai", "gpt-4o").refused(task), "response_format.json_schema.schema");

    let both = TextTask { response_format: ResponseFormat::JsonSchema(open), ..with(json!({}), false) };
    assert_eq!(Asked::to("google", "gemini-2.5-flash").refused(both.clone()), "response_format");
    assert!(Asked::to("google", "gemini-3-flash").sent(both).is_ok());
}

#[test]
fn strict_schemas_are_closed_and_require_everything() {
    let closed = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let text = json!({"type": "string"});
    let inner = closed(json!({"b": text}), json!(["b"]));
    // Whether a schema is strict, and whether it can be made so.
    let cases = [
        (closed(json!({"a": text}), json!(["a"])), true, true),
        (closed(json!({"a": text}), json!([])), false, false),
        (json!({"type": "object", "properties": {}}), false, true),
        (closed(json!({"a": {"type": "array", "items": inner}}), json!(["a"])), true, true),
        (closed(json!({"a": {"type": "array", "items": {"type": "object"}}}), json!(["a"])), false, true),
        (closed(json!({"a": {"anyOf": [inner, {"type": "null"}]}}), json!(["a"])), true, true),
        (closed(json!({"a": {"not": text}}), json!(["a"])), true, false),
        (json!({"type": "object", "additionalProperties": text}), false, false),
        (text, true, false),
    ];
    for (schema, strict, can_be) in cases {
        assert_eq!(schema::is_strict(&schema), strict, "{schema}");
        assert_eq!(made_strict(&schema).is_some(), can_be, "{schema}");
    }
}

#[test]
fn bounds_that_claude_does_not_take_are_told_in_words() {
    let mut schema = json!({"type": "object", "properties": {
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "Years."},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 1, "maxItems": 3},
        "minimum": {"type": "integer"},
    }});
    close_for_claude(&mut schema);
    let expected = json!({"type": "object", "properties": {
        "age": {"type": "integer", "description": "Years.\n\n{minimum: 0, maximum: 150}"},
        "tags": {"type": "array", "items": {"type": "string", "description": "{maxLength: 9}"}, "minItems": 1, "description": "{maxItems: 3}"},
        "minimum": {"type": "integer"},
    }, "additionalProperties": false});
    assert_eq!(schema, expected);
}
