//! A check of new passwords against those that are guessed first.

use hearth_domain::Secret;
use hearth_wire::ApiError;

/// Beginnings of the most common passwords of twelve characters and more, in lower case without digits and signs at their
/// ends. The source: the lists of leaked passwords that NIST SP 800-63B, 5.1.1.2, asks to compare with.
const COMMON: [&str; 28] = [
    "",
    "abcdefghijkl",
    "abcdefghijklm",
    "administrator",
    "asdfghjkl",
    "basketball",
    "changeme",
    "changemenow",
    "correcthorsebatterystaple",
    "hearth",
    "hearthhearth",
    "iloveyou",
    "iloveyouforever",
    "letmein",
    "letmeinplease",
    "liverpool",
    "manchester",
    "manchesterunited",
    "mypassword",
    "password",
    "passwordpassword",
    "princess",
    "qwerty",
    "qwertyuiop",
    "qwertyuiopasdfghjkl",
    "secret",
    "superman",
    "trustno",
];

/// Refuses a password that is one of the most common ones, or repeats a few characters.
///
/// # Errors
/// `invalid_request` at `param`.
pub(super) fn check(password: &Secret, param: &str) -> Result<(), ApiError> {
    if is_common(password.expose()) {
        let message =
            format!("{param}: this password is among the first that are guessed; choose another one");
        return Err(ApiError::invalid(param, message));
    }
    Ok(())
}

fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let letters: String = lower.chars().filter(|c| !c.is_whitespace() && *c != '-' && *c != '_').collect();
    let core = letters.trim_matches(|c: char| !c.is_alphabetic());
    let mut characters: Vec<char> = lower.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    characters.len() < 5 || COMMON.contains(&core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_and_repeated_passwords_are_refused() {
        for common in [
            "password12345",
            "Password 123!",
            "123456789012",
            "aaaaaaaaaaaa",
            "abababababab",
            "qwertyuiop12",
            "change-me-2026",
        ] {
            assert!(is_common(common), "{common}");
        }
        for good in ["a password of mine", "Tr0ub4dor&3xyz", "пароль-у-моря", "my hearth is warm"]
        {
            assert!(!is_common(good), "{good}");
        }
    }
}
