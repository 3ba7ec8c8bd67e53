//! The lists of an export: each is a file of the archive with a line of JSON for each thing, read while it is sent.

use std::{fmt::Display, sync::Arc};

use async_stream::stream;
use futures::{
    Future, StreamExt as _, TryStreamExt as _,
    future::ready,
    stream::{self, BoxStream},
};
use hearth_domain::{OrganisationId, Owner, Timestamp, UserId, Visibility};
use hearth_store::{
    definitions::DefinitionRecord,
    owned::{OwnedEntry, OwnedKind},
};
use hearth_wire::native::requests::RequestStatus;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Gateway;

/// Things that are listed at a time.
const PAGE_MAX_COUNT: u32 = 100;
/// Months of usage in the archive.
const USAGE_MONTHS: u32 = 12;

/// A line of a list; or what is missing, with the reason.
pub(super) type Line = Result<Value, String>;

/// The user of an export, and the part of their things that it has.
pub(super) struct ExportScope {
    pub(super) gateway: Gateway,
    pub(super) user: UserId,
    /// The organisation whose things are exported; none for all of the user's.
    pub(super) only: Option<OrganisationId>,
    /// The user's organisations whose things are exported.
    pub(super) organisations: Vec<OrganisationId>,
    /// True if the credential may read the usage.
    pub(super) has_usage: bool,
    /// True if the credential may read runs, files and all else that requests make.
    pub(super) has_content: bool,
}

/// A list of the archive.
#[derive(Debug, Clone, Copy)]
pub(super) enum ExportList {
    Usage,
    Runs,
    Conversations,
    Requests,
    Sessions,
    Definitions,
    Jobs,
    Batches,
    Deliveries,
}

impl ExportList {
    /// All lists, in their order in the archive.
    pub(super) const ALL: [Self; 9] = [
        Self::Usage,
        Self::Runs,
        Self::Conversations,
        Self::Requests,
        Self::Sessions,
        Self::Definitions,
        Self::Jobs,
        Self::Batches,
        Self::Deliveries,
    ];

    /// The name of its file.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::Usage => "usage.jsonl",
            Self::Runs => "runs.jsonl",
            Self::Conversations => "conversations.jsonl",
            Self::Requests => "requests.jsonl",
            Self::Sessions => "sessions.jsonl",
            Self::Definitions => "definitions.jsonl",
            Self::Jobs => "jobs.jsonl",
            Self::Batches => "batches.jsonl",
            Self::Deliveries => "deliveries.jsonl",
        }
    }

    /// Its lines.
    pub(super) fn lines(self, scope: &Arc<ExportScope>) -> BoxStream<'static, Line> {
        match self {
            Self::Usage => usage(Arc::clone(scope)),
            Self::Runs => scope.each(OwnedKind::Runs, run),
            Self::Conversations => scope.each(OwnedKind::Runs, conversation),
            Self::Requests => scope.each(OwnedKind::Runs, request),
            Self::Sessions => scope.each(OwnedKind::Sessions, session),
            Self::Definitions => {
                let private = scope.each(OwnedKind::Definitions, definition);
                private.chain(shared_definitions(Arc::clone(scope))).boxed()
            }
            Self::Jobs => scope.each(OwnedKind::Jobs, job),
            Self::Batches => scope.each(OwnedKind::Batches, batch),
            Self::Deliveries => {
                let current = deliveries(Arc::clone(scope));
                current.chain(scope.each(OwnedKind::DeletedWebhooks, deliveries_of_deleted)).boxed()
            }
        }
    }
}

impl ExportScope {
    pub(super) fn includes(&self, organisation: OrganisationId) -> bool {
        self.only.is_none_or(|only| only == organisation)
    }

    /// The user's things of a kind, page by page; none if the credential may not read them.
    pub(super) fn owned(&self, kind: OwnedKind) -> BoxStream<'static, Result<OwnedEntry, String>> {
        let (store, user, has_content) = (self.gateway.0.store.clone(), self.user, self.has_content);
        Box::pin(stream! {
            if !has_content {
                return;
            }
            let mut after = None;
            loop {
                let page = store.owned().page_of(user, kind, after, PAGE_MAX_COUNT).await;
                let (entries, has_more) = match page {
                    Ok(page) => page,
                    Err(error) => {
                        yield Err(format!("a part of the {kind:?}, whose index can't be read: {error}"));
                        return;
                    }
                };
                after = entries.last().copied();
                for entry in entries {
                    yield Ok(entry);
                }
                if !has_more || after.is_none() {
                    return;
                }
            }
        })
    }

    /// The lines of each of the user's things of a kind.
    fn each(
        self: &Arc<Self>,
        kind: OwnedKind,
        lines_of: fn(&Arc<Self>, OwnedEntry) -> BoxStream<'static, Line>,
    ) -> BoxStream<'static, Line> {
        let scope = Arc::clone(self);
        let lines = move |entry| match entry {
            Ok(entry) => lines_of(&scope, entry),
            Err(problem) => stream::once(ready(Err(problem))).boxed(),
        };
        self.owned(kind).flat_map(lines).boxed()
    }
}

/// At most one line.
fn one(
    line: impl Future<Output = Result<Option<Value>, String>> + Send + 'static,
) -> BoxStream<'static, Line> {
    stream::once(line).filter_map(|line| ready(line.transpose())).boxed()
}

fn value(body: &impl Serialize) -> Line {
    serde_json::to_value(body).map_err(|error| error.to_string())
}

fn usage(scope: Arc<ExportScope>) -> BoxStream<'static, Line> {
    Box::pin(stream! {
        if !scope.has_usage {
            return;
        }
        for month in months_before(Timestamp::now()) {
            for organisation in &scope.organisations {
                let rows = scope.gateway.0.store.usage().of(*organisation, &month, Some(scope.user)).await;
                match rows {
                    Ok(rows) => {
                        for row in rows {
                            yield value(&row);
                        }
                    }
                    Err(error) => yield Err(format!("the usage of {month}: {error}")),
                }
            }
        }
    })
}

/// A run, as the API returns it.
fn run(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let scope = Arc::clone(scope);
    one(async move {
        let OwnedEntry::Run(id) = entry else { return Ok(None) };
        scope.gateway.0.records.wait_current(id).await;
        let run = scope.gateway.0.store.runs().get(id).await;
        let run = run.map_err(|error| format!("the run {id}: {error}"))?;
        let run = run.filter(|run| scope.includes(run.owner().organisation));
        run.map(|run| value(&RequestStatus::new(run, ""))).transpose()
    })
}

fn conversation(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let scope = Arc::clone(scope);
    one(async move {
        let OwnedEntry::Run(id) = entry else { return Ok(None) };
        let conversation = scope.gateway.0.store.conversations().of_user(id, scope.user, scope.only).await;
        let conversation = conversation.map_err(|error| format!("the conversation of {id}: {error}"))?;
        Ok(conversation.map(|one| json!({"request_id": id, "messages": one.messages})))
    })
}

fn request(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let scope = Arc::clone(scope);
    one(async move {
        let OwnedEntry::Run(id) = entry else { return Ok(None) };
        let request = scope.gateway.0.store.run_requests().of_user(id, scope.user, scope.only).await;
        let request = request.map_err(|error| format!("the request of {id}: {error}"))?;
        Ok(request.map(|request| json!({"request_id": id, "request": request})))
    })
}

/// A session, and after it its messages.
fn session(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let OwnedEntry::Session(id) = entry else { return stream::empty().boxed() };
    let lines = scope.gateway.session_lines(id, scope.only);
    lines.map_err(move |error| format!("messages of the session {id}: {error}")).boxed()
}

/// The versions of a private definition.
fn definition(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let scope = Arc::clone(scope);
    Box::pin(stream! {
        let OwnedEntry::Definition(id) = entry else { return };
        match scope.gateway.0.store.definitions().get(id).await {
            Ok(Some(record)) if scope.includes(record.organisation) => {
                for line in scope.versions(&record).await {
                    yield line;
                }
            }
            Ok(_) => {}
            Err(error) => yield Err(format!("the definition {id}: {error}")),
        }
    })
}

/// The versions of the definitions that the user shares with organisations.
fn shared_definitions(scope: Arc<ExportScope>) -> BoxStream<'static, Line> {
    Box::pin(stream! {
        if !scope.has_content {
            return;
        }
        for organisation in &scope.organisations {
            let owner = Owner { user: scope.user, organisation: *organisation };
            let records = scope.gateway.0.store.definitions().of_owner(owner).await;
            let records = match records {
                Ok(records) => records,
                Err(error) => {
                    yield Err(format!("the shared definitions of {organisation}: {error}"));
                    continue;
                }
            };
            for record in records {
                // Private ones are in the index of what the user owns.
                if record.visibility == Visibility::Private {
                    continue;
                }
                for line in scope.versions(&record).await {
                    yield line;
                }
            }
        }
    })
}

impl ExportScope {
    async fn versions(&self, record: &DefinitionRecord) -> Vec<Line> {
        match self.gateway.0.definitions.export_lines(record).await {
            Ok(lines) => lines.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(format!("the versions of {}: {}", record.id, error.message))],
        }
    }
}

/// A job, with its input and its result.
fn job(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let scope = Arc::clone(scope);
    Box::pin(stream! {
        let OwnedEntry::Job(id) = entry else { return };
        let (line, problems) = match scope.gateway.export_job(id, scope.user, scope.only).await {
            Ok(Some(exported)) => exported,
            Ok(None) => return,
            Err(error) => {
                yield Err(format!("the job {id}: {error}"));
                return;
            }
        };
        yield Ok(line);
        for problem in problems {
            yield Err(problem);
        }
    })
}

fn batch(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let scope = Arc::clone(scope);
    one(async move {
        let OwnedEntry::Batch(id) = entry else { return Ok(None) };
        let batch = scope.gateway.export_batch(id, scope.user, scope.only).await;
        batch.map_err(|error| format!("the batch {id}: {error}"))
    })
}

/// The deliveries of the user's events to their webhooks, and to those of their jobs.
fn deliveries(scope: Arc<ExportScope>) -> BoxStream<'static, Line> {
    Box::pin(stream! {
        if !scope.has_content {
            return;
        }
        for organisation in &scope.organisations {
            let webhooks = scope.gateway.0.webhooks.with_own_events(scope.user, *organisation).await;
            let webhooks = match webhooks {
                Ok(webhooks) => webhooks,
                Err(error) => {
                    yield Err(format!("the deliveries to webhooks of {organisation}: {error}"));
                    continue;
                }
            };
            for webhook in webhooks {
                let mut lines = scope.gateway.0.webhooks.delivery_lines(webhook);
                while let Some(line) = lines.next().await {
                    yield line.map_err(|error| problem_of_log(&webhook, &error));
                }
            }
        }
    })
}

fn deliveries_of_deleted(scope: &Arc<ExportScope>, entry: OwnedEntry) -> BoxStream<'static, Line> {
    let OwnedEntry::DeletedWebhook(id) = entry else { return stream::empty().boxed() };
    // Their organisation isn't known any more.
    if scope.only.is_some() {
        return stream::empty().boxed();
    }
    let lines = scope.gateway.0.webhooks.delivery_lines(id);
    lines.map_err(move |error| problem_of_log(&id, &error)).boxed()
}

fn problem_of_log(webhook: &impl Display, error: &impl Display) -> String {
    format!("the log of the webhook {webhook}: {error}")
}

/// The months up to this time, as `2026-11`, the latest first.
fn months_before(now: Timestamp) -> Vec<String> {
    let text = now.to_string();
    let number =
        |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let (Some(year), Some(month)) = (number(0..4), number(5..7)) else { return Vec::new() };
    let latest = year * 12 + month.saturating_sub(1);
    (0..USAGE_MONTHS)
        .map(|back| latest - back)
        .map(|month| format!("{}-{:02}", month / 12, month % 12 + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_go_back_over_the_turn_of_the_year() {
        let months = months_before("2026-02-03T04:05:06.007Z".parse().unwrap());
        assert_eq!(months[..3], ["2026-02", "2026-01", "2025-12"]);
        assert_eq!((months.len(), months[11].as_str()), (12, "2025-03"));
    }
}
