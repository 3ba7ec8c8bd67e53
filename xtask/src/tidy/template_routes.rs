//! Each route of the functions has a path in the SAM template that leads to its function, in the function's mode, and each
//! path of the template has a route.
//!
//! API Gateway's own `{proxy+}` of the whole API needs no route: its function answers unknown paths.
//!
//! The template is read line by line. A YAML parser would be the only dependency of `cargo xtask up` beside JSON.

use super::tree::Tree;
use crate::openapi;

const TEMPLATE: &str = "infra/template.yaml";
const FUNCTIONS: &str = "functions/";
/// The function of the WebSocket API. `hearth up` alone serves its route by HTTP.
const SOCKET_FUNCTION: &str = "socket";
/// The path of everything that has no other.
const UNKNOWN_PATHS: &str = "/{proxy+}";

/// A path of the template, with its function.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event<'a> {
    /// Its line, counted from 1.
    line: usize,
    /// Name of the function's folder, such as `models` for `ModelsFunction`.
    function: String,
    kind: &'a str,
    path: &'a str,
    method: &'a str,
    transfer_mode: Option<&'a str>,
    timeout: Option<&'a str>,
}

/// A function buffers its responses, or streams them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Buffered,
    Streaming,
}

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let Some(template) = tree.text(TEMPLATE) else { return vec![format!("{TEMPLATE}: not there")] };
    let events = events(template);
    let routes = routes(tree);
    let mut problems = Vec::new();
    let mut reached = vec![false; events.len()];
    for (function, path) in routes.iter().filter(|(function, _)| *function != SOCKET_FUNCTION) {
        let Some(found) = best(&events, &example(path)) else {
            problems.push(format!("{TEMPLATE}: has no path for {path} of functions/{function}"));
            continue;
        };
        reached[found] = true;
        let event = &events[found];
        if event.function != *function {
            problems.push(format!(
                "{TEMPLATE}:{}: {} leads to functions/{}, but {path} is a route of functions/{function}",
                event.line, event.path, event.function
            ));
        }
    }
    for (event, is_reached) in events.iter().zip(reached) {
        if !is_reached && event.path != UNKNOWN_PATHS {
            let Event { line, path, .. } = event;
            problems.push(format!("{TEMPLATE}:{line}: no function has a route for {path}"));
        }
        problems.extend(event.check(mode(tree, &event.function)));
    }
    problems.extend(undocumented(tree, &routes));
    problems
}

impl Event<'_> {
    /// Compares the event with the mode of its function.
    fn check(&self, mode: Option<Mode>) -> Vec<String> {
        let Self { line, path, method, transfer_mode, timeout, .. } = self;
        let mut problems = Vec::new();
        let place = format!("{TEMPLATE}:{line}: {path}");
        if *method != "ANY" {
            problems.push(format!(
                "{place}: has the method {method:?}; the function answers all methods, so use ANY"
            ));
        }
        match mode {
            None => problems.push(format!(
                "{place}: functions/{}/src/main.rs neither streams nor buffers",
                self.function
            )),
            Some(Mode::Streaming) if *transfer_mode != Some("RESPONSE_STREAM") => {
                problems.push(format!(
                    "{place}: its function streams; it needs ResponseTransferMode: RESPONSE_STREAM"
                ));
            }
            Some(Mode::Streaming) if timeout.is_none() => {
                problems.push(format!("{place}: a stream without TimeoutInMillis is cut after 29 s"));
            }
            Some(Mode::Buffered) if transfer_mode.is_some() => {
                problems.push(format!("{place}: its function buffers; it must have no ResponseTransferMode"));
            }
            Some(_) => {}
        }
        problems
    }
}

/// The events of type `Api`. Their properties are lines of their own.
fn events(template: &str) -> Vec<Event<'_>> {
    let mut events: Vec<Event<'_>> = Vec::new();
    let (mut resource, mut in_events) = ("", false);
    for (index, line) in template.lines().enumerate() {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, value) = text.split_once(':').map_or((text, ""), |(name, value)| (name, value.trim()));
        match line.len() - text.len() {
            0 | 2 => (resource, in_events) = (name, false),
            4 | 6 => in_events = name == "Events",
            8 if in_events => {
                let function = resource.trim_end_matches("Function").to_lowercase();
                events.push(Event { line: index + 1, function, ..Event::default() });
            }
            10 | 12 if in_events => {
                let Some(event) = events.last_mut() else { continue };
                match name {
                    "Type" => event.kind = value,
                    "Path" => event.path = value,
                    "Method" => event.method = value,
                    "ResponseTransferMode" => event.transfer_mode = Some(value),
                    "TimeoutInMillis" => event.timeout = Some(value),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    events.retain(|event| event.kind == "Api");
    events
}

/// The functions' routes: the function's folder and the path. Those of a router without documentation are in it too.
fn routes(tree: &Tree) -> Vec<(&str, &str)> {
    let mut routes = Vec::new();
    for (file, text) in tree.texts() {
        let Some((function, file)) = file.strip_prefix(FUNCTIONS).and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        if !file.starts_with("src/") || file.ends_with("tests.rs") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for mark in ["path = \"/", ".route(\"/"] {
            // The mark's last character is the path's first.
            for (at, _) in code.match_indices(mark) {
                let path = &code[at + mark.len() - 1..];
                routes.push((function, path.split('"').next().unwrap_or_default()));
            }
        }
    }
    routes.sort_unstable();
    routes.dedup();
    routes
}

/// Documented routes that no function has.
fn undocumented(tree: &Tree, routes: &[(&str, &str)]) -> Vec<String> {
    let description = openapi::PATH;
    let json = tree.text(description).and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let paths = json.as_ref().and_then(|json| json["paths"].as_object());
    let Some(paths) = paths else { return vec![format!("{description}: has no paths")] };
    let missing = paths.keys().filter(|path| routes.iter().all(|(_, route)| route != path));
    missing.map(|path| format!("{description}: no function has the route {path}")).collect()
}

fn mode(tree: &Tree, function: &str) -> Option<Mode> {
    let main = tree.text(&format!("{FUNCTIONS}{function}/src/main.rs"))?;
    match (main.contains("run_streaming("), main.contains("run_buffered(")) {
        (true, false) => Some(Mode::Streaming),
        (false, true) => Some(Mode::Buffered),
        _ => None,
    }
}

/// A request's path for a route: each parameter is a segment, and a wildcard two.
fn example(route: &str) -> String {
    let mut parts = route.split('{');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        path.push_str(if name.starts_with('*') { "x/y" } else { "x" });
        path.push_str(rest);
    }
    path
}

/// The event that API Gateway chooses for a path: in each segment a text comes before a parameter, and a parameter before
/// the rest of the path.
fn best(events: &[Event<'_>], path: &str) -> Option<usize> {
    let ranked =
        events.iter().enumerate().filter_map(|(index, event)| Some((rank(event.path, path)?, index)));
    ranked.max().map(|(_, index)| index)
}

/// The rank of a template's path for a request's; `None` if it doesn't match.
fn rank(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let segments = |text: &str| -> Vec<String> {
        text.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    };
    let (pattern, path) = (segments(pattern), segments(path));
    let mut ranks = Vec::new();
    for (index, segment) in pattern.iter().enumerate() {
        let actual = path.get(index)?;
        if segment.ends_with("+}") {
            ranks.push(0);
            return Some(ranks);
        }
        ranks.push(match segment {
            segment if segment.starts_with('{') => 1,
            segment if segment == actual => 2,
            _ => return None,
        });
    }
    (pattern.len() == path.len()).then_some(ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE_TEXT: &str = "\
Resources:
  ChatFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Chat:
          Type: Api
          Properties:
            Path: /v1/chat
            Method: ANY
            ResponseTransferMode: RESPONSE_STREAM
            TimeoutInMillis: 900000
        Sweep:
          Type: Schedule
          Properties:
            Schedule: rate(5 minutes)
  ListFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        # Ids have slashes.
        Model:
          Type: Api
          Properties:
            Path: /v1/models/{proxy+}
            Method: ANY
        Unknown:
          Type: Api
          Properties:
            Path: /{proxy+}
            Method: ANY
  ListRole:
    Type: AWS::IAM::Role
";
    const OPENAPI: &str = r#"{"paths": {"/v1/chat": {}, "/v1/models/{id}": {}}}"#;
    const CHAT: &str = "#[utoipa::path(post, path = \"/v1/chat\", tag = \"x\")]";
    const LIST: &str =
        "#[utoipa::path(get, path = \"/v1/models/{id}\")]\n.route(\"/v1/models/{*path}\", get(x))";
    const STREAMS: &str = "run_streaming(router)";
    const BUFFERS: &str = "run_buffered(router)";

    fn problems(template: &str, chat: &str, list: &str) -> Vec<String> {
        check(&Tree::of([
            (TEMPLATE, template),
            (openapi::PATH, OPENAPI),
            ("functions/chat/src/routes.rs", chat),
            ("functions/chat/src/main.rs", STREAMS),
            ("functions/list/src/lib.rs", list),
            ("functions/list/src/main.rs", BUFFERS),
        ]))
    }

    #[test]
    fn routes_with_their_paths_are_fine() {
        assert_eq!(problems(TEMPLATE_TEXT, CHAT, LIST), Vec::<String>::new());
    }

    #[test]
    fn missing_path_and_wrong_function_are_found() {
        let without = TEMPLATE_TEXT.replace("Path: /v1/chat", "Path: /v1/other");
        assert_eq!(
            problems(&without, CHAT, LIST),
            [
                "infra/template.yaml:27: /{proxy+} leads to functions/list, but /v1/chat is a route of functions/chat",
                "infra/template.yaml:6: no function has a route for /v1/other",
            ]
        );
        let moved = format!("{LIST}\npath = \"/v1/chat\"");
        assert_eq!(
            problems(TEMPLATE_TEXT, "", &moved),
            [
                "infra/template.yaml:6: /v1/chat leads to functions/chat, but /v1/chat is a route of functions/list"
            ]
        );
        let root = format!("{LIST}\n.route(\"/\", get(x))");
        assert_eq!(
            problems(TEMPLATE_TEXT, CHAT, &root),
            ["infra/template.yaml: has no path for / of functions/list"]
        );
        assert_eq!(
            problems(TEMPLATE_TEXT, "", LIST),
            [
                "infra/template.yaml:6: no function has a route for /v1/chat",
                "docs/openapi.json: no function has the route /v1/chat"
            ]
        );
    }

    #[test]
    fn wrong_mode_and_method_are_found() {
        for (from, to, problem) in [
            ("RESPONSE_STREAM", "STREAM", "needs ResponseTransferMode: RESPONSE_STREAM"),
            ("            TimeoutInMillis: 900000\n", "", "cut after 29 s"),
            (
                "Path: /v1/models/{proxy+}",
                "Path: /v1/models/{proxy+}\n            ResponseTransferMode: RESPONSE_STREAM",
                "must have no ResponseTransferMode",
            ),
            ("Method: ANY", "Method: GET", "the method \"GET\""),
        ] {
            let reported = problems(&TEMPLATE_TEXT.replacen(from, to, 1), CHAT, LIST);
            assert!(reported.len() == 1 && reported[0].contains(problem), "{problem}: {reported:?}");
        }
    }

    #[test]
    fn nearest_path_is_chosen() {
        let event = |path| Event { path, ..Event::default() };
        let events =
            [event("/{proxy+}"), event("/a/{id}"), event("/a/b"), event("/a/{proxy+}"), event("/a/{id}/c")];
        for (path, expected) in
            [("/a/b", 2), ("/a/x", 1), ("/a/x/y", 3), ("/a/x/c", 4), ("/z", 0), ("/a/b/c", 4), ("/a/", 0)]
        {
            assert_eq!(best(&events, path), Some(expected), "{path}");
        }
        assert_eq!(best(&events, "/"), None);
    }
}
