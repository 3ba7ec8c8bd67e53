//! Batches as their owners see them, in both dialects.

use hearth_domain::{BatchCounts, BatchState, FileId, MessageBatchId, Timestamp, Usage};
use hearth_store::batches::{BatchFault, BatchRecord};
use hearth_wire::{
    anthropic::{MessageBatch, MessageBatchCounts},
    openai::batches::{
        BatchBody, BatchErrors, BatchFaultBody, BatchInputTokens, BatchOutputTokens, BatchRequestCounts,
        BatchUsage, COMPLETION_WINDOW,
    },
};

/// A batch of OpenAI's API.
pub(super) fn of_openai(record: BatchRecord) -> BatchBody {
    let ended_as = |state| unix(record.ended_at.filter(|_| record.state == state));
    let file = |file: Option<FileId>| file.filter(|_| record.state.is_terminal());
    BatchBody {
        id: record.id.to_string(),
        object: "batch".to_owned(),
        endpoint: record.endpoint,
        errors: errors(&record.faults),
        input_file_id: record.input.to_string(),
        completion_window: COMPLETION_WINDOW.to_owned(),
        status: record.state,
        output_file_id: file(record.output.file),
        error_file_id: file(record.errors.file),
        created_at: record.created_at.unix(),
        in_progress_at: unix(record.in_progress_at),
        expires_at: Some(record.expires_at.unix()),
        finalizing_at: unix(record.finalizing_at),
        completed_at: ended_as(BatchState::Completed),
        failed_at: ended_as(BatchState::Failed),
        expired_at: ended_as(BatchState::Expired),
        cancelling_at: unix(record.cancelling_at),
        cancelled_at: ended_as(BatchState::Cancelled),
        request_counts: BatchRequestCounts {
            total: record.counts.total,
            completed: record.counts.succeeded,
            failed: record.counts.errored,
        },
        usage: usage(&record.usage),
        metadata: Some(record.metadata).filter(|metadata| !metadata.is_empty()),
        when: record.when,
        max_price: record.max_price,
        waits_for: record.waits_for,
        job_id: record.job,
    }
}

/// A batch of Anthropic's API. `base`: the client's address of the gateway.
pub(super) fn of_anthropic(record: BatchRecord, base: &str) -> MessageBatch {
    let id = MessageBatchId::from(record.id);
    let has_ended = record.state.is_terminal();
    let status = match record.state {
        _ if has_ended => "ended",
        _ if record.cancelling_at.is_some() => "canceling",
        _ => "in_progress",
    };
    let has_results = has_ended && record.output.file.is_some();
    MessageBatch {
        id,
        kind: "message_batch".to_owned(),
        processing_status: status.to_owned(),
        request_counts: message_counts(record.counts),
        ended_at: record.ended_at,
        created_at: record.created_at,
        expires_at: record.expires_at,
        archived_at: None,
        cancel_initiated_at: record.cancelling_at,
        results_url: has_results.then(|| format!("{base}/v1/messages/batches/{id}/results")),
        waits_for: record.waits_for,
    }
}

fn message_counts(counts: BatchCounts) -> MessageBatchCounts {
    MessageBatchCounts {
        processing: counts.open(),
        succeeded: counts.succeeded,
        errored: counts.errored,
        canceled: counts.cancelled,
        expired: counts.expired,
    }
}

fn errors(faults: &[BatchFault]) -> Option<BatchErrors> {
    let body = |fault: &BatchFault| BatchFaultBody {
        code: fault.code.clone(),
        line: fault.line,
        message: fault.message.clone(),
        param: fault.param.clone(),
    };
    (!faults.is_empty())
        .then(|| BatchErrors { object: "list".to_owned(), data: faults.iter().map(body).collect() })
}

fn usage(usage: &Usage) -> BatchUsage {
    BatchUsage {
        input_tokens: usage.prompt_tokens,
        input_tokens_details: BatchInputTokens { cached_tokens: usage.cached_tokens },
        output_tokens: usage.completion_tokens,
        output_tokens_details: BatchOutputTokens { reasoning_tokens: usage.reasoning_tokens },
        total_tokens: usage.total_tokens(),
    }
}

fn unix(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::unix)
}
