//! Public URL of a function behind API Gateway, whose own address has a stage before the routes, and whose custom domains may
//! have a base path.

use hearth_http::PublicUrl;
use lambda_http::{
    Request, RequestExt as _,
    http::{Uri, uri::PathAndQuery},
    request::RequestContext,
};

/// Removes a custom domain's base path from a request, and adds the gateway's address, with the stage or the base path, to its
/// extensions; handlers extract it as [`PublicUrl`].
pub(crate) fn with_public_url(mut request: Request) -> Request {
    let mut prefix = String::new();
    if let Some(RequestContext::ApiGatewayV1(context)) = request.extensions().get() {
        let (resource, gateway_path) = (context.resource_path.as_deref(), context.path.as_deref());
        let parameters = request.path_parameters();
        let resolved =
            resolve(resource.unwrap_or_default(), |name| parameters.first(name).map(str::to_owned));
        let path = request.uri().path();
        let base_path =
            resolved.and_then(|resolved| path_before(path, &resolved)).unwrap_or_default().to_owned();
        // The root has a slash that the base path or the stage needn't have.
        let route = &path[base_path.len()..];
        let gateway_path = gateway_path.unwrap_or_default();
        let before = gateway_path.strip_suffix(route).or_else(|| (route == "/").then_some(gateway_path));
        prefix = before.unwrap_or_default().trim_end_matches('/').to_owned();
        if !base_path.is_empty()
            && let Some(uri) = without_base_path(request.uri(), base_path.len())
        {
            *request.uri_mut() = uri;
        }
    }
    let url = PublicUrl::from_headers(request.headers(), &prefix);
    request.extensions_mut().insert(url);
    request
}

/// Path of a resource with the values of its parameters: `/v1/models/{proxy+}` becomes `/v1/models/a/b`. `None` if a value is
/// missing.
fn resolve(resource: &str, parameter: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut path = String::new();
    for segment in resource.split('/').filter(|segment| !segment.is_empty()) {
        path.push('/');
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => path.push_str(&parameter(name.trim_end_matches('+'))?),
            None => path.push_str(segment),
        }
    }
    Some(path)
}

/// The beginning of `path` before `resolved`, which API Gateway has decoded.
fn path_before<'a>(path: &'a str, resolved: &str) -> Option<&'a str> {
    let trimmed = path.trim_end_matches('/');
    if resolved.is_empty() {
        return Some(trimmed);
    }
    let starts = trimmed.match_indices('/').map(|(index, _)| index);
    starts
        .map(|index| path.split_at(index))
        .find(|(_, rest)| decode(rest.trim_end_matches('/')) == decode(resolved))
        .map(|(before, _)| before)
}

/// Decodes `%XX`.
fn decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

fn without_base_path(uri: &Uri, length: usize) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = parts.path_and_query.as_ref()?.as_str().get(length..)?;
    let path_and_query = if path_and_query.starts_with('/') {
        path_and_query.to_owned()
    } else {
        format!("/{path_and_query}")
    };
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use lambda_http::request::from_str;
    use serde_json::{Map, Value, json};

    use super::*;

    /// The URL's path at the host, the resource and its `proxy`, the stage, and the path of the event.
    fn received(gateway_path: &str, resource: &str, proxy: Option<&str>, path: &str) -> (String, String) {
        let parameters: Map<String, Value> =
            proxy.map(|proxy| ("proxy".to_owned(), json!(proxy))).into_iter().collect();
        let event = json!({
            "resource": resource, "path": path, "httpMethod": "GET",
            "headers": {"Host": "api.example.org", "X-Forwarded-Proto": "https"},
            "multiValueHeaders": {"Host": ["api.example.org"], "X-Forwarded-Proto": ["https"]},
            "queryStringParameters": {"limit": "1"}, "multiValueQueryStringParameters": {"limit": ["1"]},
            "pathParameters": parameters, "stageVariables": null,
            "requestContext": {"resourcePath": resource, "path": gateway_path, "stage": "$default", "httpMethod": "GET",
                "accountId": "1", "resourceId": "r", "requestId": "r", "identity": {}, "apiId": "a"},
            "body": null, "isBase64Encoded": false,
        });
        let request = with_public_url(from_str(&event.to_string()).unwrap());
        let url = request.extensions().get::<PublicUrl>().unwrap().0.clone();
        (url, request.uri().path_and_query().unwrap().to_string())
    }

    #[test]
    fn stage_and_base_path_are_in_the_public_url_and_not_in_the_route() {
        let host = "https://api.example.org";
        for (gateway_path, resource, proxy, path, prefix, route) in [
            ("/v1/models", "/v1/models", None, "/v1/models", "", "/v1/models?limit=1"),
            ("/prod/v1/models", "/v1/models", None, "/v1/models", "/prod", "/v1/models?limit=1"),
            ("/llm/v1/models", "/v1/models", None, "/llm/v1/models", "/llm", "/v1/models?limit=1"),
            (
                "/a/b/v1/models/x/y",
                "/v1/models/{proxy+}",
                Some("x/y"),
                "/a/b/v1/models/x/y",
                "/a/b",
                "/v1/models/x/y?limit=1",
            ),
            // The base path is a part of the API's own paths.
            ("/api/api/tags", "/api/{proxy+}", Some("tags"), "/api/api/tags", "/api", "/api/tags?limit=1"),
            ("/dev/api/tags", "/api/{proxy+}", Some("tags"), "/api/tags", "/dev", "/api/tags?limit=1"),
            // Parameters are decoded, and the path isn't.
            (
                "/llm/v1/models/a%20b",
                "/v1/models/{proxy+}",
                Some("a b"),
                "/llm/v1/models/a%20b",
                "/llm",
                "/v1/models/a%20b?limit=1",
            ),
            ("/llm", "/", None, "/llm", "/llm", "/?limit=1"),
            ("/dev/", "/", None, "/", "/dev", "/?limit=1"),
            ("/dev", "/", None, "/", "/dev", "/?limit=1"),
        ] {
            assert_eq!(
                received(gateway_path, resource, proxy, path),
                (format!("{host}{prefix}"), route.to_owned()),
                "{gateway_path}"
            );
        }
    }

    #[test]
    fn resource_without_its_parameter_leaves_the_path() {
        assert_eq!(
            received("/dev/v1/models/x", "/v1/models/{proxy+}", None, "/v1/models/x").1,
            "/v1/models/x?limit=1"
        );
    }
}
