//! What the head of a request says of the cache.

use hearth_domain::CacheControl;
use hearth_wire::ApiError;
use http::{HeaderMap, header::CACHE_CONTROL};

use crate::head;

/// What the request wants of the cache: as `x-hearth-cache` says, else as HTTP's own `cache-control` does;
/// nothing if neither says anything of it.
///
/// # Errors
/// `invalid_request` if `x-hearth-cache` has another word than those that there are. Of `cache-control` what
/// isn't known is passed over (RFC 9111, section 5.2.3).
pub fn asked(headers: &HeaderMap) -> Result<Option<CacheControl>, ApiError> {
    let Some(own) = headers.get(head::CACHE) else { return Ok(in_http(headers)) };
    let word = own.to_str().unwrap_or_default().trim();
    let found = CacheControl::WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known));
    found.map(|(_, control)| Some(*control)).ok_or_else(|| {
        let words = CacheControl::WORDS.map(|(word, _)| word).join(", ");
        ApiError::invalid(head::CACHE.as_str(), format!("{} must be one of {words}", head::CACHE))
    })
}

/// What HTTP's own header says; of several, what forbids the most.
fn in_http(headers: &HeaderMap) -> Option<CacheControl> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let strictest = [
        ("no-store", CacheControl::NoStore),
        ("only-if-cached", CacheControl::OnlyIfCached),
        ("no-cache", CacheControl::NoCache),
    ];
    let said = |word: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(word));
    strictest.iter().find(|(word, _)| said(word)).map(|(_, control)| *control)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn said(headers: &[(&'static str, &'static str)]) -> Result<Option<CacheControl>, ApiError> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        asked(&headers.collect())
    }

    #[test]
    fn our_header_wins_and_https_own_is_heeded() {
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
            assert_eq!(said(headers).unwrap(), expected, "{headers:?}");
        }
    }

    #[test]
    fn another_word_is_refused_by_name() {
        let error = said(&[("x-hearth-cache", "always")]).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("x-hearth-cache"));
        assert!(error.message.contains("only-if-cached"), "{}", error.message);
    }
}
