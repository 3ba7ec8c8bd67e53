//! Applies the schema and the template of a request to its task.

use hearth_domain::{
    AppliedDefinitions, DefinitionOptions, Generation, Message, ModelId, ResponseFormat, Role, Sampling,
    SchemaLabel, Task, TextTask,
};
use hearth_wire::{ApiError, ErrorCode};

use super::{Definitions, RenderedTemplate, ResolvedSchema};
use crate::{access::Caller, settings::AUTO};

/// Use of the messages of a rendered template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenderedUse {
    /// They come before the message with this number; none for the first one that is no system message.
    Messages(Option<usize>),
    /// Only the system messages: the others are in the session already.
    System,
}

impl Definitions {
    /// Applies the definitions of a request: the template's messages come before its own, with system messages first; the
    /// template's parameters, model and schema hold where the request has none. Afterwards the request has no definitions to
    /// apply, and those that were applied. Returns the messages that were added behind the system messages.
    ///
    /// # Errors
    /// `not_found` or `invalid_request`, naming the field.
    pub(crate) async fn apply(
        &self,
        caller: &Caller,
        generation: &mut Generation,
        rendered_use: RenderedUse,
    ) -> Result<Vec<Message>, ApiError> {
        let Some(options) = generation.definitions.take() else { return Ok(Vec::new()) };
        let DefinitionOptions { schema, template, variables } = *options;
        let Task::Text(task) = &mut generation.task else {
            return Err(not_for_this_task(template.is_some()));
        };
        let has_own_format = task.response_format != ResponseFormat::Text;
        if schema.is_some() && has_own_format {
            let message = "schema_id and a response format are both there: send one of them";
            return Err(ApiError::invalid("schema_id", message));
        }
        if template.is_some() && task.raw.is_some() {
            let message =
                "a template's messages need a model's chat template: leave out raw, suffix and token ids";
            return Err(ApiError::invalid("template_id", message));
        }
        let (mut applied, mut added) = (AppliedDefinitions::default(), Vec::new());
        let mut schema = match schema {
            Some(reference) => Some(self.schema(caller, &reference).await?),
            None => None,
        };
        if let Some(reference) = template {
            let rendered = self.render(caller, &reference, variables).await?;
            let RenderedTemplate { definition, messages, schema: of_template, model, sampling } = rendered;
            if let Some(reference) = of_template
                && schema.is_none()
                && !has_own_format
            {
                schema = Some(
                    self.schema(caller, &reference)
                        .await
                        .map_err(|error| schema_is_gone(error, &definition.name))?,
                );
            }
            added = add_messages(task, messages, rendered_use);
            fill_sampling(&mut task.sampling, sampling);
            if let Some(model) = model
                && generation.model.as_ref().is_none_or(|model| model.as_str() == AUTO)
            {
                generation.model = Some(ModelId::new(model));
            }
            applied.template = Some(definition);
        }
        if let Some(ResolvedSchema { definition, description, schema }) = schema {
            task.response_format = ResponseFormat::JsonSchema(schema);
            task.schema_label = SchemaLabel {
                name: Some(label_name(&definition.name)),
                description,
                ..SchemaLabel::default()
            };
            applied.schema = Some(definition);
        }
        task.check().map_err(|error| {
            let message = format!("the request with its template can't be carried out: it {}", error.problem);
            ApiError::invalid("template_id", message)
        })?;
        generation.applied = Some(Box::new(applied));
        Ok(added)
    }
}

/// Adds a template's messages to a task. Returns those that are no system messages, if they were added.
fn add_messages(task: &mut TextTask, messages: Vec<Message>, rendered_use: RenderedUse) -> Vec<Message> {
    let (system, turns): (Vec<_>, Vec<_>) =
        messages.into_iter().partition(|message| message.role == Role::System);
    let added = match rendered_use {
        RenderedUse::System => Vec::new(),
        RenderedUse::Messages(at) => {
            let own_count =
                || task.messages.iter().take_while(|message| message.role == Role::System).count();
            let at = at.unwrap_or_else(own_count).min(task.messages.len());
            task.messages.splice(at..at, turns.iter().cloned());
            turns
        }
    };
    let text = system.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n");
    if text.is_empty() {
        return added;
    }
    match task
        .messages
        .first_mut()
        .filter(|first| first.role == Role::System && first.is_text_only() && first.extra.is_empty())
    {
        // One message: the chat templates of many models take no second system message.
        Some(own) => own.content = format!("{text}\n\n{}", own.content),
        None => task.messages.insert(0, Message::new(Role::System, text)),
    }
    added
}

/// Sets the parameters that the request doesn't have.
fn fill_sampling(sampling: &mut Sampling, defaults: Sampling) {
    let own = std::mem::take(sampling);
    *sampling = Sampling {
        temperature: own.temperature.or(defaults.temperature),
        top_p: own.top_p.or(defaults.top_p),
        top_k: own.top_k.or(defaults.top_k),
        min_p: own.min_p.or(defaults.min_p),
        repeat_penalty: own.repeat_penalty.or(defaults.repeat_penalty),
        presence_penalty: own.presence_penalty.or(defaults.presence_penalty),
        frequency_penalty: own.frequency_penalty.or(defaults.frequency_penalty),
        seed: own.seed.or(defaults.seed),
        stop: if own.stop.is_empty() { defaults.stop } else { own.stop },
        max_tokens: own.max_tokens.or(defaults.max_tokens),
        ..own
    };
}

/// The name of a schema in the form that vendors accept: letters, digits, `_` and `-`.
fn label_name(name: &str) -> String {
    name.replace('.', "_")
}

fn not_for_this_task(has_template: bool) -> ApiError {
    let (param, what) = if has_template { ("template_id", "a template") } else { ("schema_id", "a schema") };
    let message =
        format!("{param} is for answers in text: images, meshes and vectors have no use for {what}");
    ApiError::invalid(param, message)
}

fn schema_is_gone(error: ApiError, template: &str) -> ApiError {
    if error.code != ErrorCode::NotFound {
        return error;
    }
    let message = format!("the schema of the template {template} isn't there: {}", error.message);
    ApiError::new(ErrorCode::NotFound, message).at("template_id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(messages: &[(Role, &str)]) -> TextTask {
        let messages = messages.iter().map(|(role, text)| Message::new(*role, *text)).collect();
        TextTask::new(messages, Sampling { temperature: Some(0.5), ..Sampling::default() })
    }

    fn texts(task: &TextTask) -> Vec<(Role, &str)> {
        task.messages.iter().map(|message| (message.role, message.content.as_str())).collect()
    }

    const RENDERED: [(Role, &str); 3] = [(Role::System, "S1"), (Role::System, "S2"), (Role::User, "T")];

    fn rendered() -> Vec<Message> {
        RENDERED.iter().map(|(role, text)| Message::new(*role, *text)).collect()
    }

    #[test]
    fn messages_of_a_template_come_before_the_own_ones_with_one_system_message() {
        let mut with_system = task(&[(Role::System, "own"), (Role::User, "Hi")]);
        add_messages(&mut with_system, rendered(), RenderedUse::Messages(None));
        assert_eq!(
            texts(&with_system),
            [(Role::System, "S1\n\nS2\n\nown"), (Role::User, "T"), (Role::User, "Hi")]
        );
        let mut empty = task(&[]);
        add_messages(&mut empty, rendered(), RenderedUse::Messages(None));
        assert_eq!(texts(&empty), [(Role::System, "S1\n\nS2"), (Role::User, "T")]);
    }

    #[test]
    fn earlier_messages_of_a_session_stay_before_and_a_repeated_turn_gets_the_system_message_alone() {
        let mut turn = task(&[(Role::Assistant, "call"), (Role::User, "Hi")]);
        let added = add_messages(&mut turn, rendered(), RenderedUse::Messages(Some(1)));
        assert_eq!(added, [Message::new(Role::User, "T")]);
        let expected =
            [(Role::System, "S1\n\nS2"), (Role::Assistant, "call"), (Role::User, "T"), (Role::User, "Hi")];
        assert_eq!(texts(&turn), expected);
        let mut again = task(&[(Role::User, "Hi")]);
        add_messages(&mut again, rendered(), RenderedUse::System);
        assert_eq!(texts(&again), [(Role::System, "S1\n\nS2"), (Role::User, "Hi")]);
    }

    #[test]
    fn parameters_of_the_request_come_before_those_of_the_template() {
        let mut sampling = task(&[]).sampling;
        let defaults = Sampling {
            temperature: Some(0.0),
            max_tokens: Some(9),
            stop: vec!["x".to_owned()],
            ..Sampling::default()
        };
        fill_sampling(&mut sampling, defaults);
        assert_eq!((sampling.temperature, sampling.max_tokens), (Some(0.5), Some(9)));
        assert_eq!(sampling.stop, ["x"]);
    }
}
