//! Converts conversations to the forms that templates accept.
//!
//! All templates take messages in the OpenAI API's format, but each was written for one kind of client. Some
//! differences show in a template's source; the others are found by trial.

use std::{collections::HashMap, iter, mem};

use hearth_domain::{Message, Role, Tool};

use super::{abilities::TemplateAbilities, fallback_tool_prompt, message_format::MessageFormat, roles};
use crate::engines::llama::{
    reasoning,
    tools::{ToolFormat, uses_tools_variable},
};

/// Properties of a template that show in its source.
#[derive(Debug)]
pub(super) struct TemplateTraits {
    pub(super) format: ToolFormat,
    /// True if it shows the tools on offer.
    pub(super) shows_tools: bool,
    /// True if it writes earlier tool calls.
    pub(super) shows_calls: bool,
    /// True if it handles a turn without content, which only calls tools.
    handles_no_content: bool,
    pub(super) has_reasoning_tags: bool,
}

impl TemplateTraits {
    pub(super) fn read(source: Option<&str>) -> Self {
        let source_text = source.unwrap_or_default();
        let none_tests =
            ["content is none", "content is not none", "content'] is none", "content'] is not none"];
        Self {
            format: ToolFormat::detect(source),
            shows_tools: uses_tools_variable(source_text),
            shows_calls: source_text.contains("tool_calls"),
            handles_no_content: none_tests.iter().any(|test| source_text.contains(test)),
            has_reasoning_tags: reasoning::has_reasoning_tags(source_text),
        }
    }

    /// The forms of a conversation to try, in order: the one that fits the template, then stricter ones. A template may
    /// refuse a conversation though it accepted a similar one in the probe.
    pub(super) fn conversations(
        &self,
        messages: &[Message],
        tools: &[Tool],
        abilities: &TemplateAbilities,
    ) -> Vec<Vec<Message>> {
        let converted = match self.shows_tools && abilities.tools {
            true => self.with_tools(messages, abilities),
            false => fallback_tool_prompt::conversation(messages, tools),
        };
        let strict = abilities.strict();
        let fit = |messages: Vec<Message>, fitted: &TemplateAbilities| {
            // Messages that were joined have text and calls too.
            let messages = roles::fit_roles(messages, fitted);
            if abilities.text_with_calls { messages } else { self.separate_text_and_calls(messages) }
        };
        let mut forms = vec![fit(converted.clone(), abilities), fit(converted, &strict)];
        if self.shows_tools && abilities.tools {
            // Templates that don't count turns with calls require alternating turns without them, and results.
            if !abilities.text_with_calls {
                forms.push(fit(self.with_calls_as_text(messages), &strict));
            }
            forms.push(fit(fallback_tool_prompt::conversation(messages, tools), &strict));
        }
        forms.dedup();
        forms
    }

    /// The conversation for a template that shows tools.
    fn with_tools(&self, messages: &[Message], abilities: &TemplateAbilities) -> Vec<Message> {
        let mut messages = with_tool_names(messages);
        if !self.shows_calls {
            messages.iter_mut().for_each(|message| self.write_calls_into_text(message));
        }
        if self.format.has_single_call_turns() || !abilities.parallel_calls {
            messages = split_parallel_calls(messages);
        }
        if matches!(self.format, ToolFormat::MistralList | ToolFormat::MistralArgs) {
            messages.iter_mut().for_each(shorten_ids);
        }
        if abilities.tool_results { messages } else { fallback_tool_prompt::results_as_text(messages) }
    }

    /// Changes the turns with text and calls, of which the template would omit one: the calls become a part of the text, in
    /// the model's format. In Harmony each is a message of its own.
    fn separate_text_and_calls(&self, messages: Vec<Message>) -> Vec<Message> {
        let mut out: Vec<Message> = Vec::with_capacity(messages.len());
        for mut message in messages {
            let has_both = !message.tool_calls.is_empty() && !message.content.trim().is_empty();
            match has_both {
                true if self.format == ToolFormat::Harmony => {
                    out.push(Message::new(message.role, mem::take(&mut message.content)));
                }
                true => self.write_calls_into_text(&mut message),
                false => {}
            }
            out.push(message);
        }
        out
    }

    /// The conversation with all calls as a part of the text, in the model's format, and their results as messages of the user.
    fn with_calls_as_text(&self, messages: &[Message]) -> Vec<Message> {
        let mut messages = messages.to_vec();
        messages.iter_mut().for_each(|message| self.write_calls_into_text(message));
        fallback_tool_prompt::results_as_text(messages)
    }

    fn write_calls_into_text(&self, message: &mut Message) {
        self.format.append_calls(&mut message.content, &mem::take(&mut message.tool_calls));
    }

    /// The message formats to try, in order.
    pub(super) fn message_formats(
        &self,
        messages: &[Message],
        abilities: &TemplateAbilities,
    ) -> impl Iterator<Item = MessageFormat> {
        let first = MessageFormat::new(abilities, true, self.handles_no_content);
        let has_calls = messages.iter().any(|message| !message.tool_calls.is_empty());
        let others = [(false, first.none_content), (true, false), (false, false)]
            .map(|(map_arguments, none_content)| MessageFormat { map_arguments, none_content, ..first });
        let count = match (has_calls, self.handles_no_content) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 3,
        };
        iter::once(first).chain(others.into_iter().take(count))
    }
}

/// Adds the tool's name to each tool result.
fn with_tool_names(messages: &[Message]) -> Vec<Message> {
    let mut messages = messages.to_vec();
    let mut names: HashMap<String, String> = HashMap::new();
    for message in &mut messages {
        names.extend(message.tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
        if message.role == Role::Tool && message.name.is_none() {
            message.name = message.tool_call_id.as_ref().and_then(|id| names.get(id).cloned());
        }
    }
    messages
}

/// Splits each turn with several calls into turns of one call, each followed by its result.
fn split_parallel_calls(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut messages = messages.into_iter().peekable();
    while let Some(turn) = messages.next() {
        if turn.tool_calls.len() < 2 {
            out.push(turn);
            continue;
        }
        let mut results: Vec<Message> =
            iter::from_fn(|| messages.next_if(|message| message.role == Role::Tool)).collect();
        for (number, call) in turn.tool_calls.iter().enumerate() {
            let content = if number == 0 { turn.content.clone() } else { String::new() };
            out.push(Message { content, tool_calls: vec![call.clone()], ..turn.clone() });
            let is_result = |message: &Message| message.tool_call_id.as_ref() == Some(&call.id);
            let (own, others): (Vec<_>, Vec<_>) = results.into_iter().partition(is_result);
            out.extend(own);
            results = others;
        }
        out.extend(results);
    }
    out
}

/// Shortens ids to nine letters and digits; Mistral's templates refuse others.
fn shorten_ids(message: &mut Message) {
    let ids = message.tool_calls.iter_mut().map(|call| &mut call.id).chain(&mut message.tool_call_id);
    for id in ids {
        let letters: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
        *id = format!("{:0>9}", letters[letters.len().saturating_sub(9)..].iter().collect::<String>());
    }
}
