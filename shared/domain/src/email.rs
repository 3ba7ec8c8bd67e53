//! Addresses of users.

/// Maximum bytes of an address: the limit of SMTP (RFC 5321, 4.5.3.1.3).
pub const EMAIL_MAX_BYTES: usize = 254;

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address must have the form name@host, with at most {EMAIL_MAX_BYTES} bytes and without spaces")]
pub struct InvalidEmail;

/// The form of an address that all its spellings have in common: without spaces around it, and in lower case. Mail servers
/// may distinguish upper and lower case before the `@`, and none is known that does.
#[must_use]
pub fn normalized_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Checks the form of an address, and removes the spaces around it. Only a message to it would show whether it exists.
///
/// # Errors
/// If it can't be one.
pub fn check_email(email: &str) -> Result<String, InvalidEmail> {
    let email = email.trim();
    let is_wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | ',' | ';');
    let (name, host) = email.rsplit_once('@').ok_or(InvalidEmail)?;
    let is_valid = !name.is_empty()
        && !name.contains('@')
        && !host.is_empty()
        && !host.starts_with('.')
        && !host.ends_with('.')
        && email.len() <= EMAIL_MAX_BYTES
        && !email.chars().any(is_wrong);
    if is_valid { Ok(email.to_owned()) } else { Err(InvalidEmail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_needs_a_name_and_a_host() {
        for good in ["a@b", " Ada.Lovelace@Example.org ", "ä@ü.example", "a+b@c.example"] {
            assert_eq!(check_email(good).unwrap(), good.trim(), "{good:?}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in
            ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@.b", "a@b.", "<a@b>", "a@b\nc", "a@b,c@d", &long]
        {
            assert_eq!(check_email(bad.trim_matches(' ')), Err(InvalidEmail), "{bad:?}");
        }
    }

    #[test]
    fn spellings_of_an_address_have_one_form() {
        assert_eq!(normalized_email(" Ada@Example.ORG"), normalized_email("ada@example.org "));
        assert_ne!(normalized_email("ada@example.org"), normalized_email("ad.a@example.org"));
    }
}
