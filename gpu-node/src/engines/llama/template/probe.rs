//! What a template takes, found by trying: short conversations are rendered when the model is loaded, and what is
//! missing from the prompt the template has no place for.

use hearth_domain::{Message, Role, Tool, ToolCall};
use minijinja::Error;
use serde_json::json;

use super::{ChatTemplate, Rendering, bounds, conversation::Shape};

/// What a template takes. The default is everything: then its own refusals are what a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engines::llama) struct Abilities {
    /// Content is a list of parts, and a text is left out.
    pub(in crate::engines::llama) parts: bool,
    /// A system message at the beginning.
    pub(in crate::engines::llama) system: bool,
    /// A system message without anything after it.
    pub(in crate::engines::llama) system_alone: bool,
    /// More than one there.
    pub(in crate::engines::llama) several_systems: bool,
    /// A system message after the first turn.
    pub(in crate::engines::llama) late_system: bool,
    /// Messages of one role in a row.
    pub(in crate::engines::llama) repeated_roles: bool,
    /// A conversation that the assistant begins.
    pub(in crate::engines::llama) assistant_first: bool,
    /// Tools on offer.
    pub(in crate::engines::llama) tools: bool,
    /// Results of tools, in their own role.
    pub(in crate::engines::llama) tool_results: bool,
    /// `enable_thinking` and its kin change the prompt.
    pub(in crate::engines::llama) thinking: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            parts: false,
            system: true,
            system_alone: true,
            several_systems: true,
            late_system: true,
            repeated_roles: true,
            assistant_first: true,
            tools: true,
            tool_results: true,
            thinking: false,
        }
    }
}

impl Abilities {
    /// The least that any template takes: a user and an assistant in turn.
    pub(super) fn strict(self) -> Self {
        Self {
            system: false,
            system_alone: false,
            several_systems: false,
            late_system: false,
            repeated_roles: false,
            assistant_first: false,
            ..self
        }
    }
}

/// Words that no template has, so that they are found again in a prompt; letters alone, as some templates change
/// or cut what is around them.
const WORDS: [&str; 4] = ["Qvorazel", "Nimbuktor", "Plexifar", "Drumozink"];
const TOOL: &str = "vexalotron";

/// Tries `template`.
///
/// # Errors
/// If it takes far more than a short conversation needs, or leaves out what the user says.
pub(super) fn probe(template: &ChatTemplate) -> Result<Abilities, String> {
    use Role::{Assistant, System, User};
    let try_roles = |abilities: &Abilities, roles: &[Role]| {
        let messages: Vec<Message> =
            roles.iter().zip(WORDS).map(|(role, word)| Message::new(*role, word)).collect();
        shows(template, abilities, &messages, &[], &WORDS[..roles.len()])
    };
    let text = Abilities::default();
    let parts = Abilities { parts: true, ..text };
    let abilities = match (try_roles(&text, &[User]), try_roles(&parts, &[User])) {
        (Err(error), _) | (_, Err(error)) if bounds::exceeded(&error) => {
            return Err(format!("its chat template can't be used: {}", super::reason(&error)));
        }
        (Ok(true), _) => text,
        (_, Ok(true)) => parts,
        (Ok(false), _) | (_, Ok(false)) => {
            return Err("its chat template leaves out what the user says".to_owned());
        }
        // A template that refuses this may take other conversations: it is left to say so itself.
        (Err(_), Err(_)) => return Ok(text),
    };
    let takes = |roles: &[Role]| try_roles(&abilities, roles).unwrap_or(false);
    let (system, several_systems) = (takes(&[System, User]), takes(&[System, System, User]));
    let system_alone = takes(&[System]);
    let late_system = takes(&[User, Assistant, System, User]);
    let repeated_roles = takes(&[User, User]) && takes(&[User, Assistant, Assistant, User]);
    let assistant_first = takes(&[Assistant, User]);
    let found = Abilities {
        system,
        system_alone,
        several_systems,
        late_system,
        repeated_roles,
        assistant_first,
        ..abilities
    };
    Ok(with_tools(template, Abilities { thinking: toggles_thinking(template, &found), ..found }))
}

/// What it does with tools. What it shows of them is known from its text; here it may refuse them all the same.
fn with_tools(template: &ChatTemplate, abilities: Abilities) -> Abilities {
    if !template.habits.knows_tools() {
        return abilities;
    }
    let call = ToolCall { id: "call00001".into(), name: TOOL.into(), arguments: "{}".into() };
    let user = Message::new(Role::User, WORDS[0]);
    let calls = Message { tool_calls: vec![call], ..Message::new(Role::Assistant, "") };
    let id = Some("call00001".to_owned());
    let result = Message { tool_call_id: id, name: Some(TOOL.into()), ..Message::new(Role::Tool, WORDS[1]) };
    let (offered, called) = ([user.clone()], [user, calls, result]);
    let tool = [tool()];
    let tools = shows(template, &abilities, &offered, &tool, &WORDS[..1]).is_ok();
    let tool_results = shows(template, &abilities, &called, &tool, &WORDS[1..2]).unwrap_or(false);
    Abilities { tools, tool_results, ..abilities }
}

fn tool() -> Tool {
    let parameters = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    Tool { name: TOOL.into(), description: Some("Does nothing".into()), parameters, strict: false }
}

/// Whether the prompt for `messages` has all `words`.
///
/// # Errors
/// If the template refuses them.
fn shows(
    template: &ChatTemplate,
    abilities: &Abilities,
    messages: &[Message],
    tools: &[Tool],
    words: &[&str],
) -> Result<bool, Error> {
    let rendering = Rendering { messages, tools, ..Rendering::default() };
    let render =
        |map_arguments| template.render_as(&rendering, messages, Shape::of(abilities, map_arguments, false));
    let prompt = render(true).or_else(|error| render(false).map_err(|_| error))?;
    Ok(words.iter().all(|word| prompt.contains(word)))
}

/// Whether the prompt depends on what is said of thinking.
fn toggles_thinking(template: &ChatTemplate, abilities: &Abilities) -> bool {
    let messages = [Message::new(Role::User, WORDS[0])];
    let prompt = |thinks: bool| {
        let mut kwargs = serde_json::Map::new();
        kwargs.extend(["enable_thinking", "thinking"].map(|name| (name.to_owned(), thinks.into())));
        let rendering = Rendering { messages: &messages, kwargs: Some(&kwargs), ..Rendering::default() };
        template.render_as(&rendering, &messages, Shape::of(abilities, true, false)).ok()
    };
    prompt(true) != prompt(false)
}
