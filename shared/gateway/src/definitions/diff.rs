//! Differences of two JSON values, by place.

use hearth_wire::native::definitions::{Difference, DifferenceKind};
use serde_json::Value;

/// Limit of the differences of an answer.
const DIFFERENCE_MAX_COUNT: usize = 500;

/// The differences, and whether there are more than the limit. Items of lists are compared by their positions.
pub(super) fn differences(from: &Value, to: &Value) -> (Vec<Difference>, bool) {
    let mut differences = Vec::new();
    compare(String::new(), from, to, &mut differences);
    let is_truncated = differences.len() > DIFFERENCE_MAX_COUNT;
    differences.truncate(DIFFERENCE_MAX_COUNT);
    (differences, is_truncated)
}

fn compare(path: String, from: &Value, to: &Value, differences: &mut Vec<Difference>) {
    if from == to || differences.len() > DIFFERENCE_MAX_COUNT {
        return;
    }
    match (from, to) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let path = child(&path, name);
                match after.get(name) {
                    Some(other) => compare(path, value, other, differences),
                    None => differences.push(difference(path, Some(value), None)),
                }
            }
            for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                differences.push(difference(child(&path, name), None, Some(value)));
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for index in 0..before.len().max(after.len()) {
                let path = format!("{path}/{index}");
                match (before.get(index), after.get(index)) {
                    (Some(value), Some(other)) => compare(path, value, other, differences),
                    (value, other) => differences.push(difference(path, value, other)),
                }
            }
        }
        _ => differences.push(difference(path, Some(from), Some(to))),
    }
}

fn difference(path: String, from: Option<&Value>, to: Option<&Value>) -> Difference {
    let kind = match (from, to) {
        (None, _) => DifferenceKind::Added,
        (_, None) => DifferenceKind::Removed,
        _ => DifferenceKind::Changed,
    };
    Difference { path, kind, from: from.cloned(), to: to.cloned() }
}

/// The JSON Pointer of a field.
pub(super) fn child(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_have_their_places_and_values() {
        let from = json!({"a": 1, "b": {"c/d": [1, 2]}, "e": 5});
        let to = json!({"a": 2, "b": {"c/d": [1, 3, 4]}, "f": null});
        let (differences, is_truncated) = differences(&from, &to);
        let shown: Vec<_> = differences.iter().map(|one| (one.path.as_str(), one.kind)).collect();
        let expected = [
            ("/a", DifferenceKind::Changed),
            ("/b/c~1d/1", DifferenceKind::Changed),
            ("/b/c~1d/2", DifferenceKind::Added),
            ("/e", DifferenceKind::Removed),
            ("/f", DifferenceKind::Added),
        ];
        assert_eq!((shown.as_slice(), is_truncated), (expected.as_slice(), false));
        assert_eq!(
            (differences[0].from.clone(), differences[0].to.clone()),
            (Some(json!(1)), Some(json!(2)))
        );
    }

    #[test]
    fn equal_values_have_none_and_many_are_truncated() {
        assert_eq!(differences(&json!([1, {"a": 2}]), &json!([1, {"a": 2}])), (Vec::new(), false));
        let (differences, is_truncated) = differences(&json!([]), &json!(vec![0; 600]));
        assert_eq!((differences.len(), is_truncated), (500, true));
    }
}
