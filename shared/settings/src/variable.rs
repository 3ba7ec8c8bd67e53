//! Names of environment variables.

/// The prefix of every variable that is a setting.
pub(crate) const PREFIX: &str = "HEARTH_";

/// The variable of a setting: two underscores stand for a table.
pub(crate) fn of_setting(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "__").to_uppercase())
}

/// Returns whether the variable has the prefix, in any case.
pub(crate) fn has_prefix(variable: &str) -> bool {
    variable.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}
