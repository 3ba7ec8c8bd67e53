//! A function's response, parsed as API Gateway's Lambda proxy integration does.

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_ENCODING, SET_COOKIE},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;

use crate::{Cause, api_gateway::INVOCATION_MAX_BYTES};

/// Separator between the head of a streamed response and its data.
const SEPARATOR: [u8; 8] = [0; 8];
/// Largest head, far larger than any real one.
const PRELUDE_MAX_BYTES: usize = 1 << 20;

/// Part of a response, in order.
#[derive(Debug)]
pub(crate) enum Part {
    Head(StatusCode, HeaderMap),
    Chunk(Bytes),
    End,
    Failed(Cause),
}

/// Head of a response; of a buffered one with its body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proxy {
    status_code: u16,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Reads a response that nobody uses.
pub(crate) async fn ignored(body: Body, parts: &UnboundedSender<Part>) -> Result<(), Cause> {
    body.collect().await.map_err(|error| malformed("it was cut", error))?;
    let _ = parts.send(Part::End);
    Ok(())
}

/// Reads a response in one piece, as it is.
pub(crate) async fn whole(body: Body, parts: &UnboundedSender<Part>) -> Result<(), Cause> {
    let bytes = body.collect().await.map_err(|error| malformed("it was cut", error))?.to_bytes();
    // The receiver is dropped if the invocation was abandoned.
    let _ = parts.send(Part::Chunk(bytes));
    let _ = parts.send(Part::End);
    Ok(())
}

/// Reads a buffered response. Its base64 body is decoded if `accepts_binary` is true; otherwise API Gateway passes the text
/// on unchanged.
pub(crate) async fn buffered(
    body: Body,
    accepts_binary: bool,
    parts: &UnboundedSender<Part>,
) -> Result<(), Cause> {
    let bytes = body.collect().await.map_err(|error| malformed("it was cut", error))?.to_bytes();
    if bytes.len() > INVOCATION_MAX_BYTES {
        let message = format!("it has {} bytes, of {INVOCATION_MAX_BYTES} at most", bytes.len());
        return Err(Cause::Malformed(message));
    }
    let proxy: Proxy =
        serde_json::from_slice(&bytes).map_err(|error| malformed("it is no proxy response", error))?;
    let (status, headers) = proxy.head()?;
    let body = proxy.body.unwrap_or_default();
    let body = if proxy.is_base64_encoded && accepts_binary {
        BASE64_STANDARD.decode(body).map_err(|error| malformed("its body is not base64", error))?
    } else {
        body.into_bytes()
    };
    // The receiver is dropped if the invocation was abandoned.
    let _ = parts.send(Part::Head(status, headers));
    if !body.is_empty() {
        let _ = parts.send(Part::Chunk(body.into()));
    }
    let _ = parts.send(Part::End);
    Ok(())
}

/// Reads a streamed response, and passes on each chunk at once.
pub(crate) async fn streamed(mut body: Body, parts: &UnboundedSender<Part>) -> Result<(), Cause> {
    let (mut prelude, mut begun) = (Prelude::default(), false);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| malformed("it was cut", error))?;
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                frame.trailers_ref().map_or(Ok(()), check_trailers)?;
                continue;
            }
        };
        if !begun {
            let Some((head, rest)) = prelude.add(&data)? else { continue };
            let (status, headers) = head.head()?;
            check_streamed(&headers)?;
            let _ = parts.send(Part::Head(status, headers));
            (begun, data) = (true, rest);
        }
        if !data.is_empty() {
            let _ = parts.send(Part::Chunk(data));
        }
    }
    if !begun {
        return Err(Cause::Malformed("it ended within its head".to_owned()));
    }
    let _ = parts.send(Part::End);
    Ok(())
}

/// Refuses headers that API Gateway doesn't pass on with a streamed response.
fn check_streamed(headers: &HeaderMap) -> Result<(), Cause> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Cause::Malformed("a streamed response has a content encoding".to_owned()));
    }
    let repeated =
        headers.keys().find(|name| *name != SET_COOKIE && headers.get_all(*name).iter().count() > 1);
    match repeated {
        Some(name) => Err(Cause::Malformed(format!("a streamed response repeats the header {name}"))),
        None => Ok(()),
    }
}

/// Received bytes of a streamed response's head.
#[derive(Default)]
struct Prelude(BytesMut);

impl Prelude {
    /// Adds bytes. Once the head is complete, returns it with the data that followed.
    fn add(&mut self, data: &[u8]) -> Result<Option<(Proxy, Bytes)>, Cause> {
        self.0.extend_from_slice(data);
        let Some(end) = self.0.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) else {
            if self.0.len() > PRELUDE_MAX_BYTES {
                return Err(Cause::Malformed("it has no eight NUL bytes after its head".to_owned()));
            }
            return Ok(None);
        };
        let head = self.0.split_to(end);
        let head =
            serde_json::from_slice(&head).map_err(|error| malformed("its head can't be read", error))?;
        Ok(Some((head, self.0.split_off(SEPARATOR.len()).freeze())))
    }
}

/// Returns the error of a stream that failed in its middle, which is in the trailers.
fn check_trailers(trailers: &HeaderMap) -> Result<(), Cause> {
    let text = |name: &str| {
        let value = trailers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    match text("lambda-runtime-function-error-type") {
        Some(kind) => {
            let message = text("lambda-runtime-function-error-body").unwrap_or_default();
            Err(Cause::Reported { kind, message })
        }
        None => Ok(()),
    }
}

impl Proxy {
    fn head(&self) -> Result<(StatusCode, HeaderMap), Cause> {
        let status = StatusCode::from_u16(self.status_code)
            .map_err(|error| malformed("its status is impossible", error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.iter().flatten() {
            put(&mut headers, name, value)?;
        }
        // These override `headers`.
        for (name, values) in self.multi_value_headers.iter().flatten() {
            put(&mut headers, name, values)?;
        }
        for cookie in &self.cookies {
            headers.append(SET_COOKIE, header_value(cookie)?);
        }
        Ok((status, headers))
    }
}

/// Sets a header to a text, or to each of a list of texts.
fn put(headers: &mut HeaderMap, name: &str, value: &Value) -> Result<(), Cause> {
    let name: HeaderName = name.parse().map_err(|error| malformed("a header's name is bad", error))?;
    headers.remove(&name);
    let values = match value {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    for value in values {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        headers.append(&name, header_value(&text)?);
    }
    Ok(())
}

fn header_value(text: &str) -> Result<HeaderValue, Cause> {
    text.parse().map_err(|error| malformed("a header's value is bad", error))
}

fn malformed(problem: &str, error: impl std::fmt::Display) -> Cause {
    Cause::Malformed(format!("{problem}: {error}"))
}
