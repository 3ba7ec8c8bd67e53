//! The node's metrics. [`describe`] documents their names.

use std::{sync::Once, time::Duration};

use hearth_domain::Usage;
use hearth_wire::RunEventBody;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{
    frames::{Timings, WorkerStats},
    scheduler::StopReason,
};

/// Describes every metric, once per process.
pub(super) fn describe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        describe_gauge!("hearth_node_queue_depth", "Runs that wait for a slot or a model");
        describe_histogram!(
            "hearth_node_queue_seconds",
            Unit::Seconds,
            "Time that runs waited for their slot"
        );
        describe_histogram!(
            "hearth_node_first_token_seconds",
            Unit::Seconds,
            "From a run's arrival to its first token"
        );
        describe_histogram!(
            "hearth_node_prefill_tokens_per_second",
            "Prompt tokens computed a second, per run"
        );
        describe_histogram!("hearth_node_decode_tokens_per_second", "Tokens generated a second, per run");
        describe_counter!("hearth_node_cached_tokens_total", "Prompt tokens that needed no computing");
        describe_counter!("hearth_node_prompt_tokens_total", "Prompt tokens, cached ones included");
        describe_counter!("hearth_node_decode_steps_total", "Steps that gave each slot that decodes a token");
        describe_counter!(
            "hearth_node_decoding_slots_total",
            "Slots in those steps: divided by the steps, the occupancy"
        );
        describe_counter!(
            "hearth_node_busy_milliseconds_total",
            Unit::Milliseconds,
            "Time spent computing, prompts too"
        );
        describe_counter!("hearth_node_prefixes_evicted_total", "Cached prefixes that were evicted");
        describe_gauge!("hearth_node_prefix_tokens", "Tokens of ended runs in the prefix cache, by model");
        describe_gauge!(
            "hearth_node_saved_prefix_bytes",
            Unit::Bytes,
            "Memory of the prefix cache outside of the context, by model"
        );
        describe_histogram!("hearth_model_load_seconds", Unit::Seconds, "Time that loads took");
        describe_gauge!(
            "hearth_node_model_memory_predicted_bytes",
            Unit::Bytes,
            "Predicted memory of a model"
        );
        describe_gauge!("hearth_node_model_memory_bytes", Unit::Bytes, "Memory of a model's worker");
        describe_counter!("hearth_node_models_stopped_total", "Models that left memory, by reason");
        describe_gauge!("hearth_node_storage_bytes", Unit::Bytes, "Bytes of the model folder");
        describe_gauge!(
            "hearth_node_storage_free_bytes",
            Unit::Bytes,
            "Free bytes on the disk of the model folder"
        );
        describe_counter!("hearth_node_storage_removed_total", "Models that the storage policy removed");
        describe_counter!("hearth_worker_crashes_total", "Workers that crashed or hung");
        describe_counter!("hearth_node_runs_total", "Runs that ended, by outcome");
        describe_counter!(
            "hearth_node_runs_dropped_total",
            "Runs that were refused or expired in the queue, by reason"
        );
    });
}

pub(super) fn queue_depth(depth: usize) {
    gauge!("hearth_node_queue_depth").set(depth as f64);
}

pub(super) fn queue_wait(waited: Duration) {
    histogram!("hearth_node_queue_seconds").record(waited);
}

pub(super) fn first_token(took: Duration) {
    histogram!("hearth_node_first_token_seconds").record(took);
}

pub(super) fn run_finished(usage: &Usage, timings: &Timings) {
    counter!("hearth_node_prompt_tokens_total").increment(u64::from(usage.prompt_tokens));
    counter!("hearth_node_cached_tokens_total").increment(u64::from(usage.cached_tokens));
    let rate = |tokens: u32, took: Duration| f64::from(tokens) / took.as_secs_f64();
    if timings.prefilled > 0 && !timings.prefill.is_zero() {
        histogram!("hearth_node_prefill_tokens_per_second").record(rate(timings.prefilled, timings.prefill));
    }
    if timings.decoded > 0 && !timings.decode.is_zero() {
        histogram!("hearth_node_decode_tokens_per_second").record(rate(timings.decoded, timings.decode));
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
