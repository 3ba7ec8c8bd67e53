//! The exporter: OTLP over HTTP, in protobuf.

use std::time::Duration;

use async_trait::async_trait;
use hearth_settings::TraceSettings;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator as _, RandomIdGenerator, SpanExporter as _},
};
use percent_encoding::percent_decode_str;

use super::TraceError;

/// Time for a batch to be sent, with retries.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to connect to the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of the collector's response that are read.
const RESPONSE_MAX_BYTES: usize = 64 << 10;

/// Builds the exporter to the collector at `endpoint`.
pub(super) fn exporter(endpoint: &str, settings: &TraceSettings) -> Result<SpanExporter, TraceError> {
    let headers =
        settings.headers.as_ref().map_or(Ok(HeaderMap::new()), |text| parse_headers(text.expose()))?;
    let http = reqwest::Client::builder()
        .timeout(EXPORT_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirect would send the headers, with the collector's key, to another host.
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(EXPORT_TIMEOUT)
        .with_http_client(CollectorClient { http, headers })
        .build()?;
    exporter.set_resource(&resource(settings));
    Ok(exporter)
}

/// Describes this process.
fn resource(settings: &TraceSettings) -> Resource {
    let instance = settings.service_instance.clone();
    let instance = instance.unwrap_or_else(|| RandomIdGenerator::default().new_trace_id().to_string());
    Resource::builder_empty()
        .with_service_name(settings.service_name.clone())
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance),
            KeyValue::new("telemetry.sdk.name", "opentelemetry"),
            KeyValue::new("telemetry.sdk.language", "rust"),
        ])
        .build()
}

/// Parses `name=value,name=value`, with percent encoding in values, as in `OTEL_EXPORTER_OTLP_HEADERS`.
fn parse_headers(text: &str) -> Result<HeaderMap, TraceError> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(TraceError::Headers("a header has no ="))?;
        let value = percent_decode_str(value.trim()).collect::<Vec<u8>>();
        let name = HeaderName::try_from(name.trim())
            .map_err(|_| TraceError::Headers("a header's name has characters that none can have"))?;
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| TraceError::Headers("a header's value has characters that none can have"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The HTTP client of the exporter. It sends the headers of the settings alone: the exporter adds those of the
/// environment too, which the settings may replace.
#[derive(Debug)]
struct CollectorClient {
    http: reqwest::Client,
    headers: HeaderMap,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut headers = self.headers.clone();
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = request.headers_mut().remove(&name) {
                headers.insert(name, value);
            }
        }
        *request.headers_mut() = headers;
        let mut response = self.http.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            if body.len() + piece.len() > RESPONSE_MAX_BYTES {
                return Err("the collector's response is too long".into());
            }
            body.extend_from_slice(&piece);
        }
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_decoded_and_hidden() {
        let headers = parse_headers("x-api-key=secret%20word, X-Dataset = hearth,").unwrap();
        assert_eq!((headers["x-api-key"].to_str().unwrap(), headers.len()), ("secret word", 2));
        assert!(!format!("{headers:?}").contains("secret"));
    }

    #[test]
    fn unreadable_header_is_refused_without_its_value() {
        for text in ["secret", "na me=secret", "name=secret%0A"] {
            let error = parse_headers(text).unwrap_err().to_string();
            assert!(error.contains("traces.headers") && !error.contains("secret"), "{error}");
        }
    }
}
