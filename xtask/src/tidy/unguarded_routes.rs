//! Every route of the public router is documented, so that the suite `api` can call each of them without a token.
//!
//! A route that is added to an `axum::Router` directly is in no OpenAPI document, so that the suite wouldn't find out that
//! it has no guard.

use super::tree::Tree;

/// Sources of what `hearth up` and `hearth node run` serve. The routes of a node are in its table, of which a test of its own sends
/// each without its gateway's signature.
const FOLDERS: [&str; 6] = [
    "cli/src/",
    "functions/",
    "gpu-node/src/server/",
    "shared/http/src/",
    "shared/lambda/src/",
    "shared/server/src/",
];
/// Calls that add a route without documentation, or another router whole.
const CALLS: [&str; 6] =
    [".route(", ".route_service(", ".nest(", ".nest_service(", ".fallback_service(", ".merge("];
/// Files that put documented routes together.
const MERGES: [&str; 7] = [
    "shared/http/src/documented_routes.rs",
    "cli/src/api.rs",
    "functions/accounts/src/lib.rs",
    "functions/generate/src/lib.rs",
    "functions/models/src/lib.rs",
    "functions/nodes/src/lib.rs",
    "functions/ops/src/lib.rs",
];
/// Calls that are allowed, with the reason.
const ALLOWED: [(&str, &str, usize); 5] = [
    // The same for the Gemini dialect.
    ("functions/generate/src/lib.rs", ".route(\"/v1beta/models/{*path}\"", 2),
    // The wildcard; the routes below it are documented by name.
    ("functions/models/src/lib.rs", ".route(\"/v1/models/{*path}\"", 4),
    // The address alone, and a redirect to the documentation.
    ("functions/ops/src/lib.rs", "get(docs::r", 2),
    // A node's proof of its key, which the test of its table has too.
    ("gpu-node/src/server/mod.rs", ".route(CHALLENGE, ", 1),
    // A full server's `/health`, by the public router itself.
    ("shared/http/src/serve.rs", ".route(\"/health\", any(", 1),
];

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let sources = tree.texts().filter(|(path, _)| {
        // The client commands serve nothing but in their tests.
        let is_test = path.starts_with("cli/src/client/")
            || path.ends_with("tests.rs")
            || path.ends_with("testing.rs")
            || path.contains("/tests/");
        FOLDERS.iter().any(|folder| path.starts_with(folder)) && path.ends_with(".rs") && !is_test
    });
    let mut problems = Vec::new();
    for (path, text) in sources {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let mut allowed: Vec<_> = ALLOWED.iter().filter(|(file, ..)| *file == path).copied().collect();
        for (number, line) in code.lines().enumerate() {
            let Some(call) = CALLS.iter().find(|call| adds_route(line, call)) else { continue };
            if *call == ".merge(" && MERGES.contains(&path) {
                continue;
            }
            let exception = allowed.iter_mut().find(|(_, text, left)| *left > 0 && line.contains(text));
            match exception {
                Some((.., left)) => *left -= 1,
                None => problems.push(format!(
                    "{path}:{}: {call}..) adds a route that no test sees; use `routes!` inside `guarded`",
                    number + 1
                )),
            }
        }
    }
    problems
}

/// Returns whether the line has the call with a path or a router: other types have methods of the same names.
fn adds_route(line: &str, call: &str) -> bool {
    let Some((_, arguments)) = line.split_once(call) else { return false };
    call == ".merge(" || arguments.is_empty() || arguments.starts_with(|c: char| c == '"' || c.is_uppercase())
}
