//! The node's metrics. `telemetry` describes them.

use std::{sync::LazyLock, time::Duration};

use hearth_domain::Usage;
use hearth_wire::RunEventBody;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::{
    frames::{Timings, WorkerStats},
    scheduler::StopReason,
};

/// Handles of the metrics that each run changes. They are made at the first run, when the recorder of metrics is
/// installed.
struct RunMetrics {
    queue_depth: Gauge,
    queue_seconds: Histogram,
    first_token_seconds: Histogram,
    prompt_tokens: Counter,
    cached_tokens: Counter,
    prefill_rate: Histogram,
    decode_rate: Histogram,
}

static RUNS: LazyLock<RunMetrics> = LazyLock::new(|| RunMetrics {
    queue_depth: gauge!("hearth_node_queue_depth"),
    queue_seconds: histogram!("hearth_node_queue_seconds"),
    first_token_seconds: histogram!("hearth_node_first_token_seconds"),
    prompt_tokens: counter!("hearth_node_prompt_tokens_total"),
    cached_tokens: counter!("hearth_node_cached_tokens_total"),
    prefill_rate: histogram!("hearth_node_prefill_tokens_per_second"),
    decode_rate: histogram!("hearth_node_decode_tokens_per_second"),
});

pub(super) fn queue_depth(depth: usize) {
    RUNS.queue_depth.set(depth as f64);
}

pub(super) fn queue_wait(waited: Duration) {
    RUNS.queue_seconds.record(waited);
}

pub(super) fn first_token(took: Duration) {
    RUNS.first_token_seconds.record(took);
}

pub(super) fn run_finished(usage: &Usage, timings: &Timings) {
    RUNS.prompt_tokens.increment(u64::from(usage.prompt_tokens));
    RUNS.cached_tokens.increment(u64::from(usage.cached_tokens));
    let rate = |tokens: u32, took: Duration| f64::from(tokens) / took.as_secs_f64();
    if timings.prefilled > 0 && !timings.prefill.is_zero() {
        RUNS.prefill_rate.record(rate(timings.prefilled, timings.prefill));
    }
    if timings.decoded > 0 && !timings.decode.is_zero() {
        RUNS.decode_rate.record(rate(timings.decoded, timings.decode));
    }
}

pub(super) fn worker_stats(model: &str, stats: &WorkerStats) {
    counter!("hearth_node_decode_steps_total").increment(stats.decode_steps);
    counter!("hearth_node_decoding_slots_total").increment(stats.decoding_slots);
    let busy = u64::try_from(stats.busy.as_millis()).unwrap_or(u64::MAX);
    counter!("hearth_node_busy_milliseconds_total").increment(busy);
    counter!("hearth_node_prefixes_evicted_total").increment(stats.prefixes_evicted);
    let model = || model.to_owned();
    gauge!("hearth_node_prefix_tokens", "model" => model()).set(stats.idle_prefix_tokens as f64);
    gauge!("hearth_node_saved_prefix_bytes", "model" => model()).set(stats.saved_prefix_bytes as f64);
}

pub(super) fn model_loaded(took: Duration) {
    histogram!("hearth_model_load_seconds").record(took);
}

pub(super) fn model_memory(model: &str, predicted: Option<u64>, measured: u64) {
    if let Some(predicted) = predicted {
        gauge!("hearth_node_model_memory_predicted_bytes", "model" => model.to_owned()).set(predicted as f64);
    }
    gauge!("hearth_node_model_memory_bytes", "model" => model.to_owned()).set(measured as f64);
}

pub(super) fn storage(used: u64, free: Option<u64>) {
    gauge!("hearth_node_storage_bytes").set(used as f64);
    if let Some(free) = free {
        gauge!("hearth_node_storage_free_bytes").set(free as f64);
    }
}

pub(super) fn models_removed(models: usize) {
    counter!("hearth_node_storage_removed_total").increment(models as u64);
}

pub(super) fn model_stopped(reason: StopReason) {
    let reason = match reason {
        StopReason::Evicted => "evicted",
        StopReason::Idle => "idle",
        StopReason::Requested => "asked",
    };
    counter!("hearth_node_models_stopped_total", "reason" => reason).increment(1);
}

pub(super) fn worker_crashed() {
    counter!("hearth_worker_crashes_total").increment(1);
}

pub(super) fn run_ended(last: &RunEventBody) {
    let how = match last {
        RunEventBody::Cancelled => "cancelled",
        RunEventBody::Error { .. } => "failed",
        _ => "completed",
    };
    counter!("hearth_node_runs_total", "how" => how).increment(1);
}

pub(super) fn run_dropped(why: &'static str) {
    counter!("hearth_node_runs_dropped_total", "why" => why).increment(1);
}
