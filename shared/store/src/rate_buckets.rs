//! Counts of rate limits that processes share. A process takes a lease of a part of a window's limit, and serves requests
//! from it. What it doesn't use is lost with it, and is never given out twice.

use hearth_domain::{LimitSubject, OrganisationId, Timestamp};

use crate::{
    StoreError, Table,
    database::{Condition, Created, Key, Update, Write},
};

const VERSION: u32 = 1;
/// Seconds after a window's end at which its count expires.
const TTL_SECONDS: i64 = 3600;

/// A window of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateWindow {
    /// The organisation in which the subject has the limit: a member of two has one in each.
    pub organisation: OrganisationId,
    /// The subject of the limit.
    pub subject: LimitSubject,
    /// The name of what is limited, and of the window's length.
    pub resource: &'static str,
    /// The beginning.
    pub begins_at: Timestamp,
    /// The end.
    pub ends_at: Timestamp,
}

/// Counts of rate limits.
#[derive(Debug, Clone, Copy)]
pub struct RateBuckets<'a>(pub(crate) &'a Table);

impl RateBuckets<'_> {
    /// Takes a lease of `amount` of a window's limit. Returns whether so much was left.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn lease(&self, window: &RateWindow, amount: i64, limit: i64) -> Result<bool, StoreError> {
        let ttl = Some(window.ends_at.unix().saturating_add(TTL_SECONDS));
        let update = Update {
            create: Some(Created { version: VERSION, ttl }),
            add: vec![("leased", amount)],
            ..Update::default()
        };
        let is_left = match limit.checked_sub(amount) {
            Some(most) if most >= 0 => Condition::NumberAtMost("leased", most),
            _ => return Ok(false),
        };
        match self.0.0.write(Write::Update(key(window), update, is_left)).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn key(window: &RateWindow) -> Key {
    let RateWindow { organisation, subject, resource, begins_at, .. } = window;
    Key::new(format!("RL#{organisation}#{subject}#{resource}"), begins_at.to_string())
}
