//! Reads the time until the next request from the headers and body of a provider's error response.
//!
//! Nothing in them is trusted: values that can't be read, are negative or lie in the past count as absent, and no time is
//! longer than [`RETRY_AFTER_MAX`].

use std::time::{Duration, SystemTime};

use hearth_domain::Timestamp;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Longest accepted time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Headers of limits: the remainder, and the time at which the limit is reset.
const LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Returns the time until the request may succeed, from `retry-after-ms` or `retry-after`, else the body, else, for a
/// 429, the limits that are used up.
pub(crate) fn of_response(
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
    now: SystemTime,
) -> Option<Duration> {
    of_header(headers, now).or_else(|| google_retry_delay(body)).or_else(|| loading_time(body)).or_else(
        || {
            let reset = (status == StatusCode::TOO_MANY_REQUESTS).then(|| {
                let now = Timestamp::now();
                let reset = limit_reset(headers, now).or_else(|| lone_reset(headers, now))?;
                u64::try_from(reset.unix() - now.unix()).ok().and_then(|seconds| bounded(seconds as f64))
            });
            reset.flatten()
        },
    )
}

/// Reads OpenAI's `retry-after-ms`, and `retry-after`, a number of seconds or a date (RFC 9110, section 10.2.3).
pub(crate) fn of_header(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |name: &str| httpdate::parse_http_date(text(name)?).ok();
    let milliseconds = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    if let Some(wait) = milliseconds.and_then(|milliseconds| bounded(milliseconds / 1000.0)) {
        return Some(wait);
    }
    if let Ok(seconds) = text("retry-after")?.parse::<f64>() {
        return bounded(seconds);
    }
    // By the provider's clock, if the response has a date, else by this one.
    let wait = date("retry-after")?.duration_since(date("date").unwrap_or(now)).ok()?;
    bounded(wait.as_secs_f64())
}

/// Iterates over the details of an error of Google's (<https://cloud.google.com/apis/design/errors>).
pub(crate) fn google_details(body: &Value) -> impl Iterator<Item = &Value> {
    body["error"]["details"].as_array().into_iter().flatten()
}

/// Reads Google's `RetryInfo`, such as `39.5s`.
fn google_retry_delay(body: &Value) -> Option<Duration> {
    let delay = google_details(body).find_map(|detail| detail["retryDelay"].as_str())?;
    bounded(delay.strip_suffix('s')?.parse().ok()?)
}

/// Reads Hugging Face's estimate of the loading time of a model, in seconds.
fn loading_time(body: &Value) -> Option<Duration> {
    bounded(body["estimated_time"].as_f64()?)
}

/// Returns a positive number of seconds as a bounded duration.
fn bounded(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_MAX.as_secs_f64())))
}

/// Returns the latest reset of the limits that are used up.
pub(crate) fn limit_reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    resets(headers, now, |remaining| remaining == Some("0")).max()
}

/// Returns the soonest reset of the limits without a remainder.
fn lone_reset(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    resets(headers, now, |remaining| remaining.is_none()).min()
}

fn resets(
    headers: &HeaderMap,
    now: Timestamp,
    counts: impl Fn(Option<&str>) -> bool,
) -> impl Iterator<Item = Timestamp> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    LIMITS.into_iter().filter_map(
        move |(remaining, reset)| {
            if counts(text(remaining)) { reset_time(text(reset)?, now) } else { None }
        },
    )
}

/// Parses the time of a reset: a timestamp, as Anthropic's; milliseconds since 1970, as OpenRouter's, or seconds; or a
/// duration such as `6m0s`, `1.5s` or `120ms`, as OpenAI's. `None` for a time more than a day ahead.
fn reset_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text.len());
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Some(10 | 13) = digits {
        let seconds = text.get(..10)?;
        Timestamp::from_unix(seconds.parse().ok()?)
    } else {
        now.plus(duration(text)?.min(RETRY_AFTER_MAX))
    };
    (at <= now.plus(RETRY_AFTER_MAX)).then_some(at)
}

/// Parses a duration as Go writes it; a number without a unit is seconds.
fn duration(text: &str) -> Option<Duration> {
    let number =
        |digits: &str| digits.parse::<f64>().ok().filter(|n| n.is_finite() && (0.0..1e9).contains(n));
    if let Some(seconds) = number(text) {
        return Some(Duration::from_secs_f64(seconds));
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value = number(rest.get(..end)?)?;
        let units = [("ms", 0.001), ("us", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, factor) =
            units.iter().find(|(unit, _)| rest.get(end..).is_some_and(|r| r.starts_with(unit)))?;
        seconds += value * factor;
        rest = rest.get(end + unit.len()..)?;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_000_000 + seconds)
    }

    #[test]
    fn retry_after_header_is_read_in_every_form() {
        // A Sunday, 8:49:37.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", " 7 ", Some(7_000)),
            ("retry-after", "0.2", Some(200)),
            ("retry-after", "0", None),
            ("retry-after", "-5", None),
            ("retry-after", "NaN", None),
            ("retry-after", "inf", Some(86_400_000)),
            ("retry-after", "99999999999", Some(86_400_000)),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after", "Sun, 06 Nov 1994 08:49:46 GMT", Some(9_000)),
            ("retry-after", "Sunday, 06-Nov-94 08:49:46 GMT", Some(9_000)),
            ("retry-after", "Sun Nov  6 08:49:46 1994", Some(9_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT", None),
            ("retry-after", "Sat, 06 Nov 2094 08:49:30 GMT", Some(86_400_000)),
            ("retry-after-ms", "2500", Some(2_500)),
            ("retry-after-ms", "-1", None),
        ];
        for (name, text, wait) in cases {
            let read = of_header(&headers(&[(name, text)]), now).map(|wait| wait.as_millis());
            assert_eq!(read, wait, "{name}: {text}");
        }
        let ahead = headers(&[
            ("date", "Sun, 06 Nov 1994 09:00:00 GMT"),
            ("retry-after", "Sun, 06 Nov 1994 09:00:20 GMT"),
        ]);
        assert_eq!(of_header(&ahead, now), Some(Duration::from_secs(20)), "the provider's clock is ahead");
        let both = headers(&[("retry-after-ms", "x"), ("retry-after", "3")]);
        assert_eq!(of_header(&both, now), Some(Duration::from_secs(3)));
    }

    #[test]
    fn body_and_limits_are_read_where_the_header_is_absent() {
        let read = |status: u16, pairs: &[(&'static str, &str)], body: Value| {
            let status = StatusCode::from_u16(status).unwrap();
            of_response(status, &headers(pairs), &body, SystemTime::now()).map(|wait| wait.as_secs_f64())
        };
        let delay = |delay: &str| json!({"error": {"details": [{"reason": "x"}, {"retryDelay": delay}]}});
        assert_eq!(read(429, &[], delay("38.5s")), Some(38.5));
        assert_eq!(read(429, &[], delay("soon")), None);
        assert_eq!(read(503, &[], json!({"error": "loading", "estimated_time": 12.3})), Some(12.3));
        let requests = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m30s")];
        let tokens = [("x-ratelimit-remaining-tokens", "17"), ("x-ratelimit-reset-tokens", "3s")];
        assert_eq!(read(429, &[requests, tokens].concat(), Value::Null), Some(90.0));
        assert_eq!(read(429, &[("x-ratelimit-reset", "20")], Value::Null), Some(20.0));
        assert_eq!(read(429, &tokens, Value::Null), None);
        assert_eq!(read(500, &requests, Value::Null), None);
    }

    #[test]
    fn reset_times_are_read_in_every_form() {
        let cases = [
            ("20ms", Some(0)),
            ("1s", Some(1)),
            ("6m0s", Some(360)),
            ("2m59.56s", Some(179)),
            ("1h2m3s", Some(3723)),
            ("7", Some(7)),
            ("1000060000", None),
            ("999999", Some(24 * 3600)),
            ("", None),
            ("soon", None),
            ("1x", None),
            ("-1s", None),
        ];
        for (text, seconds) in cases {
            let wait = reset_time(text, at(0)).map(|reset| reset.unix() - at(0).unix());
            assert_eq!(wait, seconds, "{text}");
        }
        let now = Timestamp::from_unix(1_741_305_600);
        assert_eq!(reset_time("1741305660000", now).map(Timestamp::unix), Some(1_741_305_660));
        assert_eq!(reset_time("1741305660", now).map(Timestamp::unix), Some(1_741_305_660));
        assert_eq!(reset_time("1941305660000", now), None);
    }
}
