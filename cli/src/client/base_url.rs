//! The gateway's address, below which the routes are.

use anyhow::Context as _;
use url::{Host, Url};

/// Parses an address of a gateway, as users write or copy it.
///
/// # Errors
/// It is no address.
pub(super) fn parse_base(text: &str) -> anyhow::Result<Url> {
    let invalid = || format!("{text:?} is no address; write one such as http://127.0.0.1:8080");
    let trimmed = text.trim();
    anyhow::ensure!(!trimmed.is_empty(), invalid());
    let mut url = if trimmed.contains("://") {
        Url::parse(trimmed).with_context(invalid)?
    } else {
        // Without TLS on this machine alone, since the token is sent along.
        let url = Url::parse(&format!("http://{trimmed}")).with_context(invalid)?;
        if is_loopback(&url) {
            url
        } else {
            Url::parse(&format!("https://{trimmed}")).with_context(invalid)?
        }
    };
    anyhow::ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "{text:?} is no address of a gateway; it begins with http:// or https://"
    );
    url.set_query(None);
    url.set_fragment(None);
    let base = base_path(url.path()).to_owned();
    url.set_path(&base);
    Ok(url)
}

/// The path of a gateway in the path of one of its pages or routes, or of a base URL of SDKs, which has the `/v1`.
fn base_path(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    // The last one: a stage or a proxy may have such a path too.
    let version = ["/v1", "/v1beta"].iter().filter_map(|version| {
        path.rmatch_indices(version).map(|(start, _)| start).find(|start| {
            let rest = &path[start + version.len()..];
            rest.is_empty() || rest.starts_with('/')
        })
    });
    match version.max() {
        Some(start) => &path[..start],
        None => ["/docs", "/openapi.json"].iter().find_map(|page| path.strip_suffix(page)).unwrap_or(path),
    }
}

/// Returns whether the address is of this machine. A proxy from the environment could not reach it.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Removes the parts of an address that make no difference: `http://`, the path of a route, and the name of the loopback.
pub(super) fn comparable(url: &str) -> String {
    let base = parse_base(url).map_or_else(|_| url.trim().to_owned(), String::from);
    let url = base.trim_end_matches('/');
    let url = url.strip_prefix("http://").unwrap_or(url);
    url.strip_prefix("localhost").map_or_else(|| url.to_owned(), |rest| format!("127.0.0.1{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_parsed_from_usual_forms() {
        for bad in ["", " ", "ftp://example.org", "http://", "a b"] {
            assert!(parse_base(bad).is_err(), "{bad}");
        }
        for (text, url) in [
            ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/"),
            ("https://example.org/stage/v1/", "https://example.org/stage"),
            ("http://127.0.0.1:8080/v1/chat/completions", "http://127.0.0.1:8080/"),
            ("https://example.org/v1beta", "https://example.org/"),
            ("https://example.org/stage/v1beta/models/auto:generateContent", "https://example.org/stage"),
            ("https://example.org/v1/v1/messages", "https://example.org/v1"),
            ("https://example.org/v1x/v10", "https://example.org/v1x/v10"),
            ("https://example.org/docs/", "https://example.org/"),
            ("https://example.org/docs#/ops?x", "https://example.org/"),
            ("https://example.org/hearth/openapi.json?x=1", "https://example.org/hearth"),
            ("https://example.org/hearth/", "https://example.org/hearth"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("localhost:8080", "http://localhost:8080/"),
            ("example.org", "https://example.org/"),
        ] {
            assert_eq!(parse_base(text).unwrap().as_str(), url, "{text}");
        }
    }
}
