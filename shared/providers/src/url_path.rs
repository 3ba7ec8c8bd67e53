//! Escapes clients' texts for URLs of providers: a model's name must neither lead to another path of the provider's host
//! nor add a query.

use hearth_wire::ApiError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All characters but the unreserved ones (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes a text as the value of a query field.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Escapes a model's name as one segment of a path, with its slashes.
///
/// # Errors
/// `invalid_request`, naming `model`, as [`check_segment`].
pub(crate) fn model_segment(model: &str) -> Result<String, ApiError> {
    // Some hosts treat an escaped slash as a slash.
    model.split('/').try_for_each(|segment| check_segment(model, segment))?;
    Ok(encode(model))
}

/// Escapes a model's name as several segments of a path, one for each part between slashes.
///
/// # Errors
/// As [`model_segment`].
pub(crate) fn model_path(model: &str) -> Result<String, ApiError> {
    let segments = model.split('/').map(|segment| {
        check_segment(model, segment)?;
        Ok(encode(segment))
    });
    Ok(segments.collect::<Result<Vec<String>, ApiError>>()?.join("/"))
}

/// Rejects a model's name that no dialect can transmit.
///
/// # Errors
/// `invalid_request`, naming `model`, for control characters.
pub(crate) fn check_model_name(model: &str) -> Result<(), ApiError> {
    if model.is_empty() || model.chars().any(char::is_control) {
        let message = "model must have at least one character, and no control characters";
        return Err(ApiError::invalid("model", message));
    }
    Ok(())
}

/// Rejects a segment that URLs resolve (`.` and `..`, RFC 3986, section 5.2.4), and an empty one.
fn check_segment(model: &str, segment: &str) -> Result<(), ApiError> {
    check_model_name(model)?;
    if matches!(segment, "" | "." | "..") {
        let message = "model must have no empty part and no part \".\" or \"..\" between slashes: it becomes a path \
                       of the provider's URL";
        return Err(ApiError::invalid("model", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that would lead to another path, or that are empty.
    const REJECTED: [&str; 16] = [
        "",
        ".",
        "..",
        "/",
        "../x",
        "../../etc",
        "a/../b",
        "a/./b",
        "a//b",
        "/a",
        "a/",
        "a/..",
        "..\n",
        "a\0b",
        "a\rb",
        "models/..",
    ];

    #[test]
    fn segments_that_urls_resolve_are_rejected() {
        for model in REJECTED {
            for result in [model_segment(model), model_path(model)] {
                let error = result.unwrap_err();
                assert_eq!(
                    (error.code.as_str(), error.param.as_deref()),
                    ("invalid_request", Some("model")),
                    "{model:?}"
                );
            }
        }
    }

    #[test]
    fn other_names_stay_below_their_path() {
        let cases = [
            ("gpt-5", "gpt-5", "gpt-5"),
            ("owner/name", "owner%2Fname", "owner/name"),
            ("a?b#c", "a%3Fb%23c", "a%3Fb%23c"),
            ("%2e%2e", "%252e%252e", "%252e%252e"),
            ("...", "...", "..."),
            ("..\\..\\x", "..%5C..%5Cx", "..%5C..%5Cx"),
            ("\u{ff0e}\u{ff0e}", "%EF%BC%8E%EF%BC%8E", "%EF%BC%8E%EF%BC%8E"),
            ("arn:aws:x/y", "arn%3Aaws%3Ax%2Fy", "arn%3Aaws%3Ax/y"),
            ("a b;c@d", "a%20b%3Bc%40d", "a%20b%3Bc%40d"),
        ];
        for (model, segment, path) in cases {
            assert_eq!(
                (model_segment(model).unwrap(), model_path(model).unwrap()),
                (segment.to_owned(), path.to_owned())
            );
            let url = reqwest::Url::parse(&format!("https://host/v1/{path}/method")).unwrap();
            assert_eq!(url.path(), format!("/v1/{path}/method"), "{model}");
            assert_eq!((url.query(), url.fragment()), (None, None), "{model}");
        }
    }
}
