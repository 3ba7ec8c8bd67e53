//! Descriptions of all metrics: the `HELP` lines of `GET /metrics`. `docs/metrics.md` has their labels.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};

/// Counters without labels. They begin at 0, so that the first increment is seen as one.
const COUNTERS: [(&str, &str); 15] = [
    ("hearth_connections_evicted_total", "Idle connections that were closed for new ones"),
    ("hearth_connections_refused_total", "Connections above server.max_connections"),
    ("hearth_audit_entries_lost_total", "Entries of the audit log that couldn't be written"),
    ("hearth_records_lost_total", "Runs whose end couldn't be stored"),
    ("hearth_usage_lost_total", "Runs whose usage couldn't be counted"),
    ("hearth_node_prompt_tokens_total", "Prompt tokens, cached ones included"),
    ("hearth_node_cached_tokens_total", "Prompt tokens that the prefix cache had"),
    ("hearth_node_decode_steps_total", "Decode steps"),
    ("hearth_node_decoding_slots_total", "Slots of all decode steps; divided by the steps: the occupancy"),
    ("hearth_node_busy_milliseconds_total", "Time of computing, prefill and decode"),
    ("hearth_node_prefixes_evicted_total", "Prefixes that were evicted"),
    ("hearth_node_storage_removed_total", "Models that the storage policy removed"),
    ("hearth_worker_crashes_total", "Workers that crashed or hung"),
    (
        "hearth_webhook_events_dropped_total",
        "Events that were left out, since too many waited for a paused webhook",
    ),
    ("hearth_log_lines_dropped_total", "Log lines that were dropped: the disk was full or too slow"),
];

/// Counters with labels.
const LABELLED_COUNTERS: [(&str, &str); 23] = [
    ("hearth_requests_total", "Requests by method, route and status"),
    ("hearth_cost_nanodollars_total", "Cost of the runs whose price is known"),
    ("hearth_cost_unknown_total", "Runs whose price isn't known"),
    ("hearth_cache_requests_total", "Requests that the cache could answer, by result"),
    ("hearth_limited_requests_total", "Requests that a limit of their caller refused, by reason"),
    ("hearth_budget_events_total", "Budgets that have reached a part of their limit, in percent"),
    ("hearth_jobs_submitted_total", "Jobs that were submitted, by kind"),
    ("hearth_jobs_ended_total", "Jobs that have ended, by kind and state"),
    ("hearth_job_retries_total", "Attempts of jobs that failed and are repeated, by kind"),
    ("hearth_events_total", "Events that a webhook gets, by their names"),
    ("hearth_webhook_deliveries_total", "Deliveries of events that have ended, by target and result"),
    ("hearth_webhooks_stopped_total", "Webhooks that were paused or disabled since their endpoints failed"),
    ("hearth_structured_answers_total", "Answers that were validated against a JSON Schema, by result"),
    ("hearth_analyses_total", "Analyses by the result of their validation"),
    ("hearth_suspicious_prompts_total", "Patterns of attacks in the texts of analyses, by kind"),
    ("hearth_provider_requests_total", "Clients' requests to a provider, each once, by result"),
    ("hearth_schema_retries_total", "Answers that didn't fit their JSON Schema and were requested again"),
    ("hearth_provider_retries_total", "Requests that were sent to the same provider again"),
    ("hearth_fallbacks_total", "Runs that went on to another candidate, by the error's code"),
    ("hearth_node_runs_total", "Runs of the node that ended, by outcome"),
    ("hearth_node_runs_dropped_total", "Runs that never got a slot, by reason"),
    ("hearth_node_models_stopped_total", "Models that were unloaded, by reason"),
    ("hearth_trace_spans_dropped_total", "Spans that were not delivered to the collector, by reason"),
];

const GAUGES: [(&str, &str); 21] = [
    ("hearth_build_info", "1, with the version as a label"),
    ("hearth_uptime_seconds", "Time since the start of the process"),
    ("process_start_time_seconds", "Start of the process, in seconds since 1970"),
    ("process_resident_memory_bytes", "Resident memory of the process"),
    ("process_open_fds", "Open file descriptors of the process"),
    ("hearth_connections", "Open connections"),
    ("hearth_runs_in_progress", "Runs in progress"),
    ("hearth_jobs_waiting", "Jobs that wait for a place in this process, by kind"),
    ("hearth_jobs_oldest_seconds", "Time for which the oldest of these has waited, by kind"),
    ("hearth_jobs_in_progress", "Jobs in progress in this process"),
    ("hearth_provider_state", "Worst circuit of a provider: 0 closed, 1 half-open, 2 open"),
    ("hearth_node_up", "1 if the node answers, else 0"),
    ("hearth_node_draining", "1 if the node gets no further runs, else 0"),
    ("hearth_node_gateway_runs", "Runs that this process has at the node"),
    ("hearth_node_queue_depth", "Runs that wait for a slot or a model"),
    ("hearth_node_prefix_tokens", "Tokens in the prefix cache of a model"),
    ("hearth_node_saved_prefix_bytes", "Memory of the prefixes that are saved outside the slots"),
    ("hearth_node_model_memory_predicted_bytes", "Memory that a model was expected to take"),
    ("hearth_node_model_memory_bytes", "Memory that a model's worker takes"),
    ("hearth_node_storage_bytes", "Size of the model folder"),
    ("hearth_node_storage_free_bytes", "Free space of the model folder's disk"),
];

const HISTOGRAMS: [(&str, &str); 16] = [
    ("hearth_request_seconds", "Time to the response's headers"),
    ("hearth_run_seconds", "Time from a run's start to its end"),
    ("hearth_analysis_confidence", "Confidence of the analyses, 0 to 1"),
    ("hearth_webhook_try_seconds", "Time of one try of a delivery"),
    ("hearth_job_seconds", "Time from the submission of a job to its end, by kind"),
    ("hearth_job_slice_seconds", "Time of one slice of a job, by kind"),
    ("hearth_stage_seconds", "Time that a request spends in each stage"),
    (
        "gen_ai_client_operation_duration_seconds",
        "Time of an operation at a model, as OpenTelemetry defines it",
    ),
    ("gen_ai_client_token_usage", "Tokens of an operation: input or output"),
    ("gen_ai_server_time_to_first_token_seconds", "Time to the first token of a model"),
    ("gen_ai_server_time_per_output_token_seconds", "Time per token after the first one"),
    ("hearth_node_queue_seconds", "Time that runs waited for a slot"),
    ("hearth_node_first_token_seconds", "Time from a run's arrival at the node to its first token"),
    ("hearth_node_prefill_tokens_per_second", "Prompt tokens computed per second, of each run"),
    ("hearth_node_decode_tokens_per_second", "Tokens generated per second, of each run"),
    ("hearth_model_load_seconds", "Time of model loads"),
];

/// Describes every metric, and creates the counters without labels.
pub(super) fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(name, text);
        counter!(name).increment(0);
    }
    for (name, text) in LABELLED_COUNTERS {
        describe_counter!(name, text);
    }
    for (name, text) in GAUGES {
        describe_gauge!(name, text);
    }
    for (name, text) in HISTOGRAMS {
        describe_histogram!(name, text);
    }
}
