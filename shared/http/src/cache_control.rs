//! Request headers that control the cache of answers.

use hearth_domain::CacheControl;
use hearth_wire::ApiError;
use http::{HeaderMap, header::CACHE_CONTROL};

use crate::response_headers;

/// Returns how the request may use the cache: as `x-hearth-cache` says, else as HTTP's own `cache-control` does; `None`
/// without either.
///
/// # Errors
/// `invalid_request` for an unknown value of `x-hearth-cache`. Unknown directives of `cache-control` are ignored (RFC
/// 9111, section 5.2.3).
pub fn requested(headers: &HeaderMap) -> Result<Option<CacheControl>, ApiError> {
    let Some(own) = headers.get(response_headers::CACHE) else { return Ok(from_http(headers)) };
    let value = own.to_str().unwrap_or_default().trim();
    let control = CacheControl::WORDS.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    control.map(|(_, control)| Some(*control)).ok_or_else(|| {
        let words = CacheControl::WORDS.map(|(word, _)| word).join(", ");
        let header = response_headers::CACHE;
        ApiError::invalid(header.as_str(), format!("{header} must be one of {words}"))
    })
}

/// Returns the strictest directive of HTTP's own header.
fn from_http(headers: &HeaderMap) -> Option<CacheControl> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let strictest = [
        ("no-store", CacheControl::NoStore),
        ("only-if-cached", CacheControl::OnlyIfCached),
        ("no-cache", CacheControl::NoCache),
    ];
    let contains = |word: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(word));
    strictest.iter().find(|(word, _)| contains(word)).map(|(_, control)| *control)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn control_of(headers: &[(&'static str, &'static str)]) -> Result<Option<CacheControl>, ApiError> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        requested(&headers.collect())
    }

    #[test]
    fn x_hearth_cache_overrides_cache_control() {
        for (headers, expected) in [
            (&[][..], None),
            (&[("x-hearth-cache", "use")], Some(CacheControl::Use)),
            (&[("x-hearth-cache", " No-Store ")], Some(CacheControl::NoStore)),
            (&[("x-hearth-cache", "use"), ("cache-control", "no-store")], Some(CacheControl::Use)),
            (&[("cache-control", "no-cache")], Some(CacheControl::NoCache)),
            (&[("cache-control", "max-age=0, only-if-cached")], Some(CacheControl::OnlyIfCached)),
            (&[("cache-control", "no-cache, no-store")], Some(CacheControl::NoStore)),
            (&[("cache-control", "max-age=0")], None),
        ] {
            assert_eq!(control_of(headers).unwrap(), expected, "{headers:?}");
        }
    }

    #[test]
    fn unknown_value_is_refused_with_the_valid_ones() {
        let error = control_of(&[("x-hearth-cache", "always")]).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("x-hearth-cache"));
        assert!(error.message.contains("only-if-cached"), "{}", error.message);
    }
}
