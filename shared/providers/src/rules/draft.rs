//! A request while rules are applied to it.

use std::borrow::Cow;

use hearth_domain::{ClientDialect, Field, Generation, TextTask};
use hearth_wire::{ApiError, field_name};

/// A request for text. Its task is copied once a rule changes it.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// What the operator calls the provider.
    pub(super) provider: &'a str,
    pub(super) generation: &'a Generation,
    task: Cow<'a, TextTask>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(provider: &'a str, generation: &'a Generation, task: &'a TextTask) -> Self {
        Self { provider, generation, task: Cow::Borrowed(task) }
    }

    /// The dialect that the client speaks.
    pub(super) fn client(&self) -> ClientDialect {
        self.generation.extra.dialect
    }

    pub(super) fn task(&self) -> &TextTask {
        &self.task
    }

    /// The task, to change.
    pub(super) fn edit(&mut self) -> &mut TextTask {
        self.task.to_mut()
    }

    /// The error for a field that the provider does not take. `problem` goes behind the field's name.
    pub(super) fn refuse(&self, field: Field, problem: &str, source: &str) -> ApiError {
        let param = field_name(self.client(), field);
        let message = format!("{param} {problem} (a rule of the provider {})", self.provider);
        ApiError::invalid(param, message).with("provider", self.provider).with("rule", source)
    }

    pub(super) fn into_task(self) -> Cow<'a, TextTask> {
        self.task
    }
}
