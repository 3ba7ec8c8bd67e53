//! The node's refusals as API errors.

use bytesize::ByteSize;
use hearth_domain::{Field, InvalidTask, Modality};
use hearth_wire::{ApiError, ErrorCode};

use crate::scheduler::Refusal;

/// The error for a model that can't be loaded.
pub(super) fn load_failed(model: &str, reason: &str) -> ApiError {
    ApiError::new(ErrorCode::ModelLoadFailed, format!("the model {model:?} can't be loaded: {reason}"))
        .at("model")
}

/// The error for a task of another modality than the model's. The gateway checks that too; here it protects the worker.
pub(super) fn other_modality(model: &str, modality: Modality) -> ApiError {
    ApiError::invalid("model", format!("the model {model:?} makes {}", modality.as_str()))
}

/// The error for an invalid task. The gateway checks tasks too; here the check protects the worker.
pub(super) fn invalid_task(error: &InvalidTask) -> ApiError {
    let field = match error.field {
        Field::ResponseSchema => "response_format",
        Field::Messages | Field::ToolCallId(_) => "messages",
        Field::Tools | Field::ToolName(_) | Field::ToolParameters(_) => "tools",
        Field::ToolChoice => "tool_choice",
        Field::Sampling(name) => name,
        Field::Choices => "n",
        Field::TopLogprobs => "top_logprobs",
        Field::TemplateKwargs => "chat_template_kwargs",
        _ => "input",
    };
    ApiError::unfit(field.to_owned(), error)
}

/// The error for runs that are open when the node shuts down.
pub(super) fn shutting_down() -> ApiError {
    ApiError::new(ErrorCode::NodeLost, "the node was shut down")
}

/// The error for a refusal of the scheduler.
pub(super) fn refused(model: &str, refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::QueueFull => {
            ApiError::new(ErrorCode::QueueFull, format!("the queue of {model:?} is full; try again later"))
        }
        Refusal::NoRoom(holders) => {
            let message =
                format!("there is no room in memory for {model:?}: {} can't be unloaded", holders.join(", "));
            ApiError::new(ErrorCode::NoModelAvailable, message).with("holding", holders.clone())
        }
        Refusal::NoMemory { needed, free, holding } => {
            let size = |bytes: u64| ByteSize::b(bytes).to_string();
            let (needed_size, free_size) = (size(*needed), size(*free));
            let mut message = format!("{model:?} needs {needed_size} of memory, and {free_size} are free");
            if !holding.is_empty() {
                let loaded: Vec<String> =
                    holding.iter().map(|(name, bytes)| format!("{name} ({})", size(*bytes))).collect();
                message.push_str(&format!("; these models use the rest: {}", loaded.join(", ")));
            }
            message.push_str("; use a smaller model, a shorter context or fewer slots");
            let holding: Vec<String> = holding.iter().map(|(name, _)| name.clone()).collect();
            let error = ApiError::new(ErrorCode::NoModelAvailable, message).with("holding", holding);
            error.with("needed_bytes", *needed).with("free_bytes", *free)
        }
        Refusal::InUse => {
            let message = format!("{model:?} has requests; wait for them or cancel them");
            ApiError::new(ErrorCode::Conflict, message).at("model")
        }
    }
}
