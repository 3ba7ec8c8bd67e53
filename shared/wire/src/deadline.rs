//! The option `deadline` of a request: how long it waits for its caller's nodes.

use std::time::Duration;

use hearth_domain::{HomeWait, Prefer, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ApiError;

/// Longest wait for a node.
const HOME_WAIT_MAX: Duration = Duration::from_hours(24);

/// Time up to which a request waits for its caller's nodes: seconds from now, or an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected seconds from now, or a time such as 2026-01-31T09:30:00Z")]
pub enum Deadline {
    /// Seconds from now.
    Seconds(f64),
    /// Time.
    At(Timestamp),
}

impl Deadline {
    /// Returns the time.
    ///
    /// # Errors
    /// `invalid_request` for a time in the past, or more than a day away.
    fn resolve(self, now: Timestamp) -> Result<Timestamp, ApiError> {
        let wait = match self {
            Self::Seconds(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Self::At(time) => (time >= now).then(|| now.until(time)),
        };
        match wait.filter(|wait| *wait <= HOME_WAIT_MAX) {
            Some(wait) => Ok(now.plus(wait)),
            None => {
                let hours = HOME_WAIT_MAX.as_secs() / 3600;
                let message = format!(
                    "deadline must be seconds from now, or a time in the future, at most {hours} hours away"
                );
                Err(ApiError::invalid("deadline", message))
            }
        }
    }
}

/// Returns the wait that the options `prefer` and `deadline` ask for, if they ask for one.
///
/// # Errors
/// `invalid_request` for a deadline that is impossible, or without a node to wait for.
pub(crate) fn home_wait(
    prefer: Option<Prefer>,
    deadline: Option<Deadline>,
) -> Result<Option<HomeWait>, ApiError> {
    match (prefer, deadline) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let message = "deadline is the time up to which a request waits for a node of its caller: send \
                           \"prefer\": \"home\" with it, or leave it out";
            Err(ApiError::invalid("deadline", message))
        }
        (Some(Prefer::Home), deadline) => {
            let until = deadline.map(|deadline| deadline.resolve(Timestamp::now())).transpose()?;
            Ok(Some(HomeWait { until }))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(json: serde_json::Value) -> Option<String> {
        let now: Timestamp = "2026-01-31T09:30:00.000Z".parse().unwrap();
        let deadline: Deadline = serde_json::from_value(json).ok()?;
        deadline.resolve(now).ok().map(|at| at.to_string())
    }

    #[test]
    fn deadline_is_seconds_from_now_or_a_time_within_a_day() {
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(resolved(json!(90)), at("2026-01-31T09:31:30.000Z"));
        assert_eq!(resolved(json!(0.5)), at("2026-01-31T09:30:00.500Z"));
        assert_eq!(resolved(json!(0)), at("2026-01-31T09:30:00.000Z"));
        assert_eq!(resolved(json!("2026-01-31T11:30:00+01:00")), at("2026-01-31T10:30:00.000Z"));
        assert_eq!(resolved(json!("2026-02-01T09:30:00Z")), at("2026-02-01T09:30:00.000Z"));
        for bad in
            [json!(-1), json!(86_401), json!(1e300), json!("soon"), json!("2026-01-31T09:29:59Z"), json!({})]
        {
            assert_eq!(resolved(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn deadline_without_a_node_to_wait_for_is_refused() {
        let deadline = Some(Deadline::Seconds(5.0));
        assert_eq!(home_wait(None, deadline).unwrap_err().param.as_deref(), Some("deadline"));
        assert_eq!(home_wait(None, None), Ok(None));
        assert_eq!(home_wait(Some(Prefer::Home), None), Ok(Some(HomeWait { until: None })));
        assert!(home_wait(Some(Prefer::Home), deadline).unwrap().unwrap().until.is_some());
    }
}
