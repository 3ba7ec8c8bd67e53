//! Pages of the log, and the requests of the API.

use std::collections::BTreeSet;

use hearth_domain::{Action, AuditDay, AuditEntry, AuditId, AuditOwner, Timestamp};
use hearth_store::audit::{AuditRecord, StoredAuditRecord};
use hearth_wire::{
    ApiError,
    native::audit::{
        AuditBreakBody, AuditEntryBody, AuditList, AuditPlaceBody, AuditQuery, AuditVerification, VerifyQuery,
    },
};

use super::{
    Audit,
    verify::{AuditBreak, Verification, VerifyRequest},
};
use crate::{Caller, error, pager::Pager, time_filter::parse_moment};

const PAGE_MAX_COUNT: u32 = 1000;
/// Days before now at which a list without a beginning begins.
const DEFAULT_DAYS: i64 = 7;
/// Records that one request reads to find those that its filter selects.
const SCAN_MAX_COUNT: usize = 5000;
/// Partitions that one request reads.
const PARTITION_MAX_COUNT: usize = 200;
/// Name of the logs of all organisations together.
const ALL: &str = "all";

/// The logs that a request reads.
#[derive(Debug, Clone, Copy)]
enum Logs {
    One(AuditOwner),
    All,
}

/// A position in a list: a day, a log, and the id of the last record before the position.
#[derive(Debug, Clone)]
struct Position {
    day: AuditDay,
    owner: Option<AuditOwner>,
    id: Option<String>,
}

impl Audit {
    /// A page of the entries that a query selects.
    ///
    /// # Errors
    /// `invalid_request` for a bad parameter; `forbidden` for another organisation's log; `internal` if the store
    /// fails.
    #[crate::boxed_future]
    pub async fn list(&self, caller: &Caller, query: &AuditQuery) -> Result<AuditList, ApiError> {
        let list = list_of(query);
        let pager = Pager::with_max(&self.keys, caller.owner(), &list, query.limit, PAGE_MAX_COUNT)?;
        let logs = logs_of(caller, query.organisation.as_deref())?;
        let now = Timestamp::now();
        let from = match &query.from {
            Some(text) => parse_moment("from", text, false)?,
            None => AuditDay::of(now).plus(-DEFAULT_DAYS).start(),
        };
        let to = match &query.to {
            Some(text) => parse_moment("to", text, true)?,
            None => now,
        };
        let start = pager.open_with(query.cursor.as_deref(), Position::parse).await?;
        let start = start.unwrap_or_else(|| Position { day: AuditDay::of(from), owner: None, id: None });
        let limit = pager.limit as usize;
        let mut scan = Scan { query, limit, entries: Vec::new(), read: 0, partitions: 0 };
        let next = self.scan(&mut scan, logs, (from, to), start).await?;
        let next_cursor = pager.seal(next.map(|position| position.to_text())).await?;
        Ok(AuditList { entries: scan.entries, next_cursor })
    }

    /// Reads records from a position on. Returns the position at which it stopped before the end.
    async fn scan(
        &self,
        scan: &mut Scan<'_>,
        logs: Logs,
        (from, to): (Timestamp, Timestamp),
        start: Position,
    ) -> Result<Option<Position>, ApiError> {
        let range = (AuditId::first_of(from), AuditId::last_of(to));
        let oldest = AuditDay::of(Timestamp::now()).plus(-1 - i64::from(self.settings.retention_days));
        let Position { mut day, owner: mut resume, mut id } = start;
        // Older entries have expired.
        day = day.max(oldest);
        while day <= AuditDay::of(to) {
            for owner in self.owners_of(logs, day).await? {
                if resume.is_some_and(|resumed| owner < resumed) {
                    continue;
                }
                let mut after = if resume == Some(owner) { id.take() } else { None };
                resume = None;
                loop {
                    let page = self.store.audit().page(owner, day, range, after, None).await;
                    let page = page.map_err(error::store)?;
                    for stored in page.records {
                        let stored_id = stored.id.clone();
                        scan.note(stored);
                        if scan.is_full() {
                            return Ok(Some(Position { day, owner: Some(owner), id: Some(stored_id) }));
                        }
                    }
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
            }
            (resume, id) = (None, None);
            day = day.plus(1);
            scan.partitions += 1;
            if scan.partitions >= PARTITION_MAX_COUNT && day <= AuditDay::of(to) {
                return Ok(Some(Position { day, owner: None, id: None }));
            }
        }
        Ok(None)
    }

    async fn owners_of(&self, logs: Logs, day: AuditDay) -> Result<BTreeSet<AuditOwner>, ApiError> {
        match logs {
            Logs::One(owner) => Ok([owner].into()),
            Logs::All => self.store.audit().owners(day).await.map_err(error::store),
        }
    }

    /// Verifies a log.
    ///
    /// # Errors
    /// `invalid_request` for a bad parameter; `forbidden` for another organisation's log; `internal` if the store
    /// fails.
    #[crate::boxed_future]
    pub async fn verify_for(
        &self,
        caller: &Caller,
        query: &VerifyQuery,
    ) -> Result<AuditVerification, ApiError> {
        let Logs::One(owner) = logs_of(caller, query.organisation.as_deref())? else {
            return Err(ApiError::invalid(
                "organisation",
                "one log is verified at a time; name an organisation",
            ));
        };
        let day = |name: &'static str, text: &Option<String>| match text {
            Some(text) => {
                text.parse::<AuditDay>().map(Some).map_err(|error| ApiError::invalid(name, error.to_string()))
            }
            None => Ok(None),
        };
        let seal = query.seal.as_deref().map(|text| parse_seal(text).ok_or_else(bad_seal)).transpose()?;
        let request =
            VerifyRequest { owner, from: day("from", &query.from)?, to: day("to", &query.to)?, seal };
        Ok(verification_body(owner, self.verify(&request).await?))
    }
}

/// A list that is being read.
struct Scan<'a> {
    query: &'a AuditQuery,
    limit: usize,
    entries: Vec<AuditEntryBody>,
    read: usize,
    partitions: usize,
}

impl Scan<'_> {
    /// Adds a record to the list, if the query selects it. One that can't be read is found by a verification.
    fn note(&mut self, stored: StoredAuditRecord) {
        self.read += 1;
        let is_expired = stored.expires.is_some_and(|at| at <= Timestamp::now().unix());
        let Ok(record) = stored.record else { return };
        let Ok(entry) = serde_json::from_str::<AuditEntry>(&record.entry) else { return };
        if !is_expired && self.selects(&entry) {
            self.entries.push(entry_body(entry, record));
        }
    }

    fn selects(&self, AuditEntry { event, .. }: &AuditEntry) -> bool {
        let query = self.query;
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        is(&query.action, &event.action)
            && is(&query.operation, &event.operation)
            && query.user.as_ref().is_none_or(|user| event.user.is_some_and(|id| id.to_string() == *user))
            && query.result.is_none_or(|result| result == event.result)
            && query.resource.as_ref().is_none_or(|resource| event.resources.contains(resource))
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.limit || self.read >= SCAN_MAX_COUNT
    }
}

impl Position {
    fn to_text(&self) -> String {
        let owner = self.owner.map(|owner| owner.to_string()).unwrap_or_default();
        format!("{}|{owner}|{}", self.day, self.id.as_deref().unwrap_or_default())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        let (day, owner, id) = (parts.next()?, parts.next()?, parts.next()?);
        let owner = if owner.is_empty() { None } else { Some(owner.parse().ok()?) };
        let id = (!id.is_empty()).then(|| id.to_owned());
        Some(Self { day: day.parse().ok()?, owner, id })
    }
}

/// The logs that a caller names. The log of the caller's organisation needs no more than the route's own permission.
fn logs_of(caller: &Caller, organisation: Option<&str>) -> Result<Logs, ApiError> {
    let own = AuditOwner::Organisation(caller.organisation);
    let logs = match organisation {
        None => return Ok(Logs::One(own)),
        Some(ALL) => Logs::All,
        Some(id) => Logs::One(id.parse().map_err(|_| {
            let message = "organisation must be an organisation's id, \"gateway\" or \"all\"";
            ApiError::invalid("organisation", message)
        })?),
    };
    match logs {
        Logs::One(owner) if owner == own => {}
        _ => caller.require(Action::Administer)?,
    }
    Ok(logs)
}

/// The list that a cursor is valid for.
fn list_of(query: &AuditQuery) -> String {
    let filter = AuditQuery { limit: None, cursor: None, ..query.clone() };
    format!("audit|{filter:?}")
}

fn parse_seal(text: &str) -> Option<(u64, String)> {
    let (number, hash) = text.split_once(':')?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some((number.parse().ok()?, hash.to_ascii_lowercase()))
}

fn bad_seal() -> ApiError {
    ApiError::invalid("seal", "seal must be NUMBER:HASH, as the result of a verification has it")
}

fn entry_body(entry: AuditEntry, record: AuditRecord) -> AuditEntryBody {
    let AuditEntry { id, at, event } = entry;
    AuditEntryBody {
        id: id.to_string(),
        at: at.to_string(),
        organisation: event.organisation.map(|id| id.to_string()),
        user: event.user.map(|id| id.to_string()),
        credential: event.credential,
        action: event.action,
        operation: event.operation,
        resources: event.resources,
        result: event.result,
        status: event.status,
        code: event.code,
        address: event.address.map(|address| address.to_string()),
        request_id: event.request.map(|id| id.to_string()),
        count: event.count,
        details: event.details,
        chain: AuditPlaceBody {
            id: record.chain.to_string(),
            number: record.number,
            previous: record.previous,
            hash: record.hash,
        },
    }
}

fn verification_body(owner: AuditOwner, verification: Verification) -> AuditVerification {
    AuditVerification {
        organisation: owner.to_string(),
        intact: verification.first_break.is_none(),
        first_break: verification.first_break.map(break_body),
        records: verification.records,
        chains: verification.chains,
        seals: verification.seals,
        unsealed: verification.unsealed,
        last_seal: verification.last_seal.map(|(number, hash)| format!("{number}:{hash}")),
        next_from: verification.next_from.map(|day| day.to_string()),
    }
}

fn break_body(found: AuditBreak) -> AuditBreakBody {
    AuditBreakBody {
        kind: found.kind.as_str().to_owned(),
        message: found.message,
        day: found.day.map(|day| day.to_string()),
        chain: found.chain.map(|chain| chain.to_string()),
        number: found.number,
        id: found.id,
    }
}
