//! Event of the Lambda proxy integration, format 1.0, made from an HTTP request.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONNECTION, CONTENT_TYPE, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sam_template::Route;
use serde_json::{Map, Value, json};

use super::{Placement, media_type::MediaTypes, resources::PathParameters};

/// Headers of one connection, which no function receives.
const CONNECTION_HEADERS: [HeaderName; 6] = [CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const ACCOUNT: &str = "123456789012";

/// Request, without its body.
#[derive(Debug)]
pub(crate) struct ProxyEvent {
    pub(crate) method: Method,
    /// Path of the URL, with the stage or the base path.
    pub(crate) path: String,
    pub(crate) request_id: String,
    query: String,
    headers: HeaderMap,
    host: String,
}

impl ProxyEvent {
    pub(crate) fn new(parts: Parts, address: SocketAddr) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let request_id = format!("00000000-0000-4000-9000-{:012}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut headers = parts.headers;
        for name in CONNECTION_HEADERS {
            headers.remove(name);
        }
        let host = headers.get("host").and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| address.to_string(), str::to_owned);
        // The real one has `https`; here a link with it would lead nowhere.
        for (name, value) in
            [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "http"), ("x-forwarded-port", "80")]
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let trace = format!("Root=1-6718f3a0-{}", &request_id.replace('-', "")[8..]);
        if let Ok(trace) = trace.parse() {
            headers.entry("x-amzn-trace-id").or_insert(trace);
        }
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            request_id,
            headers,
            host,
        }
    }

    /// Makes the event. `path` is the path below the stage or the base path.
    pub(crate) fn to_json(
        &self,
        placement: &Placement,
        path: &str,
        route: &Route,
        parameters: &PathParameters,
        body: &[u8],
        binary: &MediaTypes,
    ) -> Value {
        // The event's path lacks the stage, but has a custom domain's base path.
        let (event_path, stage) = match placement {
            Placement::Stage(stage) => (path, stage.as_str()),
            Placement::Domain(_) => (self.path.as_str(), "live"),
        };
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_binary = content_type.is_some_and(|name| binary.contain(name));
        let text = match (body.is_empty(), is_binary) {
            (true, _) => Value::Null,
            (false, true) => BASE64_STANDARD.encode(body).into(),
            // Bytes that are no text are lost.
            (false, false) => String::from_utf8_lossy(body).into(),
        };
        let mut headers = Map::new();
        let mut multi_value_headers = Map::new();
        for name in self.headers.keys() {
            let values = self.headers.get_all(name).iter();
            let values: Vec<String> =
                values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
            headers.insert(name.to_string(), json!(values.last()));
            multi_value_headers.insert(name.to_string(), json!(values));
        }
        let (query, multi_value_query) = self.query();
        let domain_name = self.host.split(':').next().unwrap_or_default();
        json!({
            "resource": route.path, "path": event_path, "httpMethod": self.method.as_str(),
            "headers": headers, "multiValueHeaders": multi_value_headers,
            "queryStringParameters": query, "multiValueQueryStringParameters": multi_value_query,
            "pathParameters": (!parameters.is_empty()).then(|| decoded(parameters)),
            "stageVariables": null,
            "requestContext": {
                "resourceId": "resource", "resourcePath": route.path, "httpMethod": self.method.as_str(),
                "extendedRequestId": "AbCdEfGhoAMF000=", "requestTime": "23/Oct/2024:13:01:20 +0000",
                "path": self.path, "accountId": ACCOUNT, "protocol": "HTTP/1.1", "stage": stage,
                "domainPrefix": domain_name, "requestTimeEpoch": 1_729_688_480_000_u64,
                "requestId": self.request_id, "domainName": domain_name, "deploymentId": "deployment", "apiId": "emulated",
                "identity": {"sourceIp": "203.0.113.7", "userAgent": null},
            },
            "body": text, "isBase64Encoded": is_binary && !body.is_empty(),
        })
    }

    /// Returns the query's parameters, decoded: the last value of each, and all.
    fn query(&self) -> (Value, Value) {
        if self.query.is_empty() {
            return (Value::Null, Value::Null);
        }
        let mut all: Map<String, Value> = Map::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let values = all.entry(decode(&name.replace('+', " "))).or_insert_with(|| json!([]));
            if let Some(values) = values.as_array_mut() {
                values.push(decode(&value.replace('+', " ")).into());
            }
        }
        let last = all.iter().map(|(name, values)| {
            let last = values.as_array().and_then(|values| values.last()).cloned();
            (name.clone(), last.unwrap_or_default())
        });
        (Value::Object(last.collect()), Value::Object(all.clone()))
    }
}

fn decoded(parameters: &PathParameters) -> PathParameters {
    parameters.iter().map(|(name, value)| (name.clone(), decode(value))).collect()
}

/// Decodes `%XX`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn event(placement: &Placement, content_type: &str, body: &[u8]) -> Value {
        let request = Request::builder()
            .method("POST")
            .uri("/dev/v1/models/a%20b?tag=1&tag=2%20c&empty")
            .header("host", "h:80")
            .header("content-type", content_type)
            .header("x-a", "1")
            .header("x-a", "2")
            .header("connection", "keep-alive");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let route = Route {
            path: "/v1/models/{proxy+}".to_owned(),
            method: "ANY".to_owned(),
            function: String::new(),
            transfer_mode: None,
            timeout_ms: None,
        };
        let parameters = PathParameters::from([("proxy".to_owned(), "a%20b".to_owned())]);
        let binary = MediaTypes::of_template(&json!(["multipart/form-data"]));
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        ProxyEvent::new(parts, address).to_json(
            placement,
            "/v1/models/a%20b",
            &route,
            &parameters,
            body,
            &binary,
        )
    }

    #[test]
    fn event_has_the_request_in_the_format_of_the_proxy() {
        let event = event(&Placement::Stage("dev".to_owned()), "application/json", b"{}");
        assert_eq!(event["path"], "/v1/models/a%20b");
        assert_eq!(event["requestContext"]["path"], "/dev/v1/models/a%20b");
        assert_eq!(event["pathParameters"], json!({"proxy": "a b"}));
        assert_eq!(event["queryStringParameters"], json!({"tag": "2 c", "empty": ""}));
        assert_eq!(event["multiValueQueryStringParameters"]["tag"], json!(["1", "2 c"]));
        assert_eq!(
            (&event["headers"]["x-a"], &event["multiValueHeaders"]["x-a"]),
            (&json!("2"), &json!(["1", "2"]))
        );
        assert_eq!(event["headers"]["connection"], Value::Null);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
    }

    #[test]
    fn base_path_is_in_the_path_and_forms_are_base64() {
        let event =
            event(&Placement::Domain("/dev".to_owned()), "multipart/form-data; boundary=b", &[0xff, 0xfe]);
        assert_eq!(event["path"], "/dev/v1/models/a%20b");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("//4="), &json!(true)));
    }
}
