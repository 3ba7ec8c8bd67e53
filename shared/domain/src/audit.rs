//! Audit log: the entry of a change or a refusal, and the days and owners that the log is divided by.

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Action, AuditId, OrganisationId, RunId, Timestamp, UserId, id::InvalidId};

const DAY_SECONDS: i64 = 24 * 3600;

impl Action {
    /// True if a request for this action that isn't a `GET` changes something that an auditor asks for. A generation is
    /// recorded as a run.
    #[must_use]
    pub fn is_change(self) -> bool {
        !matches!(
            self,
            Self::Generate
                | Self::ReadModels
                | Self::ReadOrganisation
                | Self::ReadUsage
                | Self::ReadOrganisationUsage
                | Self::ReadAudit
                | Self::Operate
        )
    }
}

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditResult {
    /// The change was made.
    Done,
    /// The request was refused: its credential, its permissions, or a limit.
    Refused,
    /// The change failed.
    Failed,
}

impl AuditResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    /// The result's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A change or a refusal. It has ids, and never a secret, a request's body or a person's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// The organisation in which the caller acted; none before it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OrganisationId>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Id of the user's credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Name of the action: [`Action::as_str`], or the name of a route that needs no credential, such as `login`.
    pub action: String,
    /// Operation of the API by its id in the OpenAPI document, or the command.
    pub operation: String,
    /// Ids of the things that were changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The outcome.
    pub result: AuditResult,
    /// Status of the response; none of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Code of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RunId>,
    /// Number of like requests that the entry stands for.
    pub count: u32,
    /// Further facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl AuditEvent {
    /// Creates the event of a change that was made, without a caller.
    #[must_use]
    pub fn new(action: impl Into<String>, operation: impl Into<String>) -> Self {
        Self {
            organisation: None,
            user: None,
            credential: None,
            action: action.into(),
            operation: operation.into(),
            resources: Vec::new(),
            result: AuditResult::Done,
            status: None,
            code: None,
            address: None,
            request: None,
            count: 1,
            details: BTreeMap::new(),
        }
    }

    /// The log that the event belongs to.
    #[must_use]
    pub fn owner(&self) -> AuditOwner {
        self.organisation.map_or(AuditOwner::Gateway, AuditOwner::Organisation)
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id. The entries of one process sort by it.
    pub id: AuditId,
    /// When it was written.
    pub at: Timestamp,
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// The log of an organisation, or the gateway's own, with the events that belong to no organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum AuditOwner {
    /// Events of no organisation, such as requests without a valid credential.
    Gateway,
    /// Events of an organisation.
    Organisation(OrganisationId),
}

impl AuditOwner {
    /// Name of the gateway's own log.
    pub const GATEWAY: &'static str = "gateway";
}

impl fmt::Display for AuditOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str(Self::GATEWAY),
            Self::Organisation(id) => id.fmt(f),
        }
    }
}

impl FromStr for AuditOwner {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            Self::GATEWAY => Ok(Self::Gateway),
            id => id.parse().map(Self::Organisation),
        }
    }
}

impl TryFrom<String> for AuditOwner {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<AuditOwner> for String {
    fn from(owner: AuditOwner) -> Self {
        owner.to_string()
    }
}

/// A day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AuditDay(i64);

/// A text that is no day.
#[derive(Debug, thiserror::Error)]
#[error("expected a day such as 2026-01-31")]
pub struct InvalidDay;

impl AuditDay {
    /// The day of a moment.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.unix().div_euclid(DAY_SECONDS))
    }

    /// The day `days` later; earlier if negative.
    #[must_use]
    pub fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_unix(self.0.saturating_mul(DAY_SECONDS))
    }
}

impl fmt::Display for AuditDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_string();
        f.write_str(start.get(..10).unwrap_or(&start))
    }
}

impl FromStr for AuditDay {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        format!("{text}T00:00:00Z").parse().map(Self::of).map_err(|_| InvalidDay)
    }
}

impl TryFrom<String> for AuditDay {
    type Error = InvalidDay;

    fn try_from(text: String) -> Result<Self, InvalidDay> {
        text.parse()
    }
}

impl From<AuditDay> for String {
    fn from(day: AuditDay) -> Self {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_begins_at_midnight_in_utc() {
        let at: Timestamp = "2026-03-01T00:30:00+01:00".parse().unwrap();
        let day = AuditDay::of(at);
        assert_eq!(day.to_string(), "2026-02-28");
        assert_eq!(day.plus(1).to_string(), "2026-03-01");
        assert_eq!("2026-02-28".parse::<AuditDay>().unwrap(), day);
        for bad in ["", "2026-02-30", "2026-2-1", "today"] {
            assert!(bad.parse::<AuditDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_of_one_process_sort_in_the_order_of_their_creation() {
        let mut previous = None;
        for _ in 0..1000 {
            let id = AuditId::after(previous);
            assert!(previous.is_none_or(|previous| previous < id));
            previous = Some(id);
        }
        let at = Timestamp::now();
        let (first, last) = (AuditId::first_of(at), AuditId::last_of(at));
        assert!(first < last);
        assert_eq!((first.created_at(), last.created_at()), (at, at));
    }

    #[test]
    fn entry_is_one_object() {
        let mut event = AuditEvent::new("manage_tokens", "create_token");
        event.organisation = Some(OrganisationId::new());
        event.address = Some("::1".parse().unwrap());
        let entry = AuditEntry { id: AuditId::new(), at: Timestamp::now(), event };
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(
            (&json["action"], &json["count"], &json["address"]),
            (&"manage_tokens".into(), &1.into(), &"::1".into())
        );
        assert_eq!(serde_json::from_value::<AuditEntry>(json).unwrap(), entry);
    }
}
