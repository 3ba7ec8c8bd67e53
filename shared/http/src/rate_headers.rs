//! Response headers with the state of the caller's rate limits, under the names of the request's dialect.
//!
//! | dialect | headers |
//! |---|---|
//! | native, Gemini's, Ollama's | `x-ratelimit-limit`, `-remaining`, `-reset`: of requests, or of tokens if only they are limited; seconds |
//! | OpenAI's | `x-ratelimit-limit-requests`, `-remaining-requests`, `-reset-requests`, and the same of tokens; times as `1m30s` |
//! | Anthropic's | `anthropic-ratelimit-requests-limit`, `-remaining`, `-reset`, and the same of tokens; times as RFC 3339 |

use axum::response::Response;
use hearth_domain::{ClientDialect, Timestamp};
use hearth_gateway::{RateState, RateStatus};
use hearth_wire::{ApiError, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::error_format::ErrorFormat;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

const OPENAI_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const OPENAI_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
const ANTHROPIC_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
const ANTHROPIC_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];

/// Adds the state of the caller's rate limits, if any rate is limited.
#[must_use]
pub fn with_rate(mut response: Response, status: Option<RateStatus>) -> Response {
    if let Some(status) = status {
        write(response.headers_mut(), &status, Names::of(status.dialect), Timestamp::now());
    }
    response
}

/// Adds the state of the limit that an error is of, if it is one of the gateway's own.
pub(crate) fn write_error(headers: &mut HeaderMap, error: &ApiError, format: ErrorFormat) {
    if error.code != ErrorCode::RateLimited {
        return;
    }
    let detail = |name: &str| error.details.get(name);
    let text = |name: &str| detail(name)?.as_str();
    let limit = detail("limit").and_then(Value::as_u64);
    let Some((limit, resets_at)) = limit.zip(text("resets_at")) else { return };
    let now = Timestamp::now();
    let state = RateState { limit, remaining: 0, resets_at: resets_at.parse().unwrap_or(now) };
    let (requests, tokens) = match text("resource") {
        Some("tokens") => (None, Some(state)),
        _ => (Some(state), None),
    };
    let status = RateStatus { requests, tokens, dialect: ClientDialect::Native };
    write(headers, &status, Names::Native, now);
    match format {
        // The format of the native routes too.
        ErrorFormat::OpenAi => write(headers, &status, Names::OpenAi, now),
        ErrorFormat::Anthropic => write(headers, &status, Names::Anthropic, now),
        ErrorFormat::Gemini | ErrorFormat::Ollama => {}
    }
}

/// Names of the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Native,
    OpenAi,
    Anthropic,
}

impl Names {
    fn of(dialect: ClientDialect) -> Self {
        match dialect {
            ClientDialect::Native | ClientDialect::Gemini | ClientDialect::Ollama => Self::Native,
            ClientDialect::OpenAiChat
            | ClientDialect::OpenAiCompletions
            | ClientDialect::OpenAiResponses
            | ClientDialect::OpenAiEmbeddings
            | ClientDialect::OpenAiImages => Self::OpenAi,
            ClientDialect::Anthropic => Self::Anthropic,
        }
    }
}

fn write(headers: &mut HeaderMap, status: &RateStatus, names: Names, now: Timestamp) {
    let RateStatus { requests, tokens, .. } = status;
    match names {
        Names::Native => insert(headers, [LIMIT, REMAINING, RESET], requests.or(*tokens), |state| {
            state.seconds_left(now).to_string()
        }),
        Names::OpenAi => {
            let reset = |state: &RateState| spoken(state.seconds_left(now));
            insert(headers, OPENAI_REQUESTS, *requests, reset);
            insert(headers, OPENAI_TOKENS, *tokens, reset);
        }
        Names::Anthropic => {
            let reset = |state: &RateState| state.resets_at.to_string();
            insert(headers, ANTHROPIC_REQUESTS, *requests, reset);
            insert(headers, ANTHROPIC_TOKENS, *tokens, reset);
        }
    }
}

fn insert(
    headers: &mut HeaderMap,
    names: [HeaderName; 3],
    state: Option<RateState>,
    reset: impl Fn(&RateState) -> String,
) {
    let Some(state) = state else { return };
    let [limit, remaining, resets] = names;
    headers.insert(limit, state.limit.into());
    headers.insert(remaining, state.remaining.into());
    if let Ok(value) = HeaderValue::try_from(reset(&state)) {
        headers.insert(resets, value);
    }
}

/// A time as OpenAI writes it: `1m30s`.
fn spoken(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

/// All headers of rate limits, for pages of other origins.
pub(crate) fn all() -> impl Iterator<Item = HeaderName> {
    let dialects = [OPENAI_REQUESTS, OPENAI_TOKENS, ANTHROPIC_REQUESTS, ANTHROPIC_TOKENS];
    [LIMIT, REMAINING, RESET].into_iter().chain(dialects.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(status: &RateStatus, names: Names) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        write(&mut headers, status, names, "2026-11-29T10:00:30.000Z".parse().unwrap());
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn each_dialect_has_its_own_names() {
        let state = |limit, remaining, resets_at: &str| {
            Some(RateState { limit, remaining, resets_at: resets_at.parse().unwrap() })
        };
        let status = RateStatus {
            requests: state(60, 59, "2026-11-29T10:00:59.500Z"),
            tokens: state(1000, 10, "2026-11-29T10:02:00.000Z"),
            dialect: ClientDialect::Native,
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let native =
            [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "59"), ("x-ratelimit-reset", "30")];
        assert_eq!(headers(&status, Names::Native), pairs(&native));
        assert_eq!(
            headers(&status, Names::OpenAi),
            pairs(&[
                ("x-ratelimit-limit-requests", "60"),
                ("x-ratelimit-remaining-requests", "59"),
                ("x-ratelimit-reset-requests", "30s"),
                ("x-ratelimit-limit-tokens", "1000"),
                ("x-ratelimit-remaining-tokens", "10"),
                ("x-ratelimit-reset-tokens", "1m31s"),
            ])
        );
        let anthropic = headers(&RateStatus { tokens: None, ..status }, Names::Anthropic);
        assert_eq!(
            anthropic,
            pairs(&[
                ("anthropic-ratelimit-requests-limit", "60"),
                ("anthropic-ratelimit-requests-remaining", "59"),
                ("anthropic-ratelimit-requests-reset", "2026-11-29T10:00:59.500Z"),
            ])
        );
    }

    #[test]
    fn error_of_a_limit_has_its_state_and_any_other_has_none() {
        let names = |error: &ApiError, format| {
            let mut headers = HeaderMap::new();
            write_error(&mut headers, error, format);
            headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        let limited = ApiError::new(ErrorCode::RateLimited, "later");
        assert!(names(&limited, ErrorFormat::OpenAi).is_empty());
        let limited = limited.with("limit", 60).with("resets_at", "2026-11-29T10:00:59.500Z");
        let limited = limited.with("resource", "tokens");
        assert_eq!(names(&limited, ErrorFormat::Gemini).len(), 3);
        assert!(names(&limited, ErrorFormat::OpenAi).contains(&"x-ratelimit-limit-tokens".to_owned()));
        assert!(
            names(&limited, ErrorFormat::Anthropic).contains(&"anthropic-ratelimit-tokens-reset".to_owned())
        );
    }
}
