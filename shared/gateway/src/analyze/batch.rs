//! A batch of analyses: equal ones are carried out once, the others at the same time within a bound.

use std::{collections::HashMap, time::Instant};

use futures::{StreamExt as _, stream};
use hearth_domain::{Cost, RunId, Usage};
use hearth_wire::{
    ApiError,
    native::{
        analyze::{
            AnalyzeBatchRequest, AnalyzeBatchResponse, AnalyzeBatchResult, AnalyzeBatchStatus,
            AnalyzeBatchSummary, AnalyzeRequest, AnalyzeResponse,
        },
        generate::{CostBody, UsageBody},
    },
};

use super::{AnalysisContext, prepared::PreparedAnalysis, response::milliseconds};
use crate::{Gateway, access::Caller, generate::prefetch};

/// An item with its outcome so far.
struct Item {
    id: Option<String>,
    prepared: Result<PreparedAnalysis, ApiError>,
}

/// The outcome of an analysis, and the id of its run.
type Outcome = (RunId, Result<AnalyzeResponse, ApiError>);

/// Carries out a batch. An item that fails has its error, and the others go on.
///
/// # Errors
/// `invalid_request` for a batch without items or with too many.
pub(super) async fn carry_out(
    gateway: &Gateway,
    caller: &Caller,
    request: AnalyzeBatchRequest,
    context: &AnalysisContext,
) -> Result<AnalyzeBatchResponse, ApiError> {
    let began = Instant::now();
    let requests = checked(gateway, request)?;
    let concurrency = gateway.0.analyze_settings.batch_concurrency as usize;
    let prepare = |(id, request): (Option<String>, AnalyzeRequest)| async move {
        let prepared = gateway.prepare_analysis(caller, request, context).await;
        Item { id, prepared }
    };
    // Boxed: the future is large, and there are many.
    let items: Vec<Item> =
        stream::iter(requests).map(|item| Box::pin(prepare(item))).buffered(concurrency).collect().await;
    let originals = find_originals(&items);
    let unique: Vec<(usize, &PreparedAnalysis)> = items
        .iter()
        .enumerate()
        .filter(|(index, _)| originals.get(*index) == Some(index))
        .filter_map(|(index, item)| Some((index, item.prepared.as_ref().ok()?)))
        .collect();
    let generations: Vec<_> = unique.iter().map(|(_, prepared)| &prepared.generation).collect();
    prefetch(&gateway.0, caller, &generations).await;
    drop(generations);
    let first = unique.first().map(|(index, _)| *index);
    let run = |(index, prepared): (usize, &PreparedAnalysis)| {
        let prepared = prepared.clone();
        // The first run has the id of the request.
        let id = if first == Some(index) { context.id } else { RunId::new() };
        async move {
            let analyzed = Box::pin(gateway.carry_out_analysis(caller, prepared, id, context)).await;
            (index, (id, analyzed.map(|analyzed| analyzed.response)))
        }
    };
    let outcomes: HashMap<usize, Outcome> =
        stream::iter(unique).map(run).buffer_unordered(concurrency).collect().await;
    let results = (0..).zip(items).zip(&originals).map(|((index, item), original)| match item.prepared {
        Err(error) => failed(index, item.id, None, &error, context.id),
        Ok(_) => result(index, item.id, *original, &outcomes, context.id),
    });
    let results: Vec<AnalyzeBatchResult> = results.collect();
    let summary = summarize(&results, began);
    Ok(AnalyzeBatchResponse {
        request_id: context.id.to_string(),
        object: "analysis.batch".to_owned(),
        results,
        summary,
    })
}

/// The requests of a batch, whose number is within the limit.
pub(super) fn checked(
    gateway: &Gateway,
    request: AnalyzeBatchRequest,
) -> Result<Vec<(Option<String>, AnalyzeRequest)>, ApiError> {
    let field = if request.prompts.is_some() { "prompts" } else { "items" };
    let requests = request.into_requests()?;
    let most = gateway.0.analyze_settings.batch_max_items;
    if requests.is_empty() || requests.len() > most as usize {
        let message = format!(
            "{field} must have 1 to {most} texts, and has {}; send the others in a further request, or use POST /v1/batches",
            requests.len()
        );
        return Err(ApiError::invalid(field, message).with("max_items", most));
    }
    Ok(requests)
}

/// For each item the index of the first equal one.
fn find_originals(items: &[Item]) -> Vec<usize> {
    let mut first: HashMap<String, usize> = HashMap::new();
    let original = |(index, item): (usize, &Item)| match &item.prepared {
        Ok(prepared) => *first.entry(prepared.identity()).or_insert(index),
        Err(_) => index,
    };
    items.iter().enumerate().map(original).collect()
}

fn result(
    index: usize,
    id: Option<String>,
    original: usize,
    outcomes: &HashMap<usize, Outcome>,
    request: RunId,
) -> AnalyzeBatchResult {
    let duplicate_of = (original != index).then_some(original);
    match outcomes.get(&original) {
        Some((_, Ok(analysis))) => {
            let (analysis, error) = (Some(analysis.clone()), None);
            AnalyzeBatchResult { index, id, status: AnalyzeBatchStatus::Ok, duplicate_of, analysis, error }
        }
        Some((run, Err(error))) => failed(index, id, duplicate_of, error, *run),
        // Each original has an outcome.
        None => {
            let error = ApiError::new(hearth_wire::ErrorCode::Internal, "the item has no outcome");
            failed(index, id, duplicate_of, &error, request)
        }
    }
}

fn failed(
    index: usize,
    id: Option<String>,
    duplicate_of: Option<usize>,
    error: &ApiError,
    request: RunId,
) -> AnalyzeBatchResult {
    let error = Some(error.envelope(&request.to_string()).error);
    AnalyzeBatchResult { index, id, status: AnalyzeBatchStatus::Failed, duplicate_of, analysis: None, error }
}

/// The sums. An item that repeats another one's analysis has used nothing.
fn summarize(results: &[AnalyzeBatchResult], began: Instant) -> AnalyzeBatchSummary {
    let count = |is_counted: &dyn Fn(&AnalyzeBatchResult) -> bool| {
        results.iter().filter(|result| is_counted(result)).count()
    };
    let own = || results.iter().filter(|result| result.duplicate_of.is_none());
    let analyses = || own().filter_map(|result| result.analysis.as_ref());
    let usage = analyses().fold(UsageBody::default(), |sum, analysis| add(sum, analysis.usage));
    let costs: Option<Vec<Cost>> = analyses().map(|analysis| analysis.cost.map(|cost| cost.usd)).collect();
    let ok = count(&|result| result.status == AnalyzeBatchStatus::Ok);
    let of_analysis = |is_counted: fn(&AnalyzeResponse) -> bool| {
        count(&|result| result.analysis.as_ref().is_some_and(is_counted))
    };
    AnalyzeBatchSummary {
        total: results.len(),
        ok,
        failed: results.len() - ok,
        cached: of_analysis(|analysis| analysis.cached),
        duplicates: count(&|result| result.duplicate_of.is_some()),
        low_confidence: of_analysis(|analysis| analysis.low_confidence),
        usage,
        cost: costs.map(|costs| CostBody::from(costs.into_iter().sum::<Cost>())),
        time_ms: milliseconds(began),
    }
}

fn add(sum: UsageBody, other: UsageBody) -> UsageBody {
    let usage = |body: UsageBody| Usage {
        prompt_tokens: body.prompt_tokens,
        completion_tokens: body.completion_tokens,
        cached_tokens: body.cached_tokens,
        reasoning_tokens: body.reasoning_tokens,
        ..Usage::default()
    };
    usage(sum).and(&usage(other)).into()
}
