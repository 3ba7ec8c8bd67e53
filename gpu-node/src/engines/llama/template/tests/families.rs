//! Renders many kinds of conversations with the templates of model families: no text may be missing from the prompt,
//! and turns must be in the order that the template requires.

use super::*;

/// A short template with the requirements of a family's real one.
struct Family {
    name: &'static str,
    template: &'static str,
    /// The prompt for a system message and a question.
    prompt: &'static str,
}

const FAMILIES: [Family; 12] = [
    Family {
        name: "Gemma: no system, turns alternate, the assistant is called model",
        template: "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}\
            {% endif %}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\
            {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
            {% if m['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}\
            {{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}\
            {% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        prompt: "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\n",
    },
    Family {
        name: "Mistral 0.1: turns alternate, every role but the user is the assistant",
        template: "{{ bos_token }}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\
            {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
            {% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}\
            {% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}\
            {% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",
        prompt: "<s>[INST] Be brief.\n\nHi [/INST]",
    },
    Family {
        name: "Mistral 0.3: the system message is read from the front, and stands before the last question",
        template: "{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}\
            {% set loop_messages = messages[1:] %}{% else %}{% set loop_messages = messages %}{% endif %}{{ bos_token }}\
            {% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}\
            {{ raise_exception('After the optional system message, roles must alternate') }}{% endif %}\
            {% if m['role'] == 'user' %}{% if loop.last and system_message is defined %}\
            {{ '[INST] ' + system_message + '\n\n' + m['content'] + '[/INST]' }}{% else %}\
            {{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
        prompt: "<s>[INST] Be brief.\n\nHi[/INST]",
    },
    Family {
        name: "Llama 2: the system message in the first question, turns alternate",
        template: "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
            {% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}\
            {% set system_message = false %}{% endif %}{% for m in loop_messages %}\
            {% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}\
            {% if loop.index0 == 0 and system_message != false %}\
            {% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}\
            {% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}\
            {% elif m['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        prompt: "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST]",
    },
    Family {
        name: "Phi: unknown roles are omitted silently",
        template: "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '<|end|>\n' }}\
            {% elif m['role'] == 'assistant' %}{{ '<|assistant|>\n' + m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        prompt: "<s><|user|>\nBe brief.\n\nHi<|end|>\n<|assistant|>\n",
    },
    Family {
        name: "SmolVLM: content is a list of parts",
        template: "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}{% if m['content'][0]['type'] == 'image' %}{{ ':' }}\
            {% else %}{{ ': ' }}{% endif %}{% for line in m['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}\
            {% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}\
            {% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
        prompt: "<|im_start|>System: Be brief.<end_of_utterance>\nUser: Hi<end_of_utterance>\nAssistant:",
    },
    Family {
        name: "DeepSeek R1: reasoning of earlier turns is omitted, system messages are joined",
        template: "{% set ns = namespace(system='') %}{% for m in messages %}{% if m['role'] == 'system' %}\
            {% if ns.system %}{% set ns.system = ns.system + '\n\n' + m['content'] %}{% else %}{% set ns.system = m['content'] %}{% endif %}\
            {% endif %}{% endfor %}{{ bos_token }}{{ ns.system }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '<User>' + m['content'] }}\
            {% elif m['role'] == 'assistant' %}{% set content = m['content'] %}{% if '</think>' in content %}\
            {% set content = content.split('</think>')[-1] %}{% endif %}{{ '<Assistant>' + content + eos_token }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ '<Assistant><think>\n' }}{% endif %}",
        prompt: "<s>Be brief.<User>Hi<Assistant><think>\n",
    },
    Family {
        name: "Command-R: a preamble, and turns by role",
        template: "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
            {% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}\
            {% if system_message != false %}{{ '<|SYSTEM|>' + system_message + '<|END|>' }}{% endif %}{% for m in loop_messages %}\
            {% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}\
            {% set content = m['content'] %}{% if m['role'] == 'user' %}{{ '<|USER|>' + content.strip() + '<|END|>' }}\
            {% elif m['role'] == 'assistant' %}{{ '<|BOT|>' + content.strip() + '<|END|>' }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|BOT|>' }}{% endif %}",
        prompt: "<s><|SYSTEM|>Be brief.<|END|><|USER|>Hi<|END|><|BOT|>",
    },
    Family {
        name: "Granite: a default system message, and roles between tags",
        template: "{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% set loop_messages = messages[1:] %}\
            {% else %}{% set system_message = 'You are Granite.' %}{% set loop_messages = messages %}{% endif %}\
            {{ '<|role|>system<|/role|>' + system_message + '<|end|>\n' }}{% for m in loop_messages %}\
            {{ '<|role|>' + m['role'] + '<|/role|>' + m['content'] + '<|end|>\n' }}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|role|>assistant<|/role|>' }}{% endif %}",
        prompt: "<|role|>system<|/role|>Be brief.<|end|>\n<|role|>user<|/role|>Hi<|end|>\n<|role|>assistant<|/role|>",
    },
    Family {
        name: LLAMA31,
        template: "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set turns = messages[1:] %}\
            {% else %}{% set system = '' %}{% set turns = messages %}{% endif %}{{ '<h>system</h>' + system + '<e>' }}\
            {% if tools %}{{ 'Reply with {\"name\": function name, \"parameters\": its arguments}: ' + tools | tojson + '<e>' }}{% endif %}\
            {% for m in turns %}{% if 'tool_calls' in m %}{% if m['tool_calls'] | length != 1 %}{{ raise_exception('one call at once') }}{% endif %}\
            {% set f = m['tool_calls'][0]['function'] %}\
            {{ '<h>assistant</h>{\"name\": \"' + f['name'] + '\", \"parameters\": ' + f['arguments'] | tojson + '}<e>' }}\
            {% elif m['role'] == 'tool' %}{{ '<h>ipython</h>' + m['content'] + '<e>' }}\
            {% else %}{{ '<h>' + m['role'] + '</h>' + m['content'] + '<e>' }}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ '<h>assistant</h>' }}{% endif %}",
        prompt: "<s><h>system</h>Be brief.<e><h>user</h>Hi<e><h>assistant</h>",
    },
    Family {
        name: DEEPSEEK_V3,
        template: "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}{% endif %}{% endfor %}\
            {% if tools %}{{ '\n<tools>' + tools | tojson + '</tools>' }}{% endif %}\
            {% for m in messages %}{% if m['role'] == 'user' %}{{ '<User>' + m['content'] }}\
            {% elif m['role'] == 'assistant' and m['content'] is none %}{{ '<Assistant><｜tool▁calls▁begin｜>' }}{% for call in m['tool_calls'] %}\
            {{ '<｜tool▁call▁begin｜>' + call['type'] + '<｜tool▁sep｜>' + call['function']['name'] + '\n```json\n' + call['function']['arguments'] + '\n```<｜tool▁call▁end｜>' }}\
            {% endfor %}{{ '<｜tool▁calls▁end｜>' + eos_token }}{% elif m['role'] == 'assistant' %}{{ '<Assistant>' + m['content'] + eos_token }}\
            {% elif m['role'] == 'tool' %}{{ '<Tool>' + m['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<Assistant>' }}{% endif %}",
        prompt: "<s>Be brief.<User>Hi<Assistant>",
    },
    Family {
        name: MISTRAL_NEMO,
        template: "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set turns = messages[1:] %}{% else %}\
            {% set turns = messages %}{% endif %}{% set ns = namespace(count=0) %}{% for m in turns %}{% if m['role'] != 'tool' and not m['tool_calls'] %}\
            {% if (m['role'] == 'user') != (ns.count % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}\
            {% set ns.count = ns.count + 1 %}{% endif %}{% endfor %}{{ bos_token }}{% for m in turns %}{% if m['role'] == 'user' %}\
            {% if tools %}{{ '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}\
            {% if loop.last and system is defined %}{{ '[INST]' + system + '\n\n' + m['content'] + '[/INST]' }}{% else %}{{ '[INST]' + m['content'] + '[/INST]' }}{% endif %}\
            {% elif m['tool_calls'] %}{{ '[TOOL_CALLS][' }}{% for call in m['tool_calls'] %}{% if call['id'] | length != 9 %}{{ raise_exception('length 9!') }}{% endif %}\
            {{ (call['function'] | tojson)[:-1] + ', \"id\": \"' + call['id'] + '\"}' }}{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}{{ ']' + eos_token }}\
            {% elif m['role'] == 'tool' %}{{ '[TOOL_RESULTS]' + m['content'] + '[/TOOL_RESULTS]' }}{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}",
        prompt: "<s>[INST]Be brief.\n\nHi[/INST]",
    },
];

const LLAMA31: &str = "Llama 3.1 to 3.3: of a turn with text and a call only the call, one call in a turn";
const DEEPSEEK_V3: &str = "DeepSeek V3: calls only where there is no content";
const MISTRAL_NEMO: &str =
    "Mistral Nemo: of a turn with text and calls only the calls, turns alternate without those with calls";

fn message(role: Role, content: &str) -> Message {
    Message::new(role, content)
}

#[test]
fn system_message_and_question_render_as_in_the_family() {
    for Family { name, template, prompt } in FAMILIES {
        let messages = [message(Role::System, "Be brief."), message(Role::User, "Hi")];
        assert_eq!(render(template, &messages).unwrap(), prompt, "{name}");
    }
}

#[test]
fn all_text_of_a_conversation_is_in_the_prompt() {
    use Role::{Assistant, System, User};
    let shapes: [&[Role]; 10] = [
        &[User],
        &[User, User],
        &[System, System, User],
        &[System],
        &[Assistant, User],
        &[User, Assistant, Assistant, User],
        &[User, Assistant, System, User],
        &[User, System],
        &[System, User, Assistant],
        &[System, Assistant, User, User, Assistant, System],
    ];
    for Family { name, template, .. } in FAMILIES {
        for roles in shapes {
            let words: Vec<String> = (0..roles.len()).map(|place| format!("word{place}.")).collect();
            let messages: Vec<Message> =
                roles.iter().zip(&words).map(|(role, word)| message(*role, word)).collect();
            let prompt =
                render(template, &messages).unwrap_or_else(|error| panic!("{name}, {roles:?}: {error:?}"));
            for word in &words {
                assert_eq!(prompt.matches(word.as_str()).count(), 1, "{name}, {roles:?}: {word} in {prompt}");
            }
        }
    }
}

#[test]
fn tools_calls_and_results_are_in_the_prompt_of_every_family() {
    for Family { name, template, .. } in FAMILIES {
        let mut messages = conversation();
        messages.insert(0, message(Role::System, "Be brief."));
        messages[3].content = "heavy rain".into();
        messages.push(message(Role::User, "Thanks"));
        let prompt = with_tools(&compile(template), &messages, &[weather()])
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for word in ["Be brief.", "weather", "Rain in Ulm?", r#""Ulm""#, "heavy rain", "Thanks"] {
            assert!(prompt.contains(word), "{name}: {word} in {prompt}");
        }
    }
}

/// A conversation in which the assistant has explained its calls, and has answered by their results.
fn explained_calls(ids: &[&str]) -> Vec<Message> {
    let cities = ["Ulm", "Bonn"];
    let calls_made: Vec<ToolCall> = ids.iter().zip(cities).map(|(id, city)| call(id, city)).collect();
    let mut messages = vec![message(Role::User, "Rain?"), calls("I look.", &calls_made)];
    messages.extend(ids.iter().zip(["heavy", "none"]).map(|(id, rain)| result(id, rain)));
    messages.extend([message(Role::Assistant, "Take a coat."), message(Role::User, "Thanks")]);
    messages
}

#[test]
fn text_beside_calls_is_in_the_prompt_of_every_family() {
    for Family { name, template, .. } in FAMILIES {
        let template = compile(template);
        for (ids, in_two) in [(&["a"][..], false), (&["a", "b"], false), (&["a", "b"], true)] {
            let mut messages = explained_calls(ids);
            if in_two {
                // As in the items of the responses API.
                let calls_made = std::mem::take(&mut messages[1].tool_calls);
                messages.insert(2, calls("", &calls_made));
            }
            messages.insert(0, message(Role::System, "Be brief."));
            let (after_results, with_answer) = (messages.len() - 2, messages.len());
            let words = ["Be brief.", "Rain?", "I look.", r#""Ulm""#, "heavy", "Take a coat.", "Thanks"];
            for (end, words) in [(after_results, &words[..5]), (with_answer, &words[..])] {
                let prompt = with_tools(&template, &messages[..end], &[weather()])
                    .unwrap_or_else(|error| panic!("{name}, {end}: {error:?}"));
                let parallel = if ids.len() == 2 { &[r#""Bonn""#, "none"][..] } else { &[] };
                for word in words.iter().chain(parallel) {
                    assert_eq!(prompt.matches(word).count(), 1, "{name}, {end}: {word} in {prompt}");
                }
            }
        }
    }
}

#[test]
fn calls_beside_text_are_written_in_the_format_of_the_family() {
    let turns = |family: &str, ids: &[&str]| {
        let Family { template, .. } = FAMILIES.into_iter().find(|each| each.name == family).unwrap();
        let prompt = with_tools(&compile(template), &explained_calls(ids), &[weather()]).unwrap();
        let (_, turns) = prompt.split_once("Rain?").unwrap();
        turns.to_owned()
    };
    assert_eq!(
        turns(LLAMA31, &["a", "b"]),
        "<e><h>assistant</h>I look.<|python_tag|>{\"name\": \"weather\", \"parameters\": {\"city\": \"Ulm\"}}<e><h>ipython</h>heavy<e>\
         <h>assistant</h>{\"name\": \"weather\", \"parameters\": {\"city\": \"Bonn\"}}<e><h>ipython</h>none<e>\
         <h>assistant</h>Take a coat.<e><h>user</h>Thanks<e><h>assistant</h>"
    );
    assert_eq!(
        turns(DEEPSEEK_V3, &["a"]),
        "<Assistant>I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{\"city\": \"Ulm\"}\n```<｜tool▁call▁end｜>\
         <｜tool▁calls▁end｜></s><Tool>heavy<Assistant>Take a coat.</s><User>Thanks<Assistant>"
    );
    // The turn is counted now, so its result is too.
    let prompt = turns(MISTRAL_NEMO, &["a"]);
    assert!(
        prompt.starts_with(
            "[/INST]I look.[TOOL_CALLS] [{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}}]</s>"
        ),
        "{prompt}"
    );
    assert!(
        prompt.contains("[INST]<tool_response>\nheavy\n</tool_response>[/INST]Take a coat.</s>"),
        "{prompt}"
    );
}

#[test]
fn text_beside_a_call_that_an_answer_hides_is_a_message_of_its_own() {
    // As in gpt-oss' template, which takes it for reasoning.
    let template = "{% for tool in tools or [] %}{{ tool.function.name }};{% endfor %}{% for m in messages %}{% if 'tool_calls' in m %}\
        {% set later = namespace(answer=false) %}{% for next in messages[loop.index:] %}{% if next.role == 'assistant' and 'tool_calls' not in next %}\
        {% set later.answer = true %}{% endif %}{% endfor %}{% if m.content and not later.answer %}{{ '<|channel|>analysis<|message|>' + m.content + '<|end|>' }}{% endif %}\
        {{ '<|channel|>commentary to=functions.' + m.tool_calls[0].function.name + '<|message|>' + m.tool_calls[0].function.arguments | tojson + '<|call|>' }}\
        {% elif m.role == 'assistant' %}{{ '<|channel|>final<|message|>' + m.content + '<|end|>' }}\
        {% else %}{{ m.role + ':' + m.content + ';' }}{% endif %}{% endfor %}";
    assert_eq!(
        with_tools(&compile(template), &explained_calls(&["a"]), &[weather()]).unwrap(),
        "weather;user:Rain?;<|channel|>final<|message|>I look.<|end|><|channel|>commentary to=functions.weather<|message|>{\"city\": \"Ulm\"}<|call|>\
         tool:heavy;<|channel|>final<|message|>Take a coat.<|end|>user:Thanks;"
    );
}

/// Folder of templates as files of real models have them in `tokenizer.chat_template`, each in a file `*.jinja`. They are under
/// the licences of their models, and no part of this project.
const REAL_TEMPLATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/chat-templates");

#[test]
#[ignore = "needs templates of real models in target/chat-templates"]
fn real_templates_render_every_text() {
    let files = std::fs::read_dir(REAL_TEMPLATES).unwrap().map(|file| file.unwrap().path());
    let mut failures = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "jinja")) {
        let source = std::fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let abilities = match probe(Some(&source)) {
            Ok(abilities) => abilities,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        let template = ChatTemplate::compile(Some(&source), "<s>".into(), "</s>".into(), abilities).unwrap();
        let mut with_call = conversation();
        with_call[2].content = "heavy rain".into();
        with_call.push(message(Role::User, "Thanks"));
        let mut with_system = with_call.clone();
        with_system.insert(0, message(Role::System, "Be brief."));
        let pending = with_system[..4].to_vec();
        let system_texts = ["Rain in Ulm?", "weather", "heavy rain", "Be brief."];
        let (explained, parallel) = (explained_calls(&["call_1"]), explained_calls(&["call_1", "call_2"]));
        let explained_texts = ["Rain?", "I look.", "Ulm", "heavy", "Take a coat.", "Thanks", "Bonn", "none"];
        let question = vec![message(Role::User, "Rain in Ulm?")];
        let words = ["Rain in Ulm?", "weather", "Ulm", "heavy rain", "Thanks", "Be brief."];
        for (shape, messages, tools, words) in [
            ("question", question.clone(), vec![], &words[..1]),
            ("tools", question, vec![weather()], &words[..2]),
            ("call", with_call, vec![weather()], &words[..5]),
            ("system and call", with_system, vec![weather()], &words[..]),
            ("system and result", pending, vec![weather()], &system_texts[..]),
            ("text and call", explained.clone(), vec![weather()], &explained_texts[..6]),
            ("text, call and result", explained[..3].to_vec(), vec![weather()], &explained_texts[..4]),
            ("text and parallel calls", parallel, vec![weather()], &explained_texts[..]),
        ] {
            match with_tools(&template, &messages, &tools) {
                Ok(prompt) => failures.extend(
                    words
                        .iter()
                        .filter(|word| !prompt.contains(**word))
                        .map(|word| format!("{name}, {shape}: {word:?} isn't in {prompt:?}")),
                ),
                Err(error) => failures.push(format!("{name}, {shape}: {error:?}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn results_become_user_messages_without_a_tool_role() {
    let template = "{% for tool in tools or [] %}{{ tool.function.name }};{% endfor %}{% for m in messages %}\
        {% if m.tool_calls %}{{ m.role }}:{{ m.tool_calls[0].function.name }};\
        {% elif m.role in ['system', 'user', 'assistant'] %}{{ m.role }}:{{ m.content }};{% endif %}{% endfor %}";
    assert_eq!(
        with_tools(&compile(template), &conversation(), &[weather()]).unwrap(),
        "weather;user:Rain in Ulm?;assistant:weather;user:<tool_response>\nnone\n</tool_response>;"
    );
}

#[test]
fn template_that_omits_the_question_fails_the_probe() {
    for (template, reason) in [
        ("{{ bos_token }}", "omits the user's message"),
        ("", "omits the user's message"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "omits the user's message"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "more steps"),
        (
            "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s }}{% endfor %}",
            "far larger than its input",
        ),
        (
            "{% set s = 'a' * 1000000 %}{% set x %}{% for i in range(100000) %}{{ s }}{% endfor %}{% endset %}",
            "far larger than its input",
        ),
        ("{% for m in messages %}{{ m.content }", "can't be read"),
    ] {
        let error = probe(Some(template)).unwrap_err();
        assert!(error.contains(reason), "{template}: {error}");
    }
    // A template that refuses short conversations is accepted.
    let picky =
        "{% if messages|length < 3 %}{{ raise_exception('too short') }}{% endif %}{{ messages[0].content }}";
    assert_eq!(probe(Some(picky)), Ok(TemplateAbilities::default()));
}

#[test]
fn template_kwargs_are_passed_and_override_the_effort() {
    let template = compile(
        "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking is defined and not enable_thinking %}<no>{% endif %}{{ style }}",
    );
    assert!(template.abilities().thinking);
    let messages = [message(Role::User, "Hi")];
    let kwargs = json!({"enable_thinking": false, "style": "terse"}).as_object().cloned().unwrap();
    let rendering = Rendering { messages: &messages, kwargs: Some(&kwargs), ..Rendering::default() };
    assert_eq!(template.render(&rendering).unwrap(), "Hi<no>terse");
    // They override the variables of the reasoning effort.
    let effort = Some(ReasoningEffort::High);
    assert_eq!(template.render(&Rendering { effort, ..rendering }).unwrap(), "Hi<no>terse");
    assert_eq!(template.render(&Rendering { effort, kwargs: None, ..rendering }).unwrap(), "Hi");
}
