//! Pages that may read responses of the gateway in a browser.

use serde::{Deserialize, Serialize};

const ANY: &str = "*";

/// Origins of pages: `*` for all, or a text such as `https://app.example, http://localhost:3000`. Empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorsOrigins(Option<Vec<String>>);

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin; write such as \"https://app.example, http://localhost:3000\", or \"*\" for all pages"
)]
pub struct InvalidOrigin(String);

impl CorsOrigins {
    /// The listed origins; `None` for all.
    #[must_use]
    pub fn listed(&self) -> Option<&[String]> {
        self.0.as_deref()
    }
}

impl TryFrom<String> for CorsOrigins {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        if text.trim() == ANY {
            return Ok(Self(None));
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let origin = |part: &str| match is_origin(part) {
            true => Ok(part.to_ascii_lowercase()),
            false => Err(InvalidOrigin(part.to_owned())),
        };
        Ok(Self(Some(parts.map(origin).collect::<Result<_, _>>()?)))
    }
}

impl From<CorsOrigins> for String {
    fn from(origins: CorsOrigins) -> Self {
        origins.0.map_or_else(|| ANY.to_owned(), |listed| listed.join(", "))
    }
}

/// True for a scheme, a host and an optional port, as a browser sends it.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    is_scheme && !host.is_empty() && host.chars().all(is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_lists_origins() {
        let origins = |text: &str| CorsOrigins::try_from(text.to_owned());
        assert_eq!(origins("*").unwrap(), CorsOrigins::default());
        let listed = origins("https://App.example, http://localhost:3000,").unwrap();
        assert_eq!(listed.listed().unwrap(), ["https://app.example", "http://localhost:3000"]);
        assert_eq!(String::from(listed), "https://app.example, http://localhost:3000");
        assert_eq!(origins("").unwrap().listed().unwrap(), <[String; 0]>::default());
        for bad in [
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/page",
            "*, https://a.example",
            "null",
        ] {
            assert!(origins(bad).is_err(), "{bad}");
        }
    }
}
