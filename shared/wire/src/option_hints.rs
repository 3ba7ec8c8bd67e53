//! Hints for unknown fields whose names resemble those of the gateway's own options: a misspelt option isn't followed, and in a
//! dialect that passes unknown fields on nothing else says so.

use hearth_domain::Extra;

/// The names of [`RunOptions`](crate::run_options::RunOptions)' fields, with those that Gemini's clients may write.
const OPTION_NAMES: [&str; 24] = [
    "on_disconnect",
    "onDisconnect",
    "while_loading",
    "whileLoading",
    "priority",
    "fallback",
    "resume",
    "selection_mode",
    "selectionMode",
    "prefer",
    "deadline",
    "max_price",
    "maxPrice",
    "schema_id",
    "schemaId",
    "template_id",
    "templateId",
    "variables",
    "max_attempts",
    "maxAttempts",
    "allow_relaxed",
    "allowRelaxed",
    "bypass_validation",
    "bypassValidation",
];
/// Largest edit distance between a misspelt name and an option's.
const EDITS_MAX_COUNT: usize = 2;
/// Limit of the hints for one request: they are in a header.
const HINTS_MAX_COUNT: usize = 4;

/// A hint for each unknown field of a request that resembles an option, such as ``"`deadlin` is an unknown field: did you mean
/// `deadline`?"``. The names are ASCII.
#[must_use]
pub fn option_hints(extra: &Extra) -> Vec<String> {
    let resembling =
        extra.fields.keys().filter_map(|name| Some((name, resembled_option(name)?))).take(HINTS_MAX_COUNT);
    resembling
        .map(|(name, option)| format!("`{name}` is an unknown field: did you mean `{option}`?"))
        .collect()
}

/// The option that a name resembles most.
fn resembled_option(name: &str) -> Option<&'static str> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let near = OPTION_NAMES.iter().filter(|option| option.len().abs_diff(name.len()) <= EDITS_MAX_COUNT);
    let distances = near.map(|option| (edit_distance(name.as_bytes(), option.as_bytes()), *option));
    let (distance, option) = distances.filter(|_| is_plain).min()?;
    (distance <= EDITS_MAX_COUNT).then_some(option)
}

/// The Levenshtein distance: insertions, deletions and replacements of a byte.
fn edit_distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left) in left.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use hearth_domain::ClientDialect;
    use serde_json::{Map, Value};

    use super::*;
    use crate::run_options::RunOptions;

    fn hints(names: &[&str]) -> Vec<String> {
        let fields: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), Value::from(1))).collect();
        option_hints(&Extra::new(ClientDialect::OpenAiChat, fields))
    }

    #[test]
    fn all_options_are_in_the_list() {
        let options = serde_json::to_value(RunOptions::default()).unwrap();
        for name in options.as_object().unwrap().keys() {
            assert!(OPTION_NAMES.contains(&name.as_str()), "{name}");
        }
    }

    #[test]
    fn misspelt_option_is_named_with_the_right_one() {
        for (name, option) in [
            ("deadlin", "deadline"),
            ("max_prices", "max_price"),
            ("prefered", "prefer"),
            ("fallbacks", "fallback"),
            ("on_disconect", "on_disconnect"),
            ("selectionmode", "selectionMode"),
        ] {
            assert_eq!(hints(&[name]), [format!("`{name}` is an unknown field: did you mean `{option}`?")]);
        }
    }

    #[test]
    fn fields_of_vendors_and_odd_names_have_no_hint() {
        let fields =
            ["metadata", "store", "user", "top_a", "provider", "models", "prediction", "service_tier"];
        assert!(hints(&fields).is_empty());
        assert!(hints(&["deadlin\n", "", "déadline"]).is_empty());
        let long = "deadline".repeat(10_000);
        assert!(hints(&[&long]).is_empty());
    }

    #[test]
    fn hints_are_few() {
        let names = ["deadlin", "deadlines", "dedline", "deadlne", "headline", "deadine"];
        assert_eq!(hints(&names).len(), HINTS_MAX_COUNT);
    }
}
