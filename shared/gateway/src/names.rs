//! Names of users, organisations, teams and nodes, for people.

use hearth_wire::ApiError;

/// Maximum length of a name, in characters.
pub(crate) const NAME_MAX_CHARS: usize = 100;

/// Checks a name, and removes the spaces around it.
pub(crate) fn check_name(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX_CHARS || name.chars().any(char::is_control) {
        let message = format!(
            "name must have 1 to {NAME_MAX_CHARS} characters, and no line breaks or other control characters"
        );
        return Err(ApiError::invalid("name", message));
    }
    Ok(name.to_owned())
}
