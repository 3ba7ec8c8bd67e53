//! A request to which rules are applied.

use std::borrow::Cow;

use hearth_domain::{ClientDialect, Field, Generation, TextTask};
use hearth_wire::{ApiError, field_name};

/// A request for text. Its task is copied when the first rule changes it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// The provider's name.
    pub(super) provider: &'a str,
    pub(super) generation: &'a Generation,
    task: Cow<'a, TextTask>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(provider: &'a str, generation: &'a Generation, task: &'a TextTask) -> Self {
        Self { provider, generation, task: Cow::Borrowed(task) }
    }

    /// The dialect of the client.
    pub(super) fn client(&self) -> ClientDialect {
        self.generation.extra.dialect
    }

    pub(super) fn task(&self) -> &TextTask {
        &self.task
    }

    /// The task, for changes.
    pub(super) fn edit(&mut self) -> &mut TextTask {
        self.task.to_mut()
    }

    /// Builds the error for a refused field. `problem` follows the field's name.
    pub(super) fn refuse(&self, field: Field, problem: &str, source: &str) -> ApiError {
        let param = field_name(self.client(), field);
        let message = format!("{param} {problem} (a rule of the provider {})", self.provider);
        ApiError::invalid(param, message).with("provider", self.provider).with("rule", source)
    }

    pub(super) fn into_task(self) -> Cow<'a, TextTask> {
        self.task
    }
}
