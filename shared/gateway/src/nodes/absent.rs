//! Errors for nodes that don't answer.

use hearth_wire::{ApiError, ErrorCode};

/// Limit of the number of nodes that an error names.
const LISTED_NODES_MAX_COUNT: usize = 3;

/// The error for nodes, by their names, of which none answers.
pub(super) fn none_answers(mut failures: Vec<(String, ApiError)>) -> Option<ApiError> {
    let is_other = |(_, error): &(String, ApiError)| error.code != ErrorCode::NodeOffline;
    if let Some(index) = failures.iter().position(is_other) {
        return Some(failures.swap_remove(index).1);
    }
    let names: Vec<&str> = failures.iter().map(|(name, _)| name.as_str()).collect();
    match names.len() {
        0 | 1 => failures.pop().map(|(_, error)| error),
        count => {
            let names = listed(&names);
            let message = format!(
                "none of the {count} nodes can be reached: {names}; `hearth node status NAME` has the reasons"
            );
            Some(ApiError::new(ErrorCode::NodeOffline, message))
        }
    }
}

/// The first names, and the number of the others.
pub(super) fn listed(names: &[&str]) -> String {
    let (shown, others) = names.split_at(names.len().min(LISTED_NODES_MAX_COUNT));
    let shown = shown.join(", ");
    if others.is_empty() { shown } else { format!("{shown} and {} more", others.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offline(name: &str) -> (String, ApiError) {
        (name.to_owned(), ApiError::new(ErrorCode::NodeOffline, format!("{name} is off")))
    }

    #[test]
    fn error_for_nodes_that_do_not_answer_has_their_number_and_some_names() {
        assert_eq!(none_answers(Vec::new()), None);
        assert_eq!(none_answers(vec![offline("a")]).unwrap().message, "a is off");
        let message =
            |names: &[&str]| none_answers(names.iter().map(|name| offline(name)).collect()).unwrap().message;
        assert!(message(&["a", "b"]).starts_with("none of the 2 nodes can be reached: a, b; "));
        assert!(message(&["a", "b", "c", "d"]).contains("the 4 nodes can be reached: a, b, c and 1 more; "));
    }

    #[test]
    fn another_error_than_of_an_absent_node_comes_first() {
        let internal = ("b".to_owned(), ApiError::new(ErrorCode::Internal, "broken"));
        assert_eq!(none_answers(vec![offline("a"), internal]).unwrap().code, ErrorCode::Internal);
    }
}
