//! Changes a conversation's roles and turns to those that a template accepts, without losing text.

use std::mem;

use hearth_domain::{Message, Role};

use super::abilities::TemplateAbilities;

/// Separates texts that are joined to one message.
const SEPARATOR: &str = "\n\n";

/// Converts `messages` for a template with these abilities. A system message that the template doesn't accept is
/// joined with the user's next message; consecutive messages of one role are joined if turns must alternate.
pub(super) fn fit_roles(messages: Vec<Message>, abilities: &TemplateAbilities) -> Vec<Message> {
    let only_system = messages.iter().all(|message| message.role == Role::System);
    let is_answered =
        messages.last().is_some_and(|message| matches!(message.role, Role::Assistant | Role::Tool));
    let system = abilities.system
        && (abilities.system_alone || !only_system)
        && (abilities.answered_system || !is_answered);
    let messages = place_system_messages(messages, &TemplateAbilities { system, ..*abilities });
    let mut messages = if abilities.repeated_roles { messages } else { join_repeated_roles(messages) };
    let first = messages.iter().position(|message| message.role != Role::System);
    if let Some(first) = first.filter(|first| messages[*first].role == Role::Assistant)
        && !abilities.assistant_first
    {
        messages.insert(first, Message::new(Role::User, ""));
    }
    messages
}

/// Moves system messages that the template refuses or omits.
fn place_system_messages(messages: Vec<Message>, abilities: &TemplateAbilities) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    // Texts for the user's next message.
    let mut waiting: Vec<String> = Vec::new();
    for mut message in messages {
        let at_start = out.iter().all(|message| message.role == Role::System);
        match message.role {
            Role::System if at_start && waiting.is_empty() && abilities.system => match out.last_mut() {
                Some(system) if !abilities.several_systems => append(&mut system.content, &message.content),
                _ => out.push(message),
            },
            Role::System if !at_start && abilities.late_system => out.push(message),
            Role::System => waiting.push(message.content),
            Role::User => {
                waiting.push(mem::take(&mut message.content));
                message.content = take_joined(&mut waiting);
                out.push(message);
            }
            // Nothing may stand between a call and its result.
            Role::Tool => out.push(message),
            Role::Assistant => {
                if !waiting.is_empty() {
                    out.push(Message::new(Role::User, take_joined(&mut waiting)));
                }
                out.push(message);
            }
        }
    }
    if !waiting.is_empty() {
        out.push(Message::new(Role::User, take_joined(&mut waiting)));
    }
    out
}

/// Joins consecutive messages of one role. Tool results stay separate.
fn join_repeated_roles(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match out.last_mut() {
            Some(last) if last.role == message.role && message.role != Role::Tool => {
                append(&mut last.content, &message.content);
                last.tool_calls.extend(message.tool_calls);
                last.reasoning.extend(message.reasoning);
            }
            _ => out.push(message),
        }
    }
    out
}

fn take_joined(texts: &mut Vec<String>) -> String {
    let texts = mem::take(texts);
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    texts.join(SEPARATOR)
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str(SEPARATOR);
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict() -> TemplateAbilities {
        TemplateAbilities {
            system: false,
            system_alone: false,
            answered_system: false,
            late_system: false,
            several_systems: false,
            repeated_roles: false,
            assistant_first: false,
            ..TemplateAbilities::default()
        }
    }

    fn conversation(text: &str) -> Vec<Message> {
        let message = |part: &str| {
            let (role, content) = part.split_once(':').unwrap();
            let role = match role {
                "s" => Role::System,
                "u" => Role::User,
                "a" => Role::Assistant,
                _ => Role::Tool,
            };
            Message::new(role, content)
        };
        text.split_whitespace().map(message).collect()
    }

    fn shown(messages: &[Message]) -> String {
        let shown = messages.iter().map(|message| {
            let role = &message.role.as_str()[..1];
            format!("{role}:{}", message.content.replace(SEPARATOR, "+"))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn strict_template_gets_alternating_turns() {
        for (given, fitted) in [
            ("s:S u:A", "u:S+A"),
            ("s:S s:T u:A a:B", "u:S+T+A a:B"),
            ("u:A u:B a:C a:D u:E", "u:A+B a:C+D u:E"),
            ("u:A a:B s:S u:C", "u:A a:B u:S+C"),
            ("u:A a:B s:S", "u:A a:B u:S"),
            ("u:A s:S a:B u:C", "u:A+S a:B u:C"),
            ("u:A a:B s:S t:C u:D", "u:A a:B t:C u:S+D"),
            ("s:S", "u:S"),
            ("a:A u:B", "u: a:A u:B"),
            ("s:S a:A u:B", "u:S a:A u:B"),
            ("u:A a:B t:C t:D u:E", "u:A a:B t:C t:D u:E"),
        ] {
            assert_eq!(shown(&fit_roles(conversation(given), &strict())), fitted, "{given}");
        }
    }

    #[test]
    fn accepted_conversation_is_unchanged() {
        for given in ["s:S u:A", "s:S s:T u:A u:B a:C s:D u:E", "a:A u:B"] {
            assert_eq!(fit_roles(conversation(given), &TemplateAbilities::default()), conversation(given));
        }
        let never_alone = TemplateAbilities { system_alone: false, ..TemplateAbilities::default() };
        assert_eq!(shown(&fit_roles(conversation("s:S s:T"), &never_alone)), "u:S+T");
        assert_eq!(shown(&fit_roles(conversation("s:S u:A"), &never_alone)), "s:S u:A");
        let questions_only = TemplateAbilities { answered_system: false, ..TemplateAbilities::default() };
        for (given, fitted) in
            [("s:S u:A", "s:S u:A"), ("s:S u:A a:B", "u:S+A a:B"), ("s:S u:A a:B t:C", "u:S+A a:B t:C")]
        {
            assert_eq!(shown(&fit_roles(conversation(given), &questions_only)), fitted, "{given}");
        }
        let one_system =
            TemplateAbilities { several_systems: false, late_system: false, ..TemplateAbilities::default() };
        assert_eq!(shown(&fit_roles(conversation("s:S s:T u:A s:V u:B"), &one_system)), "s:S+T u:A u:V+B");
    }

    proptest! {
        #[test]
        fn all_text_is_preserved_and_roles_alternate(roles in proptest::collection::vec("[sua]", 1..12)) {
            let given: Vec<String> =
                roles.iter().enumerate().map(|(number, role)| format!("{role}:word{number}.")).collect();
            let fitted = fit_roles(conversation(&given.join(" ")), &strict());
            let joined = shown(&fitted);
            for number in 0..roles.len() {
                let word = format!("word{number}.");
                prop_assert_eq!(joined.matches(&word).count(), 1, "{} in {}", word, joined);
            }
            for (place, message) in fitted.iter().enumerate() {
                let user = place % 2 == 0;
                prop_assert_eq!(message.role, if user { Role::User } else { Role::Assistant }, "{}", joined);
            }
        }
    }
}
