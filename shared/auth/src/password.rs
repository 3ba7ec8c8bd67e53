//! Passwords: hashed with Argon2id (RFC 9106), with the parameters that OWASP's Password Storage Cheat Sheet recommends:
//! 19 MiB of memory, two passes, one lane. A hash is a PHC string, which has its own parameters and salt.
//!
//! Each call takes tens of milliseconds and the memory above. A server calls them off its async threads, and bounds how many
//! run at once.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use hearth_domain::Secret;
use rand::Rng as _;

/// Memory of one computation, in KiB.
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Minimum length of a new password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 12;
/// Maximum length of a password, in bytes. It bounds the work for a request.
pub const PASSWORD_MAX_BYTES: usize = 512;

const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// Limits of a stored hash's parameters: a hash from an import must not take all memory or hours.
const STORED_MEMORY_MAX_KIB: u32 = 64 * 1024;
const STORED_PASSES_MAX_COUNT: u32 = 8;

/// A hash that no password has, with the present parameters. It is verified where there is no account, so that the answer
/// takes as long as for one.
const HASH_OF_NO_PASSWORD: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$aGVhcnRoLW5vLWFjY291bg$Q3bX5n0yX0rY8J6H0m1mZ8gqk7Yq3F2d1cWv9sB4u5E";

/// A reason why a password can't be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("the password must have at least {PASSWORD_MIN_CHARS} characters")]
    TooShort,
    /// It is too long.
    #[error("the password must have at most {PASSWORD_MAX_BYTES} bytes")]
    TooLong,
    /// The computation failed.
    #[error("the password can't be hashed")]
    Failed,
}

/// Checks the length of a new password. Nothing else is required of it, as NIST SP 800-63B recommends.
///
/// # Errors
/// If it is too short or too long.
pub fn check_new(password: &Secret) -> Result<(), PasswordError> {
    if password.expose().chars().count() < PASSWORD_MIN_CHARS {
        return Err(PasswordError::TooShort);
    }
    if password.expose().len() > PASSWORD_MAX_BYTES { Err(PasswordError::TooLong) } else { Ok(()) }
}

/// Hashes a password with a new salt, and returns the PHC string.
///
/// # Errors
/// If the password is too long, or there is no memory.
pub fn hash(password: &Secret) -> Result<String, PasswordError> {
    if password.expose().len() > PASSWORD_MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    let mut salt = [0; SALT_BYTES];
    rand::rng().fill_bytes(&mut salt);
    let hash = argon2()?.hash_password_with_salt(password.expose().as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|_| PasswordError::Failed)
}

/// Returns whether `hash` is this password's. Without a hash, and with one that can't be read, it takes as long, and returns
/// false.
#[must_use]
pub fn verify(password: &Secret, hash: Option<&str>) -> bool {
    // A password this long has no hash. Its length is no secret of the account.
    if password.expose().len() > PASSWORD_MAX_BYTES {
        return false;
    }
    let stored = hash.and_then(|hash| PasswordHash::new(hash).ok()).filter(is_affordable);
    let is_stored = stored.is_some();
    let Some(hash) = stored.or_else(|| PasswordHash::new(HASH_OF_NO_PASSWORD).ok()) else { return false };
    // The comparison of the hashes takes constant time.
    let is_equal = Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok();
    is_equal && is_stored
}

/// Returns whether a hash has other parameters than a new one would have. At the next sign-in it is replaced.
#[must_use]
pub fn needs_rehash(hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return true };
    let Ok(params) = Params::try_from(&hash) else { return true };
    let present = (MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES));
    let is_present = (params.m_cost(), params.t_cost(), params.p_cost(), params.output_len()) == present;
    hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
        || hash.version != Some(Version::V0x13.into())
        || !is_present
}

fn is_affordable(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| {
        params.m_cost() <= STORED_MEMORY_MAX_KIB && params.t_cost() <= STORED_PASSES_MAX_COUNT
    })
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).map_err(|_| PasswordError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_valid_for_its_password_only() {
        let password = Secret::new("correct horse battery staple");
        let (one, other) = (hash(&password).unwrap(), hash(&password).unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other, "the salts are equal");
        assert!(verify(&password, Some(&one)) && verify(&password, Some(&other)));
        for wrong in ["", "correct horse battery stapl", "Correct horse battery staple", &"a".repeat(600)] {
            assert!(!verify(&Secret::new(wrong), Some(&one)), "{wrong}");
        }
        assert!(!needs_rehash(&one));
    }

    #[test]
    fn hash_of_no_password_is_computed_and_never_valid() {
        let parsed = PasswordHash::new(HASH_OF_NO_PASSWORD).unwrap();
        assert!(is_affordable(&parsed) && !needs_rehash(HASH_OF_NO_PASSWORD));
        let password = Secret::new("any password at all");
        for hash in [None, Some(HASH_OF_NO_PASSWORD), Some(""), Some("$2b$12$abc"), Some("$argon2id$v=19$x")]
        {
            assert!(!verify(&password, hash), "{hash:?}");
        }
    }

    #[test]
    fn hash_with_other_parameters_needs_a_rehash() {
        let salt_and_hash = "aGVhcnRoLW5vLWFjY291bg$Q3bX5n0yX0rY8J6H0m1mZ8gqk7Yq3F2d1cWv9sB4u5E";
        for (head, expected) in [
            ("$argon2id$v=19$m=19456,t=2,p=1$", false),
            ("$argon2id$v=19$m=12288,t=3,p=1$", true),
            ("$argon2id$v=19$m=19456,t=1,p=1$", true),
            ("$argon2id$v=19$m=19456,t=2,p=2$", true),
            ("$argon2i$v=19$m=19456,t=2,p=1$", true),
            ("$argon2id$v=16$m=19456,t=2,p=1$", true),
            ("$2b$12$", true),
        ] {
            assert_eq!(needs_rehash(&format!("{head}{salt_and_hash}")), expected, "{head}");
        }
    }

    #[test]
    fn hash_with_other_parameters_is_valid_and_a_costly_one_is_not() {
        let password = Secret::new("correct horse battery staple");
        let hash_with = |memory: u32| {
            let params = Params::new(memory, 1, 1, Some(HASH_BYTES)).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon2.hash_password_with_salt(password.expose().as_bytes(), &[1; 16]).unwrap().to_string()
        };
        assert!(verify(&password, Some(&hash_with(64))));
        assert!(!verify(&password, Some(&hash_with(STORED_MEMORY_MAX_KIB + 8))));
    }

    #[test]
    fn hash_of_the_reference_implementation_is_verified() {
        // By argon2-cffi 25.1, which has the C code of the algorithm's authors.
        let hash =
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$TUhCoV6YH8thtZpQqRp0JvQQ5ZYgiLA0LYApKDG6qtM";
        assert!(verify(&Secret::new("correct horse battery staple"), Some(hash)) && needs_rehash(hash));
        assert!(!verify(&Secret::new("correct horse battery stable"), Some(hash)));
    }

    #[test]
    fn new_password_has_bounds() {
        for (password, expected) in [
            ("elevenchars", Err(PasswordError::TooShort)),
            ("twelve chars", Ok(())),
            ("пароль-пароль", Ok(())),
            (&"a".repeat(PASSWORD_MAX_BYTES), Ok(())),
            (&"a".repeat(PASSWORD_MAX_BYTES + 1), Err(PasswordError::TooLong)),
        ] {
            assert_eq!(check_new(&Secret::new(password)), expected, "{password}");
        }
        assert_eq!(hash(&Secret::new("a".repeat(PASSWORD_MAX_BYTES + 1))), Err(PasswordError::TooLong));
    }
}
