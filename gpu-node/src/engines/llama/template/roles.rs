//! Conversations that keep to the roles and turns that a template takes, without losing a word.

use std::mem;

use hearth_domain::{Message, Role};

use super::probe::Abilities;

/// What separates texts that become one message.
const BETWEEN: &str = "\n\n";

/// `messages` as a template with these abilities takes them. A system message that it has no place for goes in front
/// of the next message of the user; messages of one role in a row become one, where turns must alternate.
pub(super) fn fit(messages: Vec<Message>, abilities: &Abilities) -> Vec<Message> {
    let alone = messages.iter().all(|message| message.role == Role::System);
    let system = abilities.system && (abilities.system_alone || !alone);
    let messages = place_system_messages(messages, &Abilities { system, ..*abilities });
    let mut messages = if abilities.repeated_roles { messages } else { join_repeated_roles(messages) };
    let first = messages.iter().position(|message| message.role != Role::System);
    if let Some(first) = first.filter(|first| messages[*first].role == Role::Assistant)
        && !abilities.assistant_first
    {
        messages.insert(first, Message::new(Role::User, ""));
    }
    messages
}

/// Moves system messages that the template refuses or leaves out.
fn place_system_messages(messages: Vec<Message>, abilities: &Abilities) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    // What waits for the next message of the user.
    let mut waiting: Vec<String> = Vec::new();
    for mut message in messages {
        let begins = out.iter().all(|message| message.role == Role::System);
        match message.role {
            Role::System if begins && waiting.is_empty() && abilities.system => match out.last_mut() {
                Some(system) if !abilities.several_systems => append(&mut system.content, &message.content),
                _ => out.push(message),
            },
            Role::System if !begins && abilities.late_system => out.push(message),
            Role::System => waiting.push(message.content),
            Role::User => {
                waiting.push(mem::take(&mut message.content));
                message.content = joined(&mut waiting);
                out.push(message);
            }
            // Nothing may stand between a call and its result.
            Role::Tool => out.push(message),
            Role::Assistant => {
                if !waiting.is_empty() {
                    out.push(Message::new(Role::User, joined(&mut waiting)));
                }
                out.push(message);
            }
        }
    }
    if !waiting.is_empty() {
        out.push(Message::new(Role::User, joined(&mut waiting)));
    }
    out
}

/// Makes one message of those that follow each other in one role. Results of tools stay apart.
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

fn joined(texts: &mut Vec<String>) -> String {
    let texts = mem::take(texts);
    let said: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    said.join(BETWEEN)
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str(BETWEEN);
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict() -> Abilities {
        Abilities {
            system: false,
            system_alone: false,
            late_system: false,
            several_systems: false,
            repeated_roles: false,
            assistant_first: false,
            ..Abilities::default()
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
            format!("{role}:{}", message.content.replace(BETWEEN, "+"))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn conversation_fits_a_strict_template() {
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
            assert_eq!(shown(&fit(conversation(given), &strict())), fitted, "{given}");
        }
    }

    #[test]
    fn conversation_stays_as_it_is_where_the_template_takes_it() {
        for given in ["s:S u:A", "s:S s:T u:A u:B a:C s:D u:E", "a:A u:B"] {
            assert_eq!(fit(conversation(given), &Abilities::default()), conversation(given));
        }
        let never_alone = Abilities { system_alone: false, ..Abilities::default() };
        assert_eq!(shown(&fit(conversation("s:S s:T"), &never_alone)), "u:S+T");
        assert_eq!(shown(&fit(conversation("s:S u:A"), &never_alone)), "s:S u:A");
        let one_system = Abilities { several_systems: false, late_system: false, ..Abilities::default() };
        assert_eq!(shown(&fit(conversation("s:S s:T u:A s:V u:B"), &one_system)), "s:S+T u:A u:V+B");
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_roles_alternate(roles in proptest::collection::vec("[sua]", 1..12)) {
            let given: Vec<String> =
                roles.iter().enumerate().map(|(number, role)| format!("{role}:word{number}.")).collect();
            let fitted = fit(conversation(&given.join(" ")), &strict());
            let said = shown(&fitted);
            for number in 0..roles.len() {
                let word = format!("word{number}.");
                prop_assert_eq!(said.matches(&word).count(), 1, "{} in {}", word, said);
            }
            for (place, message) in fitted.iter().enumerate() {
                let user = place % 2 == 0;
                prop_assert_eq!(message.role, if user { Role::User } else { Role::Assistant }, "{}", said);
            }
        }
    }
}
