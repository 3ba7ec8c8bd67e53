//! Redirects of http requests to https.

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{
    StatusCode, Uri,
    header::{HOST, LOCATION},
};

/// The port of https, which an address needn't have.
const HTTPS_PORT: u16 = 443;

/// The router that redirects every request to the same path on the host's `port`.
pub(crate) fn redirect_router(port: u16) -> Router {
    Router::new().fallback(async move |request: Request| redirect(&request, port))
}

/// 308 keeps the method and the body. A client that sent a token over http has shown it on its way: the response doesn't hide
/// that, and the request is not served.
fn redirect(request: &Request, port: u16) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let Some(host) = host else {
        return (StatusCode::BAD_REQUEST, "this port serves https alone, and the request names no host\n")
            .into_response();
    };
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority =
        if port == HTTPS_PORT { host.host().to_owned() } else { format!("{}:{port}", host.host()) };
    match Uri::builder().scheme("https").authority(authority).path_and_query(path).build() {
        Ok(target) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, target.to_string())]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn request_is_redirected_to_its_path_on_the_port_of_https() {
        for (host, path, port, location) in [
            ("home.example", "/v1/models?limit=2", 443, "https://home.example/v1/models?limit=2"),
            ("home.example:8080", "/", 8443, "https://home.example:8443/"),
            ("[::1]:80", "/a%20b", 443, "https://[::1]/a%20b"),
        ] {
            let request = Request::builder().uri(path).header(HOST, host).body(Body::empty()).unwrap();
            let response = redirect(&request, port);
            assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(response.headers()[LOCATION], location);
        }
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        assert_eq!(redirect(&request, 443).status(), StatusCode::BAD_REQUEST);
    }
}
