//! Metrics of a provider's model, by the conventions of OpenTelemetry for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>).
//!
//! The handles are made at a model's first request, and stay with its load: a look-up by labels takes longer than
//! counting.

use std::{sync::OnceLock, time::Duration};

use hearth_domain::{Cost, Task, Usage};
use hearth_wire::ErrorCode;
use metrics::{Counter, Histogram};

/// Label of models that are neither a node's, nor in the settings, nor in the table of models: clients choose the names.
const OTHER_MODEL: &str = "other";

/// Values of `gen_ai.operation.name`, in the order of [`operation_index`].
const OPERATIONS: [&str; 3] = ["chat", "embeddings", "generate_content"];

/// The operation that a task is, by the conventions.
pub(crate) fn operation_name(task: &Task) -> &'static str {
    OPERATIONS[operation_index(task)]
}

fn operation_index(task: &Task) -> usize {
    match task {
        Task::Text(_) => 0,
        Task::Embedding(_) => 1,
        Task::Image(_) | Task::Mesh(_) => 2,
    }
}

/// The metrics of one model of a provider.
#[derive(Debug)]
pub(crate) struct ModelMetrics {
    provider: String,
    model: String,
    operations: [OnceLock<OperationMetrics>; 3],
    cost_nanodollars: Counter,
    cost_unknown: Counter,
}

/// The metrics of one operation of a model.
#[derive(Debug)]
pub(crate) struct OperationMetrics {
    operation: &'static str,
    provider: String,
    model: String,
    seconds: Histogram,
    input_tokens: Histogram,
    output_tokens: Histogram,
    pub(crate) first_token_seconds: Histogram,
    pub(crate) output_token_seconds: Histogram,
}

impl ModelMetrics {
    pub(crate) fn new(provider: &str, model: &str) -> Self {
        let (provider, model) = (provider.to_owned(), model.to_owned());
        let cost_nanodollars = metrics::counter!("hearth_cost_nanodollars_total", "provider" => provider.clone(), "model" => model.clone());
        let cost_unknown = metrics::counter!("hearth_cost_unknown_total", "provider" => provider.clone(), "model" => model.clone());
        Self { provider, model, operations: Default::default(), cost_nanodollars, cost_unknown }
    }

    /// The metrics of a model that isn't known by its name.
    pub(crate) fn of_unknown_model(provider: &str) -> Self {
        Self::new(provider, OTHER_MODEL)
    }

    /// The metrics of the operation that a task is.
    pub(crate) fn operation(&self, task: &Task) -> &OperationMetrics {
        self.operations[operation_index(task)]
            .get_or_init(|| OperationMetrics::new(operation_name(task), &self.provider, &self.model))
    }

    /// Counts the cost of a run, if it is known.
    pub(crate) fn count_cost(&self, cost: Option<Cost>) {
        match cost {
            Some(cost) => self.cost_nanodollars.increment(cost.nanodollars()),
            None => self.cost_unknown.increment(1),
        }
    }
}

impl OperationMetrics {
    fn new(operation: &'static str, provider: &str, model: &str) -> Self {
        let (p, m) = (|| provider.to_owned(), || model.to_owned());
        let tokens = |kind: &'static str| {
            metrics::histogram!(
                "gen_ai_client_token_usage",
                "gen_ai_operation_name" => operation, "gen_ai_provider_name" => p(), "gen_ai_request_model" => m(),
                "gen_ai_token_type" => kind
            )
        };
        Self {
            operation,
            provider: p(),
            model: m(),
            seconds: metrics::histogram!(
                "gen_ai_client_operation_duration_seconds",
                "gen_ai_operation_name" => operation, "gen_ai_provider_name" => p(), "gen_ai_request_model" => m()
            ),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            first_token_seconds: metrics::histogram!(
                "gen_ai_server_time_to_first_token_seconds",
                "gen_ai_operation_name" => operation, "gen_ai_provider_name" => p(), "gen_ai_request_model" => m()
            ),
            output_token_seconds: metrics::histogram!(
                "gen_ai_server_time_per_output_token_seconds",
                "gen_ai_operation_name" => operation, "gen_ai_provider_name" => p(), "gen_ai_request_model" => m()
            ),
        }
    }

    /// Counts the tokens of an operation.
    pub(crate) fn count_tokens(&self, usage: &Usage) {
        self.input_tokens.record(f64::from(usage.prompt_tokens));
        self.output_tokens.record(f64::from(usage.completion_tokens));
    }

    /// Records an operation that has ended well, or with an error. The conventions leave the error's label away where
    /// there is none.
    pub(crate) fn record_duration(&self, took: Duration, error: Option<ErrorCode>) {
        let Some(error) = error else { return self.seconds.record(took) };
        metrics::histogram!(
            "gen_ai_client_operation_duration_seconds",
            "gen_ai_operation_name" => self.operation, "gen_ai_provider_name" => self.provider.clone(),
            "gen_ai_request_model" => self.model.clone(), "error_type" => error.as_str()
        )
        .record(took);
    }
}
