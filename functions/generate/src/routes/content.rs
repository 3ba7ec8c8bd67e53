//! Responses with the bytes of a file or an artifact: whole, in part, or by a link to the bucket.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LOCATION, RANGE,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse as _, Response},
};
use hearth_domain::media_type::is_inert;
use hearth_gateway::{
    Gateway,
    files::{ByteRange, StoredFile},
};
use hearth_http::HttpError;
use hearth_wire::{ApiError, ErrorCode};

/// The bytes that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part(ByteRange),
    /// A range that begins behind the end.
    Nothing,
}

/// Responds with the file: 200, 206 for a range, 304 if the client has it, 307 to the bucket, or 416.
pub(super) async fn respond(
    gateway: &Gateway,
    method: &Method,
    headers: &HeaderMap,
    file: &StoredFile,
) -> Result<Response, HttpError> {
    let etag = format!("\"{}\"", file.tag);
    if matches_tag(headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    let disposition = disposition(file);
    if method != Method::HEAD
        && let Some(link) = gateway.stored_link(file, disposition.clone()).await?
    {
        // The client sends its range to the bucket too.
        let head = [(LOCATION, link), (CACHE_CONTROL, "no-store".to_owned())];
        return Ok((StatusCode::TEMPORARY_REDIRECT, head).into_response());
    }
    let (status, range, length) = match wanted(headers, &etag, file.size_bytes) {
        Wanted::Whole => (StatusCode::OK, None, file.size_bytes),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range), range.last - range.first + 1),
        Wanted::Nothing => return Ok(behind_the_end(file.size_bytes)),
    };
    let body = match method == Method::HEAD {
        true => Body::empty(),
        false => Body::from_stream(gateway.stored_bytes(file, range).await?),
    };
    let mut response = (status, head(file, &etag, disposition, length), body).into_response();
    if let Some(ByteRange { first, last }) = range {
        let text = format!("bytes {first}-{last}/{}", file.size_bytes);
        response.headers_mut().extend(HeaderValue::try_from(text).ok().map(|value| (CONTENT_RANGE, value)));
    }
    Ok(response)
}

/// Headers with which a browser shows or saves the file, and runs nothing in it.
fn head(file: &StoredFile, etag: &str, disposition: String, length: u64) -> [(HeaderName, String); 8] {
    [
        (CONTENT_TYPE, file.media_type.clone()),
        (CONTENT_LENGTH, length.to_string()),
        (CONTENT_DISPOSITION, disposition),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (ACCEPT_RANGES, "bytes".to_owned()),
        // What an id stands for never changes.
        (ETAG, etag.to_owned()),
        (CACHE_CONTROL, "private, max-age=3600, immutable".to_owned()),
    ]
}

/// The value of `content-disposition` (RFC 6266): a browser saves what it could execute.
fn disposition(file: &StoredFile) -> String {
    let shown = if is_inert(&file.media_type) { "inline" } else { "attachment" };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
    if file.name.chars().all(is_plain) {
        return format!("{shown}; filename=\"{}\"", file.name);
    }
    let plain: String = file.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let encoded: String = file
        .name
        .bytes()
        .map(|byte| match is_unreserved(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("{shown}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

fn matches_tag(headers: &HeaderMap, etag: &str) -> bool {
    let Some(tags) = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) else { return false };
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// The bytes that the headers ask for (RFC 9110, section 14). A range that can't be read, and several ranges, are ignored.
fn wanted(headers: &HeaderMap, etag: &str, size_bytes: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // The client has a part of another file.
    if headers.contains_key(IF_RANGE) && text(IF_RANGE) != Some(etag) {
        return Wanted::Whole;
    }
    let range = text(RANGE).and_then(|range| range.trim().strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Wanted::Whole };
    let number = |text: &str| -> Option<Option<u64>> {
        let text = text.trim();
        match text.is_empty() {
            true => Some(None),
            false if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(Some(text.parse().unwrap_or(u64::MAX)))
            }
            false => None,
        }
    };
    let end = size_bytes.saturating_sub(1);
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) if last.is_none_or(|last| last >= first) => {
            match first < size_bytes {
                true => Wanted::Part(ByteRange { first, last: last.map_or(end, |last| last.min(end)) }),
                false => Wanted::Nothing,
            }
        }
        (Some(None), Some(Some(length))) => match length.min(size_bytes) {
            0 => Wanted::Nothing,
            length => Wanted::Part(ByteRange { first: size_bytes - length, last: end }),
        },
        _ => Wanted::Whole,
    }
}

/// Creates the response 416, for which there is no error code.
fn behind_the_end(size_bytes: u64) -> Response {
    let message = format!("the range begins behind the end of the file, which has {size_bytes} bytes");
    let error = ApiError::new(ErrorCode::InvalidRequest, message).with("size_bytes", size_bytes);
    let mut response = HttpError(error).into_response();
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{size_bytes}")) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, if_range: Option<&str>) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(IF_RANGE, tag.parse().unwrap());
        }
        wanted(&headers, "\"a\"", 10)
    }

    #[test]
    fn range_is_read_as_rfc_9110_says() {
        let part = |first, last| Wanted::Part(ByteRange { first, last });
        for (range, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-5", part(2, 5)),
            ("bytes=8-", part(8, 9)),
            ("bytes=8-99", part(8, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
        ] {
            assert_eq!(of(range, None), expected, "{range}");
        }
        assert_eq!(of("bytes=0-0", Some("\"a\"")), part(0, 0));
        assert_eq!(of("bytes=0-0", Some("\"b\"")), Wanted::Whole);
    }
}
