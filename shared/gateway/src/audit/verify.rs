//! Verification of an owner's log: seals first, then the records of each day, up to the first break.

mod day;
mod seals;

pub(super) use day::DayCheck;
pub(super) use seals::SealIndex;

use hearth_domain::{AuditChainId, AuditDay, AuditId, AuditOwner, Timestamp};
use hearth_wire::ApiError;

use super::Audit;
use crate::error;

/// Records after which a verification ends with the day that it has reached: the request of a larger log is repeated.
const RECORD_MAX_COUNT: u64 = 50_000;

/// The kind of a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakKind {
    /// A record or a seal differs from what was written.
    Changed,
    /// A record or a seal is missing.
    Removed,
    /// A record was added that its chain doesn't have.
    Inserted,
    /// A record stands at another place of its chain.
    Reordered,
    /// A record or a seal can't be read.
    Unreadable,
}

impl BreakKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A place at which a log isn't as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBreak {
    /// Its kind.
    pub kind: BreakKind,
    /// The day; none of a seal.
    pub day: Option<AuditDay>,
    /// The chain; none of a seal.
    pub chain: Option<AuditChainId>,
    /// The number of the record in its chain, or of the seal.
    pub number: Option<u64>,
    /// The id of the record.
    pub id: Option<String>,
    /// The finding, as a sentence.
    pub message: String,
}

impl AuditBreak {
    pub(super) fn of_seal(kind: BreakKind, number: Option<u64>, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind, day: None, chain: None, number, id: None, message: message.into() })
    }
}

/// A request to verify a log.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// The log.
    pub owner: AuditOwner,
    /// The first day; `None` for the first that hasn't expired.
    pub from: Option<AuditDay>,
    /// The last day; `None` for today.
    pub to: Option<AuditDay>,
    /// Number and hash of a seal that the log must still have.
    pub seal: Option<(u64, String)>,
}

/// The result of a verification.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// Records that were checked.
    pub records: u64,
    /// Chains that were checked.
    pub chains: u64,
    /// Seals that were checked.
    pub seals: u64,
    /// Records that no seal has yet: the last ones of a chain could be cut off without a trace.
    pub unsealed: u64,
    /// Number and hash of the last seal.
    pub last_seal: Option<(u64, String)>,
    /// The first break; none if the log is intact.
    pub first_break: Option<AuditBreak>,
    /// The day from which the next request continues; none if the last day was reached.
    pub next_from: Option<AuditDay>,
}

impl Audit {
    /// Verifies a log, day by day, up to its first break.
    ///
    /// # Errors
    /// `internal` if the store fails.
    #[crate::boxed_future]
    pub async fn verify(&self, request: &VerifyRequest) -> Result<Verification, ApiError> {
        let VerifyRequest { owner, from, to, ref seal } = *request;
        let now = Timestamp::now();
        let keys = self.keys.get().await?;
        let log = self.store.audit();
        // The last seal first: the list that is read after it has it.
        let last = log.last_seal(owner).await;
        let records = log.seals(owner).await.map_err(error::store)?;
        let mut verification = Verification { seals: records.len() as u64, ..Verification::default() };
        let checked = last.map_err(|error| {
            AuditBreak::of_seal(BreakKind::Unreadable, None, format!("the last seal can't be read: {error}"))
        });
        let checked = checked.and_then(|last| SealIndex::check(owner, &records, last.as_ref(), keys, now));
        let index = match checked.and_then(|index| index.require(seal.as_ref()).map(|()| index)) {
            Ok(index) => index,
            Err(first_break) => return Ok(Verification { first_break: Some(*first_break), ..verification }),
        };
        verification.last_seal.clone_from(&index.last);
        // A clock may be ahead.
        let last_day = to.unwrap_or_else(|| AuditDay::of(now).plus(1));
        let retention = i64::from(self.settings.retention_days) + 1;
        let oldest = index.first_day(now).unwrap_or_else(|| AuditDay::of(now).plus(-retention));
        let mut day = from.unwrap_or_else(|| oldest.min(AuditDay::of(now).plus(-retention)));
        while day <= last_day {
            let mut check = DayCheck::new(owner, day, &index, now);
            let first_break = self.check_day(owner, day, &mut check).await?;
            verification.records += check.records;
            verification.chains += check.chain_count();
            verification.unsealed += check.unsealed;
            if first_break.is_some() {
                return Ok(Verification { first_break: first_break.map(|first| *first), ..verification });
            }
            day = day.plus(1);
            if verification.records >= RECORD_MAX_COUNT && day <= last_day {
                return Ok(Verification { next_from: Some(day), ..verification });
            }
        }
        Ok(verification)
    }

    async fn check_day(
        &self,
        owner: AuditOwner,
        day: AuditDay,
        check: &mut DayCheck<'_>,
    ) -> Result<Option<Box<AuditBreak>>, ApiError> {
        // The whole partition: a record under the id of another day is a break.
        let range = (AuditId::MIN, AuditId::MAX);
        let mut after = None;
        loop {
            let page = self.store.audit().page(owner, day, range, after, None).await.map_err(error::store)?;
            for record in &page.records {
                if let Err(first_break) = check.next(record) {
                    return Ok(Some(first_break));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(check.finish().err());
            }
        }
    }
}
