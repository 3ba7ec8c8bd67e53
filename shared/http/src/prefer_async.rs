//! `Prefer: respond-async`: a response before the run has ended (RFC 7240).

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_wire::native::requests::AcceptedRequest;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::response_headers;

/// Header with the preference that was followed (RFC 7240, section 3).
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

const RESPOND_ASYNC: &str = "respond-async";

/// Returns whether the client asks for an immediate response, to fetch the result later (RFC 7240, section 4.1).
#[must_use]
pub fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    preferences.any(|preference| {
        let name = preference.split([';', '=']).next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(RESPOND_ASYNC)
    })
}

/// Creates the response 202 with the run's address.
#[must_use]
pub fn accepted(request: AcceptedRequest) -> Response {
    let position = request.queue_position;
    let applied = [(PREFERENCE_APPLIED, HeaderValue::from_static(RESPOND_ASYNC))];
    let mut response = (StatusCode::ACCEPTED, applied, Json(request)).into_response();
    if let Some(position) = position {
        response.headers_mut().insert(response_headers::QUEUE_POSITION, position.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preference_is_recognized_among_others() {
        let prefers = |values: &[&'static str]| {
            let headers =
                values.iter().map(|value| ("prefer".parse().unwrap(), HeaderValue::from_static(value)));
            prefers_async(&headers.collect())
        };
        assert!(prefers(&["respond-async"]));
        assert!(prefers(&["wait=10, Respond-Async; x=1"]));
        assert!(prefers(&["return=minimal", "respond-async"]));
        assert!(!prefers(&[]));
        assert!(!prefers(&["wait=10", "respond-asynchronously", "handling=respond-async"]));
    }
}
