use std::sync::Arc;

use hearth_domain::{
    Attachment, AttachmentContent, ClientDialect, Delivery, Document, DocumentSource, Extra, Generation,
    HostedTools, Image, Message, ModelId, Opaque, Part, Piece, PlacedImage, ReasoningEffort, ResponseFormat,
    Role, RunId, Sampling, SchemaLabel, Task, TextTask, Tool, ToolCall, ToolChoice,
};
use hearth_wire::ErrorCode;
use serde_json::{Value, json};

use super::{vendors::UNRESTRICTED, *};
use crate::vendor;

/// A request of a client with this dialect to a model of a vendor.
struct Request {
    kind: &'static str,
    model: &'static str,
    client: ClientDialect,
    fields: Value,
}

const CHAT: Request = Request {
    kind: "openai_compatible",
    model: "big",
    client: ClientDialect::OpenAiChat,
    fields: Value::Null,
};

impl Request {
    fn to(kind: &'static str, model: &'static str) -> Self {
        Self { kind, model, ..CHAT }
    }

    fn call(&self, task: TextTask) -> Call {
        let fields = self.fields.as_object().cloned().unwrap_or_default();
        let extra = Extra::new(self.client, fields);
        let generation = Generation { extra, ..Generation::new(None, task) };
        Call {
            run: RunId::new(),
            model: ModelId::new(self.model),
            generation: Arc::new(generation),
            delivery: Delivery::Stream,
            trace: Default::default(),
        }
    }

    fn dialect(&self) -> Dialect {
        if self.kind == "responses" {
            Dialect::OpenAiResponses
        } else {
            vendor::of_kind(self.kind).unwrap().dialect
        }
    }

    fn rules(&self) -> &'static Rules {
        vendor::of_kind(self.kind).map_or(&UNRESTRICTED, |vendor| vendor.rules)
    }

    /// The task that is sent to the provider.
    fn sent(&self, task: TextTask) -> Result<TextTask, ApiError> {
        let call = self.call(task);
        let Task::Text(task) = &call.generation.task else { panic!("no text") };
        prepare("acme", self.rules(), self.kind, self.dialect(), &call, task, SchemaChoice::Best)
            .map(|prepared| prepared.task.into_owned())
    }

    /// The field in the error of a refusal.
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
            let rules = format!("{:?}", rules_of_model(vendor.rules, vendor.kind, vendor.dialect, model));
            let sources: Vec<&str> =
                rules.split("source: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert!(!sources.is_empty(), "{} {model}", vendor.kind);
            assert!(sources.iter().all(|source| source.starts_with("https://")), "{sources:?}");
        }
    }
}

#[test]
fn conforming_request_is_not_copied() {
    for vendor in vendor::ALL {
        let request = Request::to(vendor.kind, "any");
        let call = request.call(hello());
        let Task::Text(task) = &call.generation.task else { panic!("no text") };
        let prepared =
            prepare("acme", vendor.rules, vendor.kind, vendor.dialect, &call, task, SchemaChoice::Best)
                .unwrap();
        assert!(matches!(prepared.task, Cow::Borrowed(_)), "{}", vendor.kind);
    }
}

#[test]
fn calls_stay_at_their_places_without_the_blocks_of_another_dialect() {
    let mut task = hello();
    let place = |content| Attachment { at: 1, images_before: 0, content };
    let block = opaque(json!({"type": "server_tool_use", "id": "s1"}));
    let attachments = vec![place(AttachmentContent::Call), place(block)];
    task.messages.push(Message { attachments, content: "ab".to_owned(), ..calls(&["1", "2"]) });
    task.messages.extend([result("1"), result("2")]);
    let sent = Request { client: ClientDialect::Anthropic, ..CHAT }.sent(task).unwrap();
    assert!(sent.messages[1].is_text_only());
    let texts = sent.messages[1].pieces().into_iter().map(|piece| match piece {
        Piece::Part(_, Part::Text(text)) => text,
        Piece::Call(_, call) => &call.id,
        other => panic!("{other:?}"),
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["a", "1", "b", "2"]);
}

#[test]
fn repeated_call_ids_are_replaced_with_their_results() {
    let mut task = hello();
    task.messages.extend([
        calls(&["call_0"]),
        result("call_0"),
        calls(&["call_0", "b:1"]),
        result("b:1"),
        result("call_0"),
    ]);
    for kind in ["anthropic", "bedrock"] {
        let sent = Request::to(kind, "any").sent(task.clone()).unwrap();
        assert_eq!(
            ids(&sent),
            (vec!["call_0", "call_0_1", "b_1"], vec!["call_0", "b_1", "call_0_1"]),
            "{kind}"
        );
    }
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
}

#[test]
fn calls_of_one_turn_with_the_same_id_get_a_result_each() {
    let mut task = hello();
    task.messages.extend([calls(&["a", "a"]), result("a"), result("a")]);
    let sent = Request::to("anthropic", "any").sent(task).unwrap();
    assert_eq!(ids(&sent), (vec!["a", "a_1"], vec!["a", "a_1"]));
}

#[test]
fn derived_id_differs_from_other_ids() {
    let mut task = hello();
    task.messages.extend([
        calls(&["a"]),
        result("a"),
        calls(&["a"]),
        result("a"),
        calls(&["a_1"]),
        result("a_1"),
    ]);
    let sent = Request::to("anthropic", "any").sent(task).unwrap();
    let (calls, results) = ids(&sent);
    assert_eq!((calls[0], calls[2]), ("a", "a_1"));
    assert!(calls[1] != "a" && calls[1] != "a_1", "{calls:?}");
    assert_eq!(calls, results);
}

#[test]
fn ids_for_mistral_have_nine_letters_and_digits_and_are_stable() {
    let mut task = hello();
    task.messages
        .extend([calls(&["call_PTLP8xhu3uwZk4l3nlnrrJha"]), result("call_PTLP8xhu3uwZk4l3nlnrrJha")]);
    task.messages.extend([calls(&["D681PevKs"]), result("D681PevKs")]);
    let sent = Request::to("mistral", "any").sent(task.clone()).unwrap();
    let (calls, results) = ids(&sent);
    assert_eq!(calls, results);
    assert!(
        calls.iter().all(|id| id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric())),
        "{calls:?}"
    );
    assert_eq!(calls[1], "D681PevKs");
    assert_eq!(Request::to("mistral", "any").sent(task).unwrap(), sent);
}

#[test]
fn long_ids_are_shortened_for_openai() {
    let long = format!("toolu_{}", "x".repeat(60));
    let mut task = hello();
    task.messages.extend([calls(&[&long]), result(&long)]);
    let sent = Request::to("openai", "gpt-4o").sent(task).unwrap();
    let (calls, results) = ids(&sent);
    assert_eq!(calls, results);
    assert!(calls[0].len() <= 40, "{calls:?}");
}

#[test]
fn refused_tool_names_are_replaced() {
    let long = "mcp__plugin_project_".to_owned() + &"x".repeat(70);
    let mut task = hello();
    task.tools = vec![tool(&long), tool("read.file"), tool("plain")];
    task.tool_choice = ToolChoice::Named(long.clone());
    task.messages
        .push(Message { tool_calls: vec![call("c1", "read.file")], ..Message::new(Role::Assistant, "") });
    task.messages.push(result("c1"));
    let sent = Request::to("openai", "gpt-4o").sent(task.clone()).unwrap();
    let names: Vec<&str> = sent.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names[0].len(), names[1], names[2]), (64, "read_file", "plain"));
    assert_eq!(sent.tool_choice, ToolChoice::Named(names[0].to_owned()));
    assert_eq!(sent.messages[1].tool_calls[0].name, "read_file");
    // Anthropic accepts 128 characters; a server of any kind has no rules.
    let sent = Request::to("anthropic", "any").sent(task.clone()).unwrap();
    assert_eq!((sent.tools[0].name.as_str(), sent.tools[1].name.as_str()), (long.as_str(), "read_file"));
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
}

#[test]
fn replaced_names_stay_distinct() {
    let mut task = hello();
    task.tools = vec![tool("a.b"), tool("a_b")];
    let sent = Request::to("openai", "gpt-4o").sent(task).unwrap();
    assert_eq!(sent.tools[1].name, "a_b");
    assert!(sent.tools[0].name.starts_with("a_b_"), "{}", sent.tools[0].name);
}

#[test]
fn too_many_tools_are_refused_for_that_vendor_only() {
    let many = TextTask { tools: (0..150).map(|n| tool(&format!("t{n}"))).collect(), ..hello() };
    assert_eq!(Request::to("openai", "gpt-4o").refused(many.clone()), "tools");
    assert!(Request::to("anthropic", "any").sent(many.clone()).is_ok());
    assert!(CHAT.sent(many).is_ok());
}

#[test]
fn unsupported_stop_texts_are_not_sent() {
    let with = |stops: &[&str]| {
        let mut task = hello();
        task.sampling.stop = stops.iter().map(|text| (*text).to_owned()).collect();
        task
    };
    let sent =
        |kind, model, stops: &[&str]| Request::to(kind, model).sent(with(stops)).unwrap().sampling.stop;
    assert_eq!(sent("anthropic", "any", &["\n", "END"]), ["END"]);
    assert_eq!(sent("openai", "gpt-4o", &["a", "b", "c", "d", "e"]), ["a", "b", "c", "d"]);
    assert!(sent("openai", "o3", &["a"]).is_empty());
    assert!(sent("responses", "gpt-4o", &["a"]).is_empty());
    assert!(sent("xai", "grok-4", &["a"]).is_empty());
    assert_eq!(sent("xai", "grok-4-fast-non-reasoning", &["a"]), ["a"]);
    assert_eq!(sent("openai_compatible", "big", &["\n"; 9]).len(), 9);
}

#[test]
fn refused_sampling_parameters_are_removed() {
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        presence_penalty: Some(0.5),
        max_tokens: Some(5),
        ..Sampling::default()
    };
    let task = |reasoning| TextTask { sampling: sampling.clone(), reasoning, ..hello() };
    let set = |kind, model, reasoning| {
        let sent = Request::to(kind, model).sent(task(reasoning)).unwrap().sampling;
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
fn temperature_above_the_vendors_range_becomes_its_maximum() {
    let sent = |kind, model, temperature| {
        let sampling = Sampling { temperature: Some(temperature), ..Sampling::default() };
        Request::to(kind, model).sent(TextTask { sampling, ..hello() }).unwrap().sampling.temperature
    };
    for kind in ["anthropic", "bedrock"] {
        assert_eq!(sent(kind, "any", 1.7), Some(1.0), "{kind}");
        assert_eq!(sent(kind, "any", 0.7), Some(0.7), "{kind}");
    }
    for (kind, model) in [("openai", "gpt-4o"), ("google", "gemini-2.5-pro"), ("openai_compatible", "big")] {
        assert_eq!(sent(kind, model, 1.7), Some(1.7), "{kind}");
    }
    assert_eq!(sent("openai", "o3", 1.7), None);
}

#[test]
fn unsupported_effort_becomes_the_nearest() {
    let effort = |kind, model, effort| {
        Request::to(kind, model).sent(TextTask { reasoning: Some(effort), ..hello() }).unwrap().reasoning
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
fn unsupported_field_is_refused_by_the_clients_name() {
    let two = TextTask { choices: 2, ..hello() };
    let likely = TextTask { top_logprobs: Some(2), ..hello() };
    let mut biased = hello();
    biased.sampling.logit_bias = vec![(1, 5.0)];
    for kind in ["anthropic", "bedrock", "groq"] {
        assert_eq!(Request::to(kind, "any").refused(two.clone()), "n");
        assert_eq!(Request::to(kind, "any").refused(likely.clone()), "top_logprobs");
        assert_eq!(Request::to(kind, "any").refused(biased.clone()), "logit_bias");
    }
    // A client that takes them only if there are any gets none.
    let if_any = TextTask { logprobs_if_available: true, ..likely };
    assert_eq!(Request::to("groq", "any").sent(if_any.clone()).unwrap().top_logprobs, None);
    assert_eq!(Request::to("google", "gemini-2.5-pro").sent(if_any.clone()).unwrap().top_logprobs, None);
    assert_eq!(Request::to("deepseek", "deepseek-reasoner").sent(if_any.clone()).unwrap().top_logprobs, None);
    assert_eq!(Request::to("openai", "gpt-4o").sent(if_any).unwrap().top_logprobs, Some(2));
    let native = Request { client: ClientDialect::Native, ..Request::to("anthropic", "any") };
    assert_eq!(native.refused(two), "parameters.n");
    let notes = json!({"metadata": {"who": "x".repeat(513)}});
    assert_eq!(Request { fields: notes, ..Request::to("openai", "gpt-4o") }.refused(hello()), "metadata");
    let notes = json!({"metadata": {"who": "x".repeat(512)}});
    assert!(Request { fields: notes, ..Request::to("openai", "gpt-4o") }.sent(hello()).is_ok());
}

#[test]
fn prefill_is_trimmed_or_refused() {
    let begun = |text: &str| {
        let mut task = hello();
        task.messages.push(Message::new(Role::Assistant, text));
        task
    };
    let sent = Request::to("anthropic", "claude-3-5-haiku").sent(begun("Sure: \n")).unwrap();
    assert_eq!(sent.messages[1].content, "Sure:");
    assert_eq!(Request::to("anthropic", "claude-opus-4-6").refused(begun("Sure:")), "messages");
    let responses =
        Request { client: ClientDialect::OpenAiResponses, ..Request::to("anthropic", "claude-opus-4-6") };
    assert_eq!(responses.refused(begun("Sure:")), "input");
    assert_eq!(CHAT.sent(begun("Sure: ")).unwrap(), begun("Sure: "));
}

#[test]
fn user_message_is_inserted_before_a_first_assistant_message() {
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message::new(Role::Assistant, "Hi."),
        Message::new(Role::User, "Hello."),
    ];
    let task = TextTask::new(messages, Sampling::default());
    let sent = Request::to("bedrock", "any").sent(task.clone()).unwrap();
    let roles: Vec<Role> = sent.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
}

#[test]
fn refused_empty_turns_and_speaker_names_are_removed() {
    let mut task = hello();
    task.messages[0].name = Some("ada".into());
    task.messages.extend([Message::new(Role::Assistant, " "), Message::new(Role::User, "And?")]);
    let sent = Request::to("mistral", "any").sent(task.clone()).unwrap();
    assert_eq!((sent.messages.len(), &sent.messages[0].name), (2, &None));
    assert_eq!(Request::to("openai", "gpt-4o").sent(task.clone()).unwrap(), task);
}

#[test]
fn unsupported_image_types_are_refused() {
    let with_image = |url: &str| {
        let mut task = hello();
        task.messages[0].images.push(PlacedImage { at: 0, image: Image::at(url) });
        task
    };
    for kind in ["anthropic", "openai", "bedrock", "google"] {
        assert_eq!(
            Request::to(kind, "any").refused(with_image("data:image/tiff;base64,AAAA")),
            "messages",
            "{kind}"
        );
        assert!(Request::to(kind, "any").sent(with_image("data:image/jpg;base64,AAAA")).is_ok(), "{kind}");
    }
    assert!(CHAT.sent(with_image("data:image/tiff;base64,AAAA")).is_ok());
}

#[test]
fn unsupported_documents_are_refused() {
    let task = TextTask::new(vec![attached(Role::User, "Sum up.", pdf())], Sampling::default());
    for kind in ["anthropic", "openai", "responses", "google", "bedrock", "openrouter", "openai_compatible"] {
        assert!(Request::to(kind, "any").sent(task.clone()).is_ok(), "{kind}");
    }
    for kind in ["groq", "mistral", "deepseek", "xai", "ollama"] {
        assert_eq!(Request::to(kind, "any").refused(task.clone()), "messages", "{kind}");
    }
    let source = DocumentSource::Url("https://example.org/a.pdf".into());
    let link = AttachmentContent::Document(Document { source, name: None });
    let task = TextTask::new(vec![attached(Role::User, "Sum up.", link)], Sampling::default());
    assert!(Request::to("anthropic", "any").sent(task.clone()).is_ok());
    let advice = |kind: &'static str| Request::to(kind, "any").sent(task.clone()).unwrap_err().message;
    assert!(
        advice("openai").contains("send the file in base64, its text, or images"),
        "{}",
        advice("openai")
    );
    assert!(advice("groq").contains("send its text, or images"), "{}", advice("groq"));
    assert_eq!(Request::to("openai", "gpt-4o").refused(task.clone()), "messages");
    assert_eq!(local_task(&CHAT.call(task)).unwrap_err().param.as_deref(), Some("messages"));
}

#[test]
fn files_of_other_servers_are_refused_by_their_ids() {
    for (client, part, place) in [
        (ClientDialect::OpenAiResponses, json!({"type": "input_file", "file_id": "file-abc"}), "file_id"),
        (ClientDialect::OpenAiChat, json!({"type": "file", "file": {"file_id": "file-abc"}}), "file.file_id"),
        (
            ClientDialect::Anthropic,
            json!({"type": "document", "source": {"type": "file", "file_id": "file_01"}}),
            "source.file_id",
        ),
    ] {
        let task = TextTask::new(vec![attached(Role::User, "Read:", opaque(part))], Sampling::default());
        let param = format!("messages[0].content[1].{place}");
        let request = Request { client, ..Request::to("google", "any") };
        let errors = [request.sent(task.clone()).unwrap_err(), local_task(&request.call(task)).unwrap_err()];
        for (error, reader) in errors.into_iter().zip(["the provider acme", "a local model"]) {
            assert_eq!(error.param.as_deref(), Some(param.as_str()), "{error:?}");
            assert!(error.message.contains(reader) && error.message.contains("POST /v1/files"), "{error:?}");
        }
    }
}

#[test]
fn foreign_parts_and_fields_are_refused_by_their_place() {
    let shown = attached(Role::User, "Look:", opaque(json!({"type": "input_audio"})));
    let task = TextTask::new(vec![shown], Sampling::default());
    assert_eq!(CHAT.sent(task.clone()).unwrap(), task);
    assert_eq!(Request::to("anthropic", "any").refused(task.clone()), "messages[0].content[1].type");
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
            Request { client, fields: fields.clone(), ..Request::to(other, "any") }.refused(hello()),
            name
        );
        let nothing = Request { client, fields: json!({name: null}), ..Request::to(other, "any") };
        assert!(nothing.sent(hello()).is_ok());
        let local = Request { client, fields, ..CHAT }.call(hello());
        assert_eq!(local_task(&local).unwrap_err().param.as_deref(), Some(name));
    }
}

#[test]
fn foreign_fields_of_gemini_are_refused_by_name() {
    let gemini =
        |fields| Request { client: ClientDialect::Gemini, fields, ..Request::to("openai", "gpt-4o") };
    let form = json!({"generationConfig": {"responseMimeType": "text/x.enum"}});
    assert_eq!(gemini(form).refused(hello()), "generationConfig.responseMimeType");
    assert!(
        gemini(json!({"generationConfig": {"mediaResolution": "LOW"}, "safetySettings": []}))
            .sent(hello())
            .is_ok()
    );
    let shown = attached(Role::User, "Hear:", opaque(json!({"inlineData": {}})));
    let task = TextTask::new(vec![shown], Sampling::default());
    // Gemini's parts have no type.
    assert_eq!(gemini(json!({})).refused(task), "messages[0].content[1]");
}

#[test]
fn traces_of_hosted_tools_are_removed() {
    let mut task = hello();
    task.messages.push(attached(Role::Assistant, "", opaque(json!({"type": "server_tool_use"}))));
    task.messages.push(attached(
        Role::Assistant,
        "Found it.",
        opaque(json!({"type": "web_search_tool_result"})),
    ));
    task.messages.push(Message::new(Role::User, "And?"));
    let request = Request { client: ClientDialect::Anthropic, ..Request::to("openai", "gpt-4o") };
    let sent = request.sent(task.clone()).unwrap();
    let texts: Vec<&str> = sent.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["Hello!", "Found it.", "And?"]);
    assert!(sent.messages.iter().all(Message::is_text_only));
    let same = Request { client: ClientDialect::Anthropic, ..Request::to("anthropic", "any") };
    assert_eq!(same.sent(task.clone()).unwrap(), task);
}

#[test]
fn required_hosted_tools_are_refused_by_other_dialects() {
    let mut hosted =
        HostedTools { definitions: vec![json!({"type": "web_search"})], ..HostedTools::default() };
    let is_accepted = |hosted: &HostedTools, kind| {
        let request = Request { client: ClientDialect::OpenAiResponses, ..Request::to(kind, "gpt-4o") };
        let mut call = request.call(hello());
        Arc::make_mut(&mut call.generation).extra.hosted = hosted.clone();
        let Task::Text(task) = &call.generation.task else { panic!("no text") };
        let prepared =
            prepare("acme", request.rules(), kind, request.dialect(), &call, task, SchemaChoice::Best);
        (prepared.is_ok(), local_task(&call).is_ok())
    };
    assert_eq!(is_accepted(&hosted, "anthropic"), (true, true));
    hosted.need(None, json!("required"));
    assert_eq!(is_accepted(&hosted, "anthropic"), (false, false));
    assert!(is_accepted(&hosted, "responses").0);
}

#[test]
fn json_is_requested_by_an_instruction_if_there_is_no_field() {
    let schema = json!({"type": "object", "properties": {"colour": {"type": "string"}}});
    let by_schema = TextTask { response_format: ResponseFormat::JsonSchema(schema), ..hello() };
    let sent = Request::to("deepseek", "any").sent(by_schema.clone()).unwrap();
    assert_eq!(sent.response_format, ResponseFormat::JsonObject);
    assert!(sent.messages[0].role == Role::System && sent.messages[0].content.contains("\"colour\""));
    assert_eq!(CHAT.sent(by_schema.clone()).unwrap(), by_schema);

    let object = TextTask { response_format: ResponseFormat::JsonObject, ..hello() };
    for kind in ["anthropic", "bedrock"] {
        let sent = Request::to(kind, "any").sent(object.clone()).unwrap();
        assert_eq!(sent.response_format, ResponseFormat::Text);
        assert!(sent.messages[0].content.contains("JSON"));
    }
    // OpenAI requires the word JSON, which the conversation may have.
    assert_eq!(Request::to("openai", "gpt-4o").sent(object.clone()).unwrap().messages.len(), 2);
    let mut with_word = object;
    with_word.messages[0].content = "Give me json.".into();
    assert_eq!(Request::to("openai", "gpt-4o").sent(with_word.clone()).unwrap(), with_word);
}

#[test]
fn description_of_a_schema_is_sent_in_its_field_or_within_the_schema() {
    let sent = |kind, model, schema: Value| {
        let description = Some("A place on Earth.".to_owned());
        let label = SchemaLabel { description, ..SchemaLabel::default() };
        let format = ResponseFormat::JsonSchema(schema);
        let task = TextTask { response_format: format, schema_label: label, ..hello() };
        Request::to(kind, model).sent(task).unwrap()
    };
    let place = || json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]});
    let described = |task: &TextTask| match &task.response_format {
        ResponseFormat::JsonSchema(schema) => schema["description"].clone(),
        _ => Value::Null,
    };
    let of_label = |task: &TextTask| task.schema_label.description.clone();
    for (kind, model) in [("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-pro")] {
        let task = sent(kind, model, place());
        assert_eq!((described(&task), of_label(&task)), (json!("A place on Earth."), None), "{kind}");
        let mut own = place();
        own["description"] = json!("Its own.");
        assert_eq!(described(&sent(kind, model, own)), "Its own.", "{kind}");
    }
    for (kind, model) in
        [("openai", "gpt-4o"), ("responses", "gpt-4o"), ("bedrock", "anthropic.claude-sonnet-4-5-v1:0")]
    {
        let task = sent(kind, model, place());
        assert_eq!(
            (described(&task), of_label(&task)),
            (Value::Null, Some("A place on Earth.".to_owned())),
            "{kind}"
        );
    }
    let instructed = sent("deepseek", "any", place());
    assert!(instructed.messages[0].content.contains("A place on Earth."), "{instructed:?}");
    let with_tool = sent("anthropic", "claude-3-5-haiku", place());
    assert_eq!(with_tool.tools[0].description.as_deref(), Some("A place on Earth."));
}

#[test]
fn refused_schemas_are_named() {
    let with = |parameters: Value, strict| TextTask {
        tools: vec![tool("a"), Tool { parameters, strict, ..tool("b") }],
        ..hello()
    };
    let joined = json!({"anyOf": [{"type": "object"}]});
    assert_eq!(
        Request::to("openai", "gpt-4o").refused(with(joined.clone(), false)),
        "tools[1].function.parameters"
    );
    let messages = Request { client: ClientDialect::Anthropic, ..Request::to("anthropic", "any") };
    assert_eq!(messages.refused(with(joined.clone(), false)), "tools[1].input_schema");
    assert!(CHAT.sent(with(joined, false)).is_ok());

    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    assert_eq!(
        Request::to("openai", "gpt-4o").refused(with(open.clone(), true)),
        "tools[1].function.parameters"
    );
    let label = SchemaLabel { strict: Some(true), ..SchemaLabel::default() };
    let format = ResponseFormat::JsonSchema(open.clone());
    let task = TextTask { response_format: format, schema_label: label, ..hello() };
    assert_eq!(Request::to("openai", "gpt-4o").refused(task), "response_format.json_schema.schema");

    let both = TextTask { response_format: ResponseFormat::JsonSchema(open), ..with(json!({}), false) };
    assert_eq!(Request::to("google", "gemini-2.5-flash").refused(both.clone()), "response_format");
    assert!(Request::to("google", "gemini-3-flash").sent(both).is_ok());
}

#[test]
fn item_of_a_stored_answer_is_refused_by_its_type_unless_the_provider_ran_its_tool() {
    let answered = |kind: &str, param: &str| {
        let value = json!({"type": kind, "id": "cu_1"});
        let part = AttachmentContent::Opaque(Opaque { param: param.to_owned(), value });
        let mut task = hello();
        task.messages.push(attached(Role::Assistant, "Look.", part));
        task.messages.push(Message::new(Role::User, "And?"));
        task
    };
    let request = Request { client: ClientDialect::OpenAiResponses, ..Request::to("anthropic", "any") };
    request.sent(answered("web_search_call", "previous_response_id.output")).unwrap();
    for kind in ["computer_call", "shell_call", "apply_patch_call", "compaction", "mcp_approval_request"] {
        for field in ["previous_response_id", "conversation"] {
            let task = answered(kind, &format!("{field}.output"));
            let error = request.sent(task.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(field), "{error:?}");
            assert!(error.message.contains(&format!("cu_1 of type \"{kind}\"")), "{error:?}");
            let local = local_task(&request.call(task.clone())).unwrap_err();
            assert!(local.message.contains("a local model has none"), "{local:?}");
            // A native request goes on without it.
            let native = Request { client: ClientDialect::Native, ..Request::to("openai", "gpt-4o") };
            assert!(native.sent(task.clone()).unwrap().messages.iter().all(Message::is_text_only));
        }
    }
    let mut own = hello();
    let value = json!({"type": "computer_call", "id": "cu_1"});
    let part = AttachmentContent::Opaque(Opaque { param: "input[2]".to_owned(), value });
    own.messages.push(attached(Role::User, "", part));
    let error = request.sent(own).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("input[2].type"));
    assert!(error.message.starts_with("input[2] of type \"computer_call\" exists"), "{error:?}");
}
