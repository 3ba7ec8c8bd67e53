//! Public asynchronous functions of `hearth-gateway` return boxed futures: rustc would compile the body of each in every
//! crate that awaits it (docs/decisions/0091).
//!
//! A function with generic arguments is left out, since its body is compiled where its types are chosen, and so is one
//! that the macro doesn't take: with `self: &Arc<Self>`, the lifetime `'_`, or a reference in its result.

use super::tree::Tree;

/// A call for each token, which allocates nothing.
const UNBOXED: (&str, &str) = ("shared/gateway/src/run/stream.rs", "pub async fn next(");
const SOURCES: &str = "shared/gateway/src/";
const ATTRIBUTE: &str = "#[crate::boxed_future]";

pub(super) fn check(tree: &Tree) -> Vec<String> {
    let sources = tree.texts().filter(|(path, _)| path.starts_with(SOURCES) && !path.contains("tests"));
    sources.flat_map(|(path, text)| unboxed(path, text)).collect()
}

fn unboxed(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.starts_with("pub async fn "));
    let is_problem = |&(at, _): &(usize, &&str)| {
        let signature: String = lines.iter().skip(at).take_while(|line| **line != "{").copied().collect();
        let signature = signature.split('{').next().unwrap_or_default();
        let is_generic = signature.split('(').next().is_some_and(|name| name.contains('<'))
            || ["impl ", "self: &Arc<Self>", "'_", "Result<&"].iter().any(|part| signature.contains(part));
        let is_listed = path == UNBOXED.0 && signature.starts_with(UNBOXED.1);
        !is_generic
            && !is_listed
            && at.checked_sub(1).and_then(|before| lines.get(before)) != Some(&ATTRIBUTE)
    };
    starts
        .filter(is_problem)
        .map(|(at, _)| format!("{path}:{}: a public async function needs {ATTRIBUTE} above it", at + 1))
        .collect()
}
