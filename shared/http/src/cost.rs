//! What the head of an answer tells of its price.

use axum::response::Response;
use hearth_domain::Cost;
use http::{HeaderName, HeaderValue};

/// What the answer costs, in US dollars, or `unknown`.
pub const COST: HeaderName = HeaderName::from_static("x-hearth-cost");

/// The answer, with what it costs. What isn't known is told as that, and never as nothing.
#[must_use]
pub fn told(mut response: Response, cost: Option<Cost>) -> Response {
    let value = cost.and_then(|cost| HeaderValue::from_str(&cost.to_string()).ok());
    response.headers_mut().insert(COST, value.unwrap_or(HeaderValue::from_static("unknown")));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_not_nothing() {
        let header = |cost| told(Response::default(), cost).headers()[COST].to_str().unwrap().to_owned();
        assert_eq!(header(Some(Cost::ZERO)), "0");
        assert_eq!(header("0.0000015".parse().ok()), "0.0000015");
        assert_eq!(header(None), "unknown");
    }
}
