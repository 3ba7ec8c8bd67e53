//! The common parts of all requests to an endpoint, built once: of the URI, and the headers.

use bytes::Bytes;
use hearth_wire::{ApiError, ErrorCode};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use reqwest::Url;

use crate::{
    endpoint::Endpoint,
    transport::{self, VendorClient},
    vendor::Auth,
};

/// Initial capacity of the map of headers: no request has more.
const HEADERS_CAPACITY: usize = 12;

/// The URI and headers of an endpoint.
#[derive(Debug)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    /// The path of the base URL, without a slash at its end.
    path: String,
    /// The headers of every request, the key among them.
    headers: HeaderMap,
    /// True if requests can use hyper's client: no proxy is set for the endpoint.
    pub(super) is_direct: bool,
}

impl Target {
    /// Builds the common parts of requests to `endpoint`.
    ///
    /// # Errors
    /// `provider_auth` for a key that can't be a header, `provider_error` for an invalid address.
    pub(super) fn new(endpoint: &Endpoint, client: &VendorClient) -> Result<Self, ApiError> {
        let invalid_address = || {
            let message = format!("the base_url of the provider {} isn't a valid URL", endpoint.name);
            ApiError::new(ErrorCode::ProviderError, message)
        };
        // Parsed as browsers do: non-ASCII names, spaces and dots in the path are escaped and resolved.
        let url = Url::parse(&endpoint.base_url).map_err(|_| invalid_address())?;
        let before_fragment = url.as_str().split('#').next().unwrap_or_default();
        let uri: Uri = before_fragment.parse().map_err(|_| invalid_address())?;
        let is_direct = client.is_direct(&uri);
        let Parts { scheme: Some(scheme), authority: Some(authority), path_and_query, .. } = uri.into_parts()
        else {
            return Err(invalid_address());
        };
        let path = path_and_query.as_ref().map_or("", PathAndQuery::as_str).trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, path, headers: headers(endpoint)?, is_direct })
    }

    /// The endpoint's host.
    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    /// Builds a POST request of JSON to `path` below the base URL.
    ///
    /// # Errors
    /// `invalid_request`, naming `model`, if the path isn't valid: it contains the model's name.
    pub(super) fn post_json(
        &self,
        path: &str,
        accept: &'static str,
        body: Bytes,
    ) -> Result<Request<Bytes>, ApiError> {
        let mut request = self.request(Method::POST, self.uri(path)?, accept, body);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// Builds a GET request to `path` below the base URL.
    ///
    /// # Errors
    /// As [`Self::post_json`].
    pub(super) fn get(&self, path: &str) -> Result<Request<Bytes>, ApiError> {
        Ok(self.request(Method::GET, self.uri(path)?, "application/json", Bytes::new()))
    }

    /// Builds a POST request of any media type to an absolute URL.
    ///
    /// # Errors
    /// As [`Self::post_json`].
    pub(super) fn post_to(
        &self,
        url: &str,
        accept: &'static str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Request<Bytes>, ApiError> {
        let url = Url::parse(url).map_err(|_| invalid_path())?;
        let uri = url.as_str().parse().map_err(|_| invalid_path())?;
        let mut request = self.request(Method::POST, uri, accept, body);
        let content_type = HeaderValue::from_str(content_type).map_err(|_| invalid_path())?;
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        Ok(request)
    }

    fn request(&self, method: Method, uri: Uri, accept: &'static str, body: Bytes) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        request
    }

    fn uri(&self, path: &str) -> Result<Uri, ApiError> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        let path = PathAndQuery::from_maybe_shared(Bytes::from([&self.path, path].concat()));
        parts.path_and_query = Some(path.map_err(|_| invalid_path())?);
        Uri::from_parts(parts).map_err(|_| invalid_path())
    }
}

fn invalid_path() -> ApiError {
    ApiError::invalid("model", "model can't be part of a URL of this provider")
}

fn headers(endpoint: &Endpoint) -> Result<HeaderMap, ApiError> {
    let Endpoint { name, vendor, auth, key, .. } = endpoint;
    let mut headers = HeaderMap::with_capacity(HEADERS_CAPACITY);
    headers.insert(USER_AGENT, HeaderValue::from_static(transport::USER_AGENT));
    for (name, value) in vendor.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    match (*auth, key) {
        (Auth::Bearer, Some(key)) => {
            headers.insert(AUTHORIZATION, sensitive(name, &format!("Bearer {}", key.expose()))?);
        }
        (Auth::Header(header), Some(key)) => {
            headers.insert(HeaderName::from_static(header), sensitive(name, key.expose())?);
        }
        // A signature depends on the body.
        (Auth::Aws(_), _) | (_, None) => {}
    }
    Ok(headers)
}

/// Builds a header's value that debug output hides.
fn sensitive(provider: &str, text: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = format!(
            "the key of the provider {provider} has characters that a header can't have; set another with `hearth key set {provider}`"
        );
        ApiError::new(ErrorCode::ProviderAuth, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}
