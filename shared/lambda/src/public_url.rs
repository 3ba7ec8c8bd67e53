//! Public URL of a function behind API Gateway, whose own address has a stage before the routes.

use hearth_http::PublicUrl;
use lambda_http::{Request, request::RequestContext};

/// Adds the gateway's address, with the stage, to the extensions of a request; handlers extract it as [`PublicUrl`].
pub(crate) fn with_public_url(mut request: Request) -> Request {
    let url = match request.extensions().get() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let stage = stage(context.path.as_deref().unwrap_or_default(), request.uri().path());
            PublicUrl::from_headers(request.headers(), stage)
        }
        _ => PublicUrl::from_headers(request.headers(), ""),
    };
    request.extensions_mut().insert(url);
    request
}

/// Path before the routes, such as `/prod`: the beginning of the path at API Gateway that the function's path lacks. A
/// custom domain has none.
fn stage<'a>(gateway_path: &'a str, path: &str) -> &'a str {
    gateway_path.strip_suffix(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_is_the_path_before_the_route() {
        assert_eq!(stage("/prod/v1/generate", "/v1/generate"), "/prod");
        assert_eq!(stage("/v1/generate", "/v1/generate"), "");
        assert_eq!(stage("", "/v1/generate"), "");
    }
}
