//! Choice of the route for a path, as the tree of an API's resources makes it.

use std::collections::BTreeMap;

use sam_template::Route;

/// Routes of an API.
#[derive(Debug)]
pub(crate) struct Resources(Vec<Route>);

/// Values of the parameters in a route's path, by their names.
pub(crate) type PathParameters = BTreeMap<String, String>;

impl Resources {
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// Finds the route of a path. At each segment a resource with that name is taken before one with a parameter, and a
    /// parameter before `{proxy+}`. The choice is final: a resource hides what lies below a `{proxy+}` beside it, even if it
    /// has no method itself.
    pub(crate) fn find(&self, path: &str, method: &str) -> Option<(&Route, PathParameters)> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let mut candidates: Vec<(&Route, Vec<&str>)> =
            self.0.iter().map(|route| (route, split(&route.path))).collect();
        for (index, segment) in segments.iter().enumerate() {
            let rank = |pattern: &[&str]| pattern.get(index).and_then(|name| Rank::of(name, segment));
            let best = candidates.iter().filter_map(|(_, pattern)| rank(pattern)).min()?;
            candidates.retain(|(_, pattern)| rank(pattern) == Some(best));
            if best == Rank::Proxy {
                break;
            }
        }
        let ends = |pattern: &[&str]| {
            pattern.len() == segments.len()
                || pattern.last().is_some_and(|name| is_proxy(name)) && pattern.len() <= segments.len()
        };
        candidates
            .retain(|(route, pattern)| ends(pattern) && (route.method == "ANY" || route.method == method));
        // A method of its own goes before ANY.
        let (route, pattern) = candidates.into_iter().min_by_key(|(route, _)| route.method == "ANY")?;
        Some((route, parameters(&pattern, &segments)))
    }
}

/// Precedence of a resource for a segment of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Literal,
    Parameter,
    Proxy,
}

impl Rank {
    fn of(name: &str, segment: &str) -> Option<Self> {
        if is_proxy(name) {
            Some(Self::Proxy)
        } else if is_parameter(name) {
            Some(Self::Parameter)
        } else {
            (name == segment).then_some(Self::Literal)
        }
    }
}

fn split(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

fn is_proxy(name: &str) -> bool {
    name.starts_with('{') && name.ends_with("+}")
}

fn is_parameter(name: &str) -> bool {
    name.starts_with('{') && !is_proxy(name)
}

fn parameters(pattern: &[&str], segments: &[&str]) -> PathParameters {
    let mut parameters = PathParameters::new();
    for (index, name) in pattern.iter().enumerate() {
        let key = name.trim_matches(['{', '}', '+']).to_owned();
        if is_proxy(name) {
            parameters.insert(key, segments[index..].join("/"));
        } else if is_parameter(name) {
            parameters.insert(key, segments[index].to_owned());
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, method: &str) -> Route {
        Route {
            path: path.to_owned(),
            method: method.to_owned(),
            function: "F".to_owned(),
            transfer_mode: None,
            timeout_ms: None,
        }
    }

    #[test]
    fn most_specific_resource_is_found() {
        let resources = Resources::new(vec![
            route("/", "ANY"),
            route("/api/chat", "ANY"),
            route("/api/{proxy+}", "ANY"),
            route("/v1/models", "ANY"),
            route("/v1/models", "GET"),
            route("/v1/models/{proxy+}", "ANY"),
            route("/v1/requests/{id}/events", "ANY"),
            route("/v1/requests/{id}", "GET"),
            route("/{proxy+}", "ANY"),
        ]);
        for (path, method, expected) in [
            ("/", "GET", Some("/")),
            ("/api/chat", "POST", Some("/api/chat")),
            ("/api/tags", "GET", Some("/api/{proxy+}")),
            ("/v1/models", "GET", Some("/v1/models")),
            ("/v1/models/a/b", "GET", Some("/v1/models/{proxy+}")),
            ("/v1/requests/r1/events", "GET", Some("/v1/requests/{id}/events")),
            ("/v1/requests/r1", "GET", Some("/v1/requests/{id}")),
            ("/v1/requests/r1", "POST", None),
            ("/favicon.ico", "GET", Some("/{proxy+}")),
            // Hidden by the resources /v1 and /api/chat.
            ("/v1/unknown", "GET", None),
            ("/api/chat/x", "GET", None),
        ] {
            let resource = resources.find(path, method);
            assert_eq!(resource.as_ref().map(|(route, _)| route.path.as_str()), expected, "{method} {path}");
        }
        let (_, parameters) = resources.find("/v1/models/a/b", "GET").unwrap();
        assert_eq!(parameters["proxy"], "a/b");
        let (route, _) = resources.find("/v1/models", "GET").unwrap();
        assert_eq!(route.method, "GET");
    }
}
