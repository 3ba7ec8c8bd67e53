//! Estimates of the tokens and the cost of a request, before it is carried out.

use hearth_domain::{
    Cost, EmbeddingInput, Generation, Message, ModelInfo, Price, RawPrompt, Spend, Task, Tool, Usage,
};
use hearth_wire::RunEventBody;

use crate::routing::Candidate;

/// Bytes of text for one token, as is usual for English.
pub(crate) const BYTES_PER_TOKEN: usize = 4;
/// Tokens around each message.
pub(crate) const TOKENS_PER_MESSAGE: usize = 4;
/// Tokens of an image in a prompt.
const TOKENS_PER_IMAGE: usize = 1600;
/// Tokens of an image that is generated, where its tokens have a price: the largest of OpenAI's.
const TOKENS_PER_GENERATED_IMAGE: u32 = 6240;
/// Tokens of an answer without a limit that a rate counts until the answer is complete.
const RATE_COMPLETION_TOKENS: u32 = 1024;
/// Tokens of the turn that requests a corrected answer, with its errors.
const RETRY_TURN_TOKENS: u32 = 400;
/// Tokens of an answer without a limit that a budget reserves: models that may write more seldom do.
const BUDGET_COMPLETION_TOKENS: u32 = 4096;

/// Estimated number of tokens of a request's prompt.
pub(crate) fn prompt_tokens(task: &Task) -> u32 {
    let bytes = match task {
        Task::Text(task) => {
            let of_message = |message: &Message| {
                let calls = message.tool_calls.iter().map(|call| call.name.len() + call.arguments.len());
                message.content.len() + calls.sum::<usize>() + TOKENS_PER_MESSAGE * BYTES_PER_TOKEN
            };
            let raw = match &task.raw {
                None => 0,
                Some(RawPrompt::Tokens(tokens)) => tokens.len() * BYTES_PER_TOKEN,
                Some(RawPrompt::Text(text)) => text.len(),
                Some(RawPrompt::Infill { prefix, suffix }) => prefix.len() + suffix.len(),
            };
            task.messages.iter().map(of_message).sum::<usize>() + raw + tool_bytes(&task.tools)
        }
        Task::Embedding(task) => {
            let of_input = |input: &EmbeddingInput| match input {
                EmbeddingInput::Text(text) => text.len(),
                EmbeddingInput::Tokens(tokens) => tokens.len() * BYTES_PER_TOKEN,
            };
            task.inputs.iter().map(of_input).sum()
        }
        Task::Image(task) => task.prompt.len(),
        Task::Mesh(_) => 0,
    };
    let images = task.images().count() * TOKENS_PER_IMAGE;
    tokens(bytes).saturating_add(u32::try_from(images).unwrap_or(u32::MAX))
}

fn tool_bytes(tools: &[Tool]) -> usize {
    tools.iter().map(|tool| serde_json::to_string(tool).map_or(0, |json| json.len())).sum()
}

/// Estimated number of tokens of this many bytes of text.
pub(crate) fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX)
}

/// Bytes of text, reasoning and tool calls in an event of an answer.
pub(crate) fn output_bytes(event: &RunEventBody) -> usize {
    match event {
        RunEventBody::Delta { text, .. } | RunEventBody::Refusal { text, .. } => text.len(),
        RunEventBody::Reasoning { added, .. } => added.text.len(),
        RunEventBody::ToolCall { arguments, .. } => arguments.len(),
        _ => 0,
    }
}

/// The tokens that a rate counts for a request, until its usage is known.
pub(super) fn rate_tokens(generation: &Generation) -> u64 {
    let answer = match &generation.task {
        Task::Text(task) => {
            let tokens = task.sampling.max_tokens.unwrap_or(RATE_COMPLETION_TOKENS);
            u64::from(tokens) * u64::from(task.choices)
        }
        Task::Embedding(_) | Task::Image(_) | Task::Mesh(_) => 0,
    };
    u64::from(prompt_tokens(&generation.task)) + answer
}

/// The most that a request may use, at the dearest of its candidates. Money is zero where no price is known.
pub(crate) fn worst_case(generation: &Generation, candidates: &[Candidate]) -> Spend {
    let prompt = prompt_tokens(&generation.task);
    // A run that waits for a node may have no candidate yet.
    let unknown = candidates.is_empty().then_some(None);
    let worst = candidates.iter().map(Some).chain(unknown).map(|candidate| {
        let info = candidate.and_then(|candidate| candidate.info.as_ref());
        let usage = worst_usage(generation, prompt, info);
        let usage = match candidate {
            // All attempts of a node keep to the limit of one answer.
            Some(candidate) if candidate.node.is_some() => usage,
            _ => of_all_attempts(&usage, &generation.task),
        };
        let price = info.and_then(|info| info.price.as_ref());
        let cost = match candidate.and_then(|candidate| candidate.energy.as_ref()) {
            Some(energy) => Some(energy.worst_cost(usage.total_tokens())),
            None => price.and_then(|price| worst_cost(price, &generation.task, &usage)),
        };
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Spend {
            tokens: i64::from(usage.total_tokens()),
            nanodollars: cost.map_or(0, |cost| signed(cost.nanodollars())),
        }
    });
    worst.fold(Spend::default(), |most, one| Spend {
        tokens: most.tokens.max(one.tokens),
        nanodollars: most.nanodollars.max(one.nanodollars),
    })
}

fn worst_usage(generation: &Generation, prompt: u32, info: Option<&ModelInfo>) -> Usage {
    let answer = match &generation.task {
        Task::Text(task) => {
            let limit = info.and_then(|info| info.max_output_tokens);
            let assumed = limit.map_or(BUDGET_COMPLETION_TOKENS, |limit| limit.min(BUDGET_COMPLETION_TOKENS));
            task.sampling.max_tokens.unwrap_or(assumed).saturating_mul(task.choices)
        }
        Task::Image(task) => TOKENS_PER_GENERATED_IMAGE.saturating_mul(task.count),
        Task::Embedding(_) | Task::Mesh(_) => 0,
    };
    Usage { prompt_tokens: prompt, completion_tokens: answer, ..Usage::default() }
}

/// The most that all attempts at an answer with a schema use: each has the conversation, with the answer before and its errors.
fn of_all_attempts(first: &Usage, task: &Task) -> Usage {
    let Task::Text(task) = task else { return *first };
    if !task.response_format.has_schema() || task.choices > 1 {
        return *first;
    }
    let attempts = task.structured.attempts_at_provider();
    let further =
        first.prompt_tokens.saturating_add(first.completion_tokens).saturating_add(RETRY_TURN_TOKENS);
    Usage {
        prompt_tokens: first.prompt_tokens.saturating_add(further.saturating_mul(attempts - 1)),
        completion_tokens: first.completion_tokens.saturating_mul(attempts),
        ..*first
    }
}

/// The cost of a usage if the provider writes the whole prompt to its cache, where that is dearer.
fn worst_cost(price: &Price, task: &Task, usage: &Usage) -> Option<Cost> {
    if let Task::Image(task) = task
        && price.input.is_none()
        && price.output.is_none()
    {
        return price.of_images(task.count);
    }
    let written = Usage { cache_write_tokens: usage.prompt_tokens, ..*usage };
    [price.of(usage), price.of(&written)].into_iter().flatten().max()
}
