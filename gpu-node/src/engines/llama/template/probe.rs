//! Probes a template: renders short conversations when the model is loaded, and checks which parts appear in the
//! prompt.

use hearth_domain::{Message, Role, Tool, ToolCall};
use minijinja::Error;
use serde_json::json;

use super::{
    abilities::TemplateAbilities,
    bounds,
    chat_template::{ChatTemplate, Rendering, reason},
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
    let late_system = accepts(&[User, Assistant, System, User]);
    let repeated_roles = accepts(&[User, User]) && accepts(&[User, Assistant, Assistant, User]);
    let assistant_first = accepts(&[Assistant, User]);
    let abilities = TemplateAbilities {
        system,
        system_alone,
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
    let call = ToolCall { id: "call00001".into(), name: PROBE_TOOL.into(), arguments: "{}".into() };
    let user = Message::new(Role::User, PROBE_WORDS[0]);
    let calls = Message { tool_calls: vec![call], ..Message::new(Role::Assistant, "") };
    let id = Some("call00001".to_owned());
    let result = Message {
        tool_call_id: id,
        name: Some(PROBE_TOOL.into()),
        ..Message::new(Role::Tool, PROBE_WORDS[1])
    };
    let (question, conversation) = ([user.clone()], [user, calls, result]);
    let tool = [tool()];
    let tools = shows(template, &abilities, &question, &tool, &PROBE_WORDS[..1]).is_ok();
    let tool_results = shows(template, &abilities, &conversation, &tool, &PROBE_WORDS[1..2]).unwrap_or(false);
    TemplateAbilities { tools, tool_results, ..abilities }
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
    let render = |map_arguments| {
        template.render_as(&rendering, messages, MessageFormat::new(abilities, map_arguments, false))
    };
    let prompt = render(true).or_else(|error| render(false).map_err(|_| error))?;
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
