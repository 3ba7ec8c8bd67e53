//! The flags of every client command: the gateway's address, the token, and the form of the output.

use std::convert::Infallible;

use hearth_domain::Secret;

use super::{base_url::comparable, login_file::LoginFile};

/// The gateway's address, the token for it, and the form of the output.
#[derive(Debug, Default, Clone, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub(crate) struct Connection {
    /// The gateway's address [default: that of this machine's gateway, else http://127.0.0.1:8080]
    #[arg(long, global = true, env = "HEARTH_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// An API token. In HEARTH_TOKEN it stays out of the shell's history and the process list
    #[arg(long, global = true, env = "HEARTH_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret)]
    pub(crate) token: Option<Secret>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The login at the gateway, where no token is given.
    #[arg(skip)]
    pub(crate) login: Option<LoginFile>,
    /// The token of this machine's commands, in place of a login that can't be used any more.
    #[arg(skip)]
    pub(crate) fallback: Option<Secret>,
    /// True where neither `--url` nor `HEARTH_URL` can name another address, so that errors don't advise them.
    #[arg(skip)]
    pub(crate) is_address_fixed: bool,
}

/// The default address of `hearth up`.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

impl Connection {
    /// The gateway's address.
    #[must_use]
    pub(crate) fn url(&self) -> &str {
        self.url.as_deref().unwrap_or(DEFAULT_URL)
    }

    /// Returns whether no address is set, or this one, in any of its usual forms.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        self.url.as_deref().is_none_or(|own| comparable(own) == comparable(url))
    }

    /// Replaces the address.
    #[must_use]
    pub(crate) fn at(self, url: &str) -> Self {
        Self { url: Some(url.to_owned()), ..self }
    }

    /// The connection to a fixed address, without a credential.
    #[cfg(feature = "engine")]
    pub(crate) fn fixed(url: &str) -> Self {
        Self { url: Some(url.to_owned()), is_address_fixed: true, ..Self::default() }
    }

    /// Fills in what neither a flag nor the environment sets.
    #[must_use]
    pub(crate) fn or(self, url: Option<String>, token: Option<Secret>) -> Self {
        Self { url: self.url.or(url), token: self.token.or(token), ..self }
    }

    /// Uses the login at the gateway, if there is one and no token is given.
    #[must_use]
    pub(crate) fn with_login(self) -> Self {
        let login = || LoginFile::of(self.url()).filter(LoginFile::exists);
        let login = if self.token.is_none() { login() } else { None };
        Self { login, ..self }
    }

    /// Returns whether requests have a credential.
    pub(crate) fn has_credential(&self) -> bool {
        self.login.is_some() || self.token.as_ref().is_some_and(|token| !token.expose().is_empty())
    }
}

/// Wraps the text at once, so that no type with a revealing `Debug` holds it.
pub(crate) fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.trim()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        connection: Connection,
    }

    #[test]
    fn address_is_recognised_in_several_forms() {
        let at = |url: &str| Connection::default().at(url);
        let own = "http://127.0.0.1:8080";
        for url in [
            own,
            "http://127.0.0.1:8080/",
            "127.0.0.1:8080",
            "http://localhost:8080/v1",
            "localhost:8080",
            "localhost:8080/v1/chat/completions",
            "http://localhost:8080/docs/",
        ] {
            assert!(at(url).is_at(own), "{url}");
        }
        for url in [
            "https://127.0.0.1:8080",
            "http://127.0.0.1:8081",
            "http://localhost.example:8080",
            "http://h:8080",
        ] {
            assert!(!at(url).is_at(own), "{url}");
        }
        assert!(Connection::default().is_at(own));
    }

    #[test]
    fn debug_hides_the_token() {
        let line = Line::parse_from(["hearth", "--token", " hth_abc\n"]);
        assert!(!format!("{line:?}").contains("abc"));
        assert_eq!(line.connection.token.as_ref().map(Secret::expose), Some("hth_abc"));
    }
}
