//! Limits attempts at signing in: by account, and by the network that they come from.
//!
//! An attempt is counted before it is verified, so that many at once can't exceed a limit, and a success takes it back. Each
//! limit is a GCRA: so many attempts at once, then one in each interval.
//!
//! An account has a limit for all strangers together, and one for each network from which it has signed in before. So a
//! stranger who uses up the account's limit doesn't keep its user out.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use hearth_domain::{Timestamp, UserId};
use hearth_store::{
    Store, StoreError,
    login_attempts::{AttemptLimit, AttemptSubject},
};
use hearth_wire::{ApiError, ErrorCode};
use tokio::sync::Mutex;

use crate::error;

/// A number of attempts at once, and the interval of further ones.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: i64,
    interval: Duration,
}

/// Failed attempts for an account: 10, then one a minute.
const ACCOUNT_RATE: Rate = Rate { burst: 10, interval: Duration::from_secs(60) };
/// Failed attempts from a network, for all accounts: 30, then one in ten seconds. An office has one address.
const NETWORK_RATE: Rate = Rate { burst: 30, interval: Duration::from_secs(10) };
/// Time after its last sign-in for which an account's network is no stranger.
const NETWORK_TTL: Duration = Duration::from_secs(90 * 24 * 3600);
/// Time after which an unused limit is deleted. By then each has ended.
const LIMIT_TTL: Duration = Duration::from_secs(24 * 3600);
/// Reads and writes of a limit that others change at the same time.
const CHANGE_ATTEMPT_MAX_COUNT: usize = 8;
/// Prefix of an IPv6 address that one client has.
const IPV6_NETWORK_BITS: u32 = 64;

/// Limits attempts at signing in.
#[derive(Debug)]
pub struct Throttle {
    store: Store,
    /// Attempts of this process change a limit one after the other, so that they don't conflict.
    changing: Mutex<()>,
}

/// A counted attempt at signing in to an account.
#[derive(Debug)]
pub(crate) struct Attempt {
    email: String,
    network: Option<String>,
}

impl Throttle {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, changing: Mutex::default() }
    }

    /// Counts an attempt at a route that takes a secret without a credential, by its network.
    ///
    /// # Errors
    /// `rate_limited` after too many attempts.
    #[crate::boxed_future]
    pub async fn by_address(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        match address {
            Some(address) => {
                self.take(AttemptSubject::Address(&network_of(address)), NETWORK_RATE, LIMIT_TTL).await
            }
            None => Ok(()),
        }
    }

    /// Takes back an attempt of [`Throttle::by_address`] that succeeded.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn succeed_by_address(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(address) = address else { return Ok(()) };
        self.give_back(AttemptSubject::Address(&network_of(address)), NETWORK_RATE, LIMIT_TTL).await
    }

    /// Counts an attempt at signing in to an account, which needn't exist.
    ///
    /// # Errors
    /// `rate_limited` after too many attempts.
    pub(crate) async fn begin(&self, email: &str, address: Option<IpAddr>) -> Result<Attempt, ApiError> {
        self.by_address(address).await?;
        let attempt = Attempt { email: email.to_owned(), network: address.map(network_of) };
        let (subject, ttl) = self.account_limit(&attempt).await?;
        self.take(subject, ACCOUNT_RATE, ttl).await?;
        Ok(attempt)
    }

    /// Counts an attempt of a signed-in user at confirming a request by their password. Strangers, who have no credential of
    /// the user, don't use up this limit.
    ///
    /// # Errors
    /// `rate_limited` after too many attempts.
    pub(crate) async fn begin_confirmation(&self, user: UserId) -> Result<(), ApiError> {
        self.take(AttemptSubject::Confirmation(user), ACCOUNT_RATE, LIMIT_TTL).await
    }

    /// Takes back a confirmation that succeeded.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn succeed_confirmation(&self, user: UserId) -> Result<(), ApiError> {
        self.give_back(AttemptSubject::Confirmation(user), ACCOUNT_RATE, LIMIT_TTL).await
    }

    /// Takes back an attempt that succeeded, and remembers its network.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn succeed(&self, attempt: &Attempt) -> Result<(), ApiError> {
        let now = Timestamp::now();
        let Attempt { email, network } = attempt;
        let Some(network) = network else {
            return self.give_back(AttemptSubject::Strangers { email }, ACCOUNT_RATE, LIMIT_TTL).await;
        };
        // A known network is the account's own limit, which is reset; if it was unknown, it counted for strangers.
        let subject = AttemptSubject::Network { email, network };
        let (known, _) = self.account_limit(attempt).await?;
        if known != subject {
            self.give_back(known, ACCOUNT_RATE, LIMIT_TTL).await?;
        }
        let reset = AttemptLimit { arrival_ms: milliseconds(now).to_string() };
        let expires = now.plus(NETWORK_TTL).unix();
        self.store.login_attempts().reset(subject, &reset, expires).await.map_err(error::store)?;
        self.give_back(AttemptSubject::Address(network), NETWORK_RATE, LIMIT_TTL).await
    }

    /// The limit of an account for an attempt, and the time for which it is stored.
    async fn account_limit<'a>(
        &self,
        attempt: &'a Attempt,
    ) -> Result<(AttemptSubject<'a>, Duration), ApiError> {
        let email = &attempt.email;
        if let Some(network) = &attempt.network {
            let subject = AttemptSubject::Network { email, network };
            if self.store.login_attempts().get(subject).await.map_err(error::store)?.is_some() {
                return Ok((subject, NETWORK_TTL));
            }
        }
        Ok((AttemptSubject::Strangers { email }, LIMIT_TTL))
    }

    /// Counts an attempt.
    async fn take(&self, subject: AttemptSubject<'_>, rate: Rate, ttl: Duration) -> Result<(), ApiError> {
        let _changing = self.changing.lock().await;
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let before = self.store.login_attempts().get(subject).await.map_err(error::store)?;
            let now = Timestamp::now();
            let arrival = next_arrival(before.as_ref(), milliseconds(now), rate)
                .map_err(|wait| too_many(subject, wait))?;
            if self.write(subject, before.as_ref(), arrival, now, ttl).await? {
                return Ok(());
            }
        }
        Err(too_many(subject, Duration::from_secs(1)))
    }

    /// Takes back an attempt.
    async fn give_back(
        &self,
        subject: AttemptSubject<'_>,
        rate: Rate,
        ttl: Duration,
    ) -> Result<(), ApiError> {
        let _changing = self.changing.lock().await;
        for _ in 0..CHANGE_ATTEMPT_MAX_COUNT {
            let before = self.store.login_attempts().get(subject).await.map_err(error::store)?;
            let Some(before) = before else { return Ok(()) };
            let arrival = arrival_of(Some(&before)).saturating_sub(interval_ms(rate));
            if self.write(subject, Some(&before), arrival, Timestamp::now(), ttl).await? {
                return Ok(());
            }
        }
        // The attempt stays counted, which ends by itself.
        Ok(())
    }

    /// Returns whether the limit was as it was read.
    async fn write(
        &self,
        subject: AttemptSubject<'_>,
        before: Option<&AttemptLimit>,
        arrival: i64,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<bool, ApiError> {
        let after = AttemptLimit { arrival_ms: arrival.to_string() };
        match self.store.login_attempts().put(subject, before, &after, now.plus(ttl).unix()).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error::store(error)),
        }
    }
}

/// The theoretical arrival time after an attempt at `now`; the error is the time until one is allowed.
fn next_arrival(before: Option<&AttemptLimit>, now: i64, rate: Rate) -> Result<i64, Duration> {
    let next = arrival_of(before).max(now).saturating_add(interval_ms(rate));
    let excess = next.saturating_sub(now).saturating_sub(rate.burst.saturating_mul(interval_ms(rate)));
    if excess <= 0 {
        return Ok(next);
    }
    Err(Duration::from_millis(u64::try_from(excess).unwrap_or_default()))
}

fn arrival_of(limit: Option<&AttemptLimit>) -> i64 {
    limit.and_then(|limit| limit.arrival_ms.parse().ok()).unwrap_or_default()
}

fn interval_ms(rate: Rate) -> i64 {
    i64::try_from(rate.interval.as_millis()).unwrap_or(i64::MAX)
}

fn milliseconds(at: Timestamp) -> i64 {
    let since = Timestamp::from_unix(0).until(at);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The network of one client: an IPv4 address, or the first half of an IPv6 address.
fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_NETWORK_BITS);
            format!("{}/{IPV6_NETWORK_BITS}", Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

fn too_many(subject: AttemptSubject<'_>, wait: Duration) -> ApiError {
    let of = match subject {
        AttemptSubject::Address(_) => "from this address",
        _ => "for this account",
    };
    let message =
        format!("there were too many failed attempts {of}; try again after the time in `retry-after`");
    ApiError::new(ErrorCode::RateLimited, message).with_retry_after(Some(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(10) };

    #[test]
    fn attempts_above_the_burst_wait_for_their_interval() {
        let limit = |arrival: i64| AttemptLimit { arrival_ms: arrival.to_string() };
        let mut before = None;
        for _ in 0..3 {
            before = Some(limit(next_arrival(before.as_ref(), 100_000, RATE).unwrap()));
        }
        let wait = next_arrival(before.as_ref(), 100_000, RATE).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        assert_eq!(next_arrival(before.as_ref(), 104_000, RATE).unwrap_err(), Duration::from_secs(6));
        assert!(next_arrival(before.as_ref(), 110_000, RATE).is_ok());
        // After a long pause the whole burst is there, and no more.
        assert_eq!(next_arrival(before.as_ref(), 9_000_000, RATE), Ok(9_010_000));
    }

    #[test]
    fn network_is_an_ipv4_address_or_half_an_ipv6_address() {
        for (address, network) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(network_of(address.parse().unwrap()), network);
        }
    }
}
