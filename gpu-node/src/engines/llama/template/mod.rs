//! The model's own chat template, rendered by minijinja.
//!
//! Templates are written for Python's Jinja as Hugging Face configures it ([`python`]). They differ in the roles and
//! turns that they accept ([`probe`], [`roles`]) and in the messages that they expect in a conversation with tools
//! ([`conversation`], [`message_format`]); some have no tools at all ([`fallback_tool_prompt`]). A template comes
//! with the model's file and isn't trusted, so its output and its steps are bounded ([`bounds`]).
//!
//! A model has one template, `tokenizer.chat_template` of its file: it isn't chosen by the model's name, further templates
//! such as `tokenizer.chat_template.tool_use` aren't read, and no setting replaces it. A file without one gets ChatML.

mod abilities;
mod bounds;
mod chat_template;
mod conversation;
mod fallback_tool_prompt;
mod message_format;
mod probe;
mod python;
mod roles;

pub(super) use abilities::TemplateAbilities;
pub(super) use chat_template::{ChatTemplate, Rendering};
pub(super) use probe::probe;

#[cfg(test)]
mod tests;
