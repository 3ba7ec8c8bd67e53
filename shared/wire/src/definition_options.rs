//! The options `schema_id`, `template_id` and `variables` of a request.

use hearth_domain::{DefinitionKind, DefinitionOptions, DefinitionReference, InvalidTask, Task, TextTask};
use serde_json::{Map, Value};

use crate::{ApiError, run_options::RunOptions};

impl RunOptions {
    /// Returns whether the request has a template, so that it needs no messages of its own.
    pub(crate) fn has_template(&self) -> bool {
        self.template_id.is_some()
    }

    /// Checks a task, which may have no messages if the request has a template.
    pub(crate) fn check_text(&self, task: &TextTask) -> Result<(), InvalidTask> {
        if self.has_template() { task.check_with_template() } else { task.check() }
    }

    /// Takes the schema and the template of the request, which the gateway applies to `task`.
    ///
    /// # Errors
    /// `invalid_request`, naming the option, for a malformed reference, variables without a template, and a task that isn't a text.
    pub(crate) fn take_definitions(
        &mut self,
        task: &Task,
    ) -> Result<Option<Box<DefinitionOptions>>, ApiError> {
        let (schema, template) = (self.schema_id.take(), self.template_id.take());
        let variables = self.variables.take();
        if variables.is_some() && template.is_none() {
            let message = "variables go with template_id: leave them out, or name a template";
            return Err(ApiError::invalid("variables", message));
        }
        for (kind, reference) in [(DefinitionKind::Schema, &schema), (DefinitionKind::Template, &template)] {
            let Some(reference) = reference else { continue };
            let param = kind.field();
            if !matches!(task, Task::Text(_)) {
                let message =
                    format!("{param} is for answers in text: images, meshes and vectors have no use for it");
                return Err(ApiError::invalid(param, message));
            }
            DefinitionReference::parse(kind, reference)
                .map_err(|problem| ApiError::invalid(param, format!("{param} {problem}")))?;
        }
        if schema.is_none() && template.is_none() {
            return Ok(None);
        }
        let variables: Map<String, Value> = variables.unwrap_or_default();
        Ok(Some(Box::new(DefinitionOptions { schema, template, variables })))
    }
}

#[cfg(test)]
mod tests {
    use hearth_domain::{EmbeddingTask, Message, Role, Sampling};
    use serde_json::json;

    use super::*;

    fn take(json: Value, task: &Task) -> Result<Option<Box<DefinitionOptions>>, ApiError> {
        serde_json::from_value::<RunOptions>(json).unwrap().take_definitions(task)
    }

    #[test]
    fn references_and_variables_are_taken_and_checked() {
        let text = Task::Text(TextTask::new(vec![Message::new(Role::User, "Hi")], Sampling::default()));
        assert_eq!(take(json!({}), &text).unwrap(), None);
        let options = json!({"schemaId": "invoice@1.2.0", "templateId": "x", "variables": {"a": 1}});
        let taken = take(options, &text).unwrap().unwrap();
        assert_eq!((taken.schema.as_deref(), taken.template.as_deref()), (Some("invoice@1.2.0"), Some("x")));
        assert_eq!(taken.variables["a"], 1);
        let refused = |options, task: &Task| take(options, task).unwrap_err().param.unwrap();
        assert_eq!(refused(json!({"variables": {}}), &text), "variables");
        assert_eq!(refused(json!({"schema_id": "Not a name"}), &text), "schema_id");
        assert_eq!(refused(json!({"template_id": "x@"}), &text), "template_id");
        let vectors = Task::Embedding(EmbeddingTask { inputs: Vec::new(), dimensions: None });
        assert_eq!(refused(json!({"schema_id": "x"}), &vectors), "schema_id");
    }
}
