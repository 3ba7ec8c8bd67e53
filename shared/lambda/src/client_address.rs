//! Address of a function's client: API Gateway's own observation, and no header.

use hearth_http::{ClientAddress, SecureTransport};
use lambda_http::{Request, request::RequestContext};

/// Adds the address from the event's request context to a request's extensions, as [`ClientAddress`], and that the client's
/// connection has TLS.
pub(crate) fn with_client_address(mut request: Request) -> Request {
    let context = match request.extensions().get() {
        Some(RequestContext::ApiGatewayV1(context)) => Some(context),
        _ => None,
    };
    let address = context.and_then(|context| context.identity.source_ip.as_deref());
    let address = ClientAddress(address.and_then(|text| text.parse().ok()));
    // API Gateway has no port without TLS.
    let transport = SecureTransport(context.is_some());
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(transport);
    request
}

#[cfg(test)]
mod tests {
    use lambda_http::request::from_str;
    use serde_json::{Value, json};

    use super::*;

    fn address(source_ip: &Value) -> ClientAddress {
        let event = json!({
            "resource": "/v1/users/login", "path": "/v1/users/login", "httpMethod": "POST",
            "headers": {"X-Forwarded-For": "192.0.2.9"}, "multiValueHeaders": {"X-Forwarded-For": ["192.0.2.9"]},
            "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": null, "stageVariables": null,
            "requestContext": {"resourcePath": "/v1/users/login", "path": "/dev/v1/users/login", "stage": "dev",
                "httpMethod": "POST", "accountId": "1", "resourceId": "r", "requestId": "r",
                "identity": {"sourceIp": source_ip}, "apiId": "a"},
            "body": null, "isBase64Encoded": false,
        });
        *with_client_address(from_str(&event.to_string()).unwrap()).extensions().get().unwrap()
    }

    #[test]
    fn address_is_of_the_request_context_and_not_of_a_header() {
        assert_eq!(address(&json!("203.0.113.7")).text().as_deref(), Some("203.0.113.7"));
        assert_eq!(address(&json!("2001:db8::1")).text().as_deref(), Some("2001:db8::1"));
        for unknown in [json!(null), json!("test-invoke-source-ip")] {
            assert_eq!(address(&unknown), ClientAddress(None), "{unknown}");
        }
    }
}
