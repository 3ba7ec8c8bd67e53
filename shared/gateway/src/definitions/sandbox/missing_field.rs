//! Finds the name of a field that a variable doesn't have. The engine names only the line in which a template uses it.

use serde_json::{Map, Value};

/// Beginnings and ends of the parts of a line that are evaluated.
const TAGS: [(&str, &str); 2] = [("{{", "}}"), ("{%", "%}")];

/// The first path in a line of a template, such as `customer.name`, whose field `variables` doesn't have; else, the only path
/// of a name that the template binds itself, such as the item of a loop.
pub(super) fn find(line: &str, variables: &Map<String, Value>) -> Option<String> {
    let paths: Vec<Vec<&str>> = evaluated(line).into_iter().flat_map(paths).collect();
    let missing = paths.iter().find_map(|path| missing_part(path, variables));
    if missing.is_some() {
        return missing;
    }
    let mut bound: Vec<String> =
        paths.iter().filter(|path| !variables.contains_key(path[0])).map(|path| path.join(".")).collect();
    bound.dedup();
    if bound.len() == 1 { bound.pop() } else { None }
}

/// The parts of a line within tags; the whole line if a tag has more lines.
fn evaluated(line: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), line);
    loop {
        let next = TAGS.iter().filter_map(|(begin, end)| Some((rest.find(begin)?, *begin, *end))).min();
        let Some((start, begin, end)) = next else { break };
        let inside = &rest[start + begin.len()..];
        let Some(length) = inside.find(end) else {
            parts.push(inside);
            break;
        };
        parts.push(&inside[..length]);
        rest = &inside[length + end.len()..];
    }
    if parts.is_empty() { vec![line] } else { parts }
}

/// The dotted names in an expression, outside of texts.
fn paths(expression: &str) -> Vec<Vec<&str>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let outside = expression.split(['"', '\'']).step_by(2);
    let words = outside.flat_map(|text| text.split(move |c| !is_part(c)));
    let names = words.map(|word| word.split('.').collect::<Vec<_>>());
    let is_name = |name: &&str| name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    names.filter(|path| path.len() > 1 && path[0] != "loop" && path.iter().all(is_name)).collect()
}

/// The beginning of a path up to the first field that its variable doesn't have.
fn missing_part(path: &[&str], variables: &Map<String, Value>) -> Option<String> {
    let mut value = variables.get(path[0])?;
    for (depth, field) in path.iter().enumerate().skip(1) {
        match value.get(field) {
            Some(next) => value = next,
            None => return Some(path[..=depth].join(".")),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_is_named_where_the_line_tells() {
        let variables =
            json!({"customer": {"name": "Ada", "home": {"city": "Rome"}}, "items": [{"price": 1}]});
        let variables = variables.as_object().unwrap();
        for (line, expected) in [
            ("Dear {{ customer.name }} of {{ customer.home.street }},", Some("customer.home.street")),
            ("see example.org: {{ customer.title|upper }}", Some("customer.title")),
            ("{{ customer.nick.short }}", Some("customer.nick")),
            ("{% for item in items %}{{ loop.index }}. {{ item.title }}{% endfor %}", Some("item.title")),
            ("{{ item.title }} {{ item.price }}", None),
            ("{{ 'customer.text' }} {{ customer['title'] }}", None),
            ("{{ 1.5 }}", None),
        ] {
            assert_eq!(find(line, variables).as_deref(), expected, "{line}");
        }
    }
}
