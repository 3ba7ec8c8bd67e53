//! Probes a template: renders short conversations when the model is loaded, and checks which parts appear in the
//! prompt.

use std::iter;

use hearth_domain::{Message, Role, Tool, ToolCall};
use minijinja::Error;
use serde_json::json;

use super::{
    abilities::TemplateAbilities,
    bounds,
    chat_template::{ChatTemplate, Rendering, reason},
    fallback_tool_prompt,
    message_format::MessageFormat,
};

/// Words that occur in no template, so that they are recognized in a prompt. Letters alone, since some templates
/// change or cut other characters around them.
const PROBE_WORDS: [&str; 4] = ["Qvorazel", "Nimbuktor", "Plexifar", "Drumozink"];
const PROBE_TOOL: &str = "vexalotron";

/// Finds out which conversations the template in `source` renders. The template isn't trusted: the caller bounds
/// memory and time.
///
/// # Errors
/// If it can't be compiled, exceeds the bounds of a short conversation, or omits the user's message.
pub(in crate::engines::llama) fn probe(source: Option<&str>) -> Result<TemplateAbilities, String> {
    let (bos, eos) = ("<s>".to_owned(), "</s>".to_owned());
    let mut template = ChatTemplate::compile(source, bos, eos, TemplateAbilities::default())?;
    template.environment.set_fuel(Some(bounds::PROBE_MAX_STEPS));
    find_abilities(&template)
}

fn find_abilities(template: &ChatTemplate) -> Result<TemplateAbilities, String> {
    use Role::{Assistant, System, User};
    let try_roles = |abilities: &TemplateAbilities, roles: &[Role]| {
        let messages: Vec<Message> =
            roles.iter().zip(PROBE_WORDS).map(|(role, word)| Message::new(*role, word)).collect();
        shows(template, abilities, &messages, &[], &PROBE_WORDS[..roles.len()])
    };
    let text = TemplateAbilities::default();
    let parts = TemplateAbilities { parts: true, ..text };
    let abilities = match (try_roles(&text, &[User]), try_roles(&parts, &[User])) {
        (Err(error), _) | (_, Err(error)) if bounds::is_exceeded(&error) => {
            return Err(format!("its chat template can't be used: {}", reason(&error)));
        }
        (Ok(true), _) => text,
        (_, Ok(true)) => parts,
        (Ok(false), _) | (_, Ok(false)) => {
            return Err("its chat template omits the user's message".to_owned());
        }
        // A template that refuses this may accept other conversations; its own refusals are shown then.
        (Err(_), Err(_)) => return Ok(text),
    };
    let accepts = |roles: &[Role]| try_roles(&abilities, roles).unwrap_or(false);
    let (system, several_systems) = (accepts(&[System, User]), accepts(&[System, System, User]));
    let system_alone = accepts(&[System]);
    let answered_system = try_roles(&abilities, &[System, User, Assistant]).unwrap_or(true);
    let late_system = accepts(&[User, Assistant, System, User]);
    let repeated_roles = accepts(&[User, User]) && accepts(&[User, Assistant, Assistant, User]);
    let assistant_first = accepts(&[Assistant, User]);
    let abilities = TemplateAbilities {
        system,
        system_alone,
        answered_system,
        several_systems,
        late_system,
        repeated_roles,
        assistant_first,
        ..abilities
    };
    let thinking = toggles_thinking(template, &abilities);
    Ok(probe_tools(template, TemplateAbilities { thinking, ..abilities }))
}

/// Probes the template with tools. Whether it shows them is read from its source; here it may still refuse them.
fn probe_tools(template: &ChatTemplate, abilities: TemplateAbilities) -> TemplateAbilities {
    if !template.traits.shows_tools {
        return abilities;
    }
    let [question, text, argument, result] = PROBE_WORDS;
    let user = Message::new(Role::User, question);
    let tool = [tool()];
    let shows = |messages: &[Message], words: &[&str]| shows(template, &abilities, messages, &tool, words);
    let tools = shows(std::slice::from_ref(&user), &[question]).is_ok();
    let one_call = [user.clone(), turn("", &[argument]), tool_result(0, result)];
    let tool_results = shows(&one_call, &[result]).unwrap_or(false);
    let system = Message::new(Role::System, text);
    let with_system: Vec<Message> = iter::once(system).chain(one_call).collect();
    let answered_system = abilities.answered_system && shows(&with_system, &[text]).unwrap_or(true);
    let shows_calls = |messages: Vec<Message>, words: &[&str]| {
        let messages = match tool_results {
            true => messages,
            false => fallback_tool_prompt::results_as_text(messages),
        };
        !template.traits.shows_calls || shows(&messages, words).unwrap_or(false)
    };
    let two_calls =
        [user.clone(), turn("", &[text, argument]), tool_result(0, result), tool_result(1, result)];
    let parallel_calls = shows_calls(two_calls.to_vec(), &[text, argument]);
    // The conversation goes on: gpt-oss's template omits the text once a final answer follows.
    let answer = Message::new(Role::Assistant, question);
    let text_and_call = [user.clone(), turn(text, &[argument]), tool_result(0, result), answer, user];
    let text_with_calls = shows_calls(text_and_call.to_vec(), &[text, argument]);
    TemplateAbilities { answered_system, tools, tool_results, parallel_calls, text_with_calls, ..abilities }
}

/// A turn of the assistant with a call for each of `arguments`.
fn turn(text: &str, arguments: &[&str]) -> Message {
    let call = |(index, argument): (usize, &&str)| ToolCall {
        id: call_id(index),
        name: PROBE_TOOL.into(),
        arguments: json!({"x": argument}).to_string(),
    };
    let tool_calls = arguments.iter().enumerate().map(call).collect();
    Message { tool_calls, ..Message::new(Role::Assistant, text) }
}

fn tool_result(index: usize, text: &str) -> Message {
    let tool_call_id = Some(call_id(index));
    Message { tool_call_id, name: Some(PROBE_TOOL.into()), ..Message::new(Role::Tool, text) }
}

/// The id of a call: nine characters, as Mistral's templates require.
fn call_id(index: usize) -> String {
    format!("call{index:05}")
}

fn tool() -> Tool {
    let parameters = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    Tool { name: PROBE_TOOL.into(), description: Some("Does nothing".into()), parameters, strict: false }
}

/// Returns whether the prompt of `messages` contains all `words`.
///
/// # Errors
/// If the template refuses them.
fn shows(
    template: &ChatTemplate,
    abilities: &TemplateAbilities,
    messages: &[Message],
    tools: &[Tool],
    words: &[&str],
) -> Result<bool, Error> {
    let rendering = Rendering { messages, tools, ..Rendering::default() };
    let formats = template.traits.message_formats(messages, abilities);
    let mut prompts = formats.map(|format| template.render_as(&rendering, messages, format));
    let first = prompts.next().unwrap_or_else(|| Ok(String::new()));
    let prompt = first.or_else(|error| prompts.find_map(Result::ok).ok_or(error))?;
    Ok(words.iter().all(|word| prompt.contains(word)))
}

/// Returns whether the prompt depends on `enable_thinking` or `thinking`.
fn toggles_thinking(template: &ChatTemplate, abilities: &TemplateAbilities) -> bool {
    let messages = [Message::new(Role::User, PROBE_WORDS[0])];
    let prompt = |enabled: bool| {
        let mut kwargs = serde_json::Map::new();
        kwargs.extend(["enable_thinking", "thinking"].map(|name| (name.to_owned(), enabled.into())));
        let rendering = Rendering { messages: &messages, kwargs: Some(&kwargs), ..Rendering::default() };
        template.render_as(&rendering, &messages, MessageFormat::new(abilities, true, false)).ok()
    };
    prompt(true) != prompt(false)
}
