//! Signs requests to AWS (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{self, SignableBody, SignableRequest, SigningSettings},
    sign::v4,
};
use bytes::Bytes;
use hearth_domain::Secret;
use http::{
    Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};

/// The cause why a request can't be signed.
type SigningError = Box<dyn std::error::Error + Send + Sync>;

/// Adds the authorization to `request`: an API key as it is, or with credentials a signature of the whole request with the
/// time `at`. [`crate::vendor::Auth::Aws`] describes the forms of a key.
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    key: &Secret,
    service: &str,
    at: SystemTime,
) -> Result<(), SigningError> {
    match credentials(key.expose()) {
        Some(credentials) => sign(request, credentials, service, at),
        None => {
            insert(request, AUTHORIZATION, &format!("Bearer {}", key.expose()))?;
            Ok(())
        }
    }
}

/// Parses the credentials in a key; `None` for an API key, which is base64 and so has no colon.
fn credentials(key: &str) -> Option<Credentials> {
    let (id, rest) = key.split_once(':')?;
    let (secret, session) = match rest.split_once(':') {
        Some((secret, session)) => (secret, Some(session.to_owned())),
        None => (rest, None),
    };
    Some(Credentials::new(id, secret, session, None, "hearth"))
}

/// Signs the whole request with the time `at`.
pub(crate) fn sign(
    request: &mut Request<Bytes>,
    credentials: Credentials,
    service: &str,
    at: SystemTime,
) -> Result<(), SigningError> {
    let region = region(request.uri(), service)
        .ok_or("its keys need an address of the form https://SERVICE.REGION.amazonaws.com")?;
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(at)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let headers = media_type.map(|value| (CONTENT_TYPE.as_str(), value));
    let (method, uri) = (request.method().as_str(), request.uri().to_string());
    let body = SignableBody::Bytes(request.body());
    let signable = SignableRequest::new(method, uri, headers.into_iter(), body)?;
    let (instructions, _) = http_request::sign(signable, &params)?.into_parts();
    for (name, value) in instructions.headers() {
        insert(request, HeaderName::try_from(name)?, value)?;
    }
    Ok(())
}

/// Returns the region in a host's name, such as `bedrock-runtime.eu-central-1.amazonaws.com`: the label after the
/// service's. A private endpoint has labels of its own before that.
fn region<'a>(uri: &'a Uri, service: &str) -> Option<&'a str> {
    let mut names = uri.host()?.split('.');
    names.find(|name| name.starts_with(service))?;
    let region = names.next()?;
    names.next().map(|_| region)
}

/// Inserts a header that debug output hides.
fn insert(request: &mut Request<Bytes>, name: HeaderName, value: &str) -> Result<(), SigningError> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const URL: &str =
        "https://bedrock-runtime.eu-central-1.amazonaws.com/model/anthropic.claude-x%3A0/converse-stream";

    /// The headers of a request to `url` with `key`, at half past noon on 30 August 2015.
    fn authorized(url: &str, key: &str) -> Result<Vec<(String, String)>, String> {
        let request = Request::post(url).header(CONTENT_TYPE, "application/json");
        let mut request = request.body(Bytes::from_static(b"{\"a\":1}")).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_937_800);
        authorize(&mut request, &Secret::new(key), "bedrock", at).map_err(|error| error.to_string())?;
        assert!(!format!("{request:?}").contains("AKID"));
        let headers = request.headers().iter().filter(|(name, _)| *name != CONTENT_TYPE);
        Ok(headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect())
    }

    /// The signatures are those of botocore 1.43.
    #[test]
    fn request_is_signed_with_credentials() {
        let scope = "AKID/20150830/eu-central-1/bedrock/aws4_request";
        let authorization = |headers: &str, signature: &str| {
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={headers}, Signature={signature}")
        };
        let headers = authorized(URL, "AKID:se/cret+").unwrap();
        let signature = "749bf11fb3eaddcdffddf8f15806d2be44412c8cb71b45415e76b9c3e45d9ce5";
        assert!(headers.contains(&("x-amz-date".into(), "20150830T123000Z".into())), "{headers:?}");
        let expected = authorization("content-type;host;x-amz-date", signature);
        assert!(headers.contains(&("authorization".into(), expected)), "{headers:?}");

        let headers = authorized(URL, "AKID:se/cret+:to/ken==").unwrap();
        let signature = "00293adc13147dad807e855d20e7d8a0ecfde76d3ab762edaf6407c3c9d00c2a";
        assert!(headers.contains(&("x-amz-security-token".into(), "to/ken==".into())), "{headers:?}");
        let expected = authorization("content-type;host;x-amz-date;x-amz-security-token", signature);
        assert!(headers.contains(&("authorization".into(), expected)), "{headers:?}");
    }

    #[test]
    fn api_key_is_sent_as_bearer_token() {
        let bearer = ("authorization".to_owned(), "Bearer ABSKx+/=".to_owned());
        assert_eq!(authorized("http://127.0.0.1:1/x", "ABSKx+/="), Ok(vec![bearer]));
        assert!(authorized("http://127.0.0.1:1/x", "AKID:secret").unwrap_err().contains("REGION"));
    }

    #[test]
    fn region_is_read_from_the_host_name() {
        let cases = [
            ("https://bedrock-runtime.us-east-1.amazonaws.com", Some("us-east-1")),
            ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("https://vpce-1-2.bedrock-runtime.eu-west-3.vpce.amazonaws.com", Some("eu-west-3")),
            ("https://bedrock-runtime", None),
            ("https://example.org", None),
        ];
        for (url, expected) in cases {
            assert_eq!(region(&url.parse().unwrap(), "bedrock"), expected, "{url}");
        }
    }
}
