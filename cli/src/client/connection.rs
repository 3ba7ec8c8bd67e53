//! Where the gateway is and who asks: the options that every client command has.

use std::convert::Infallible;

use hearth_domain::Secret;

/// Where the gateway is, who asks, and in which shape to answer.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub struct Connection {
    /// The gateway's address [default: that of this machine's gateway, else http://127.0.0.1:8080]
    #[arg(long, global = true, env = "HEARTH_URL", value_name = "URL")]
    pub url: Option<String>,
    /// An API token. In HEARTH_TOKEN it stays out of the shell's history and the process list
    #[arg(long, global = true, env = "HEARTH_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret)]
    pub token: Option<Secret>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// Where `hearth up` listens unless it is told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

impl Connection {
    /// The gateway's address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_deref().unwrap_or(DEFAULT_URL)
    }

    /// Tells that no address is given, or this one, in any of the forms that people write.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        self.url.as_deref().is_none_or(|given| comparable(given) == comparable(url))
    }

    /// The same at this address.
    #[must_use]
    pub(crate) fn at(self, url: &str) -> Self {
        Self { url: Some(url.to_owned()), ..self }
    }

    /// Takes from the settings what the command line and the environment left open.
    #[must_use]
    pub fn or(self, url: Option<String>, token: Option<Secret>) -> Self {
        Self { url: self.url.or(url), token: self.token.or(token), json: self.json }
    }
}

/// An address without what makes no difference: the scheme of this machine, `/v1`, and the name of the loopback.
fn comparable(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let url = url.strip_suffix("/v1").unwrap_or(url);
    let url = url.strip_prefix("http://").unwrap_or(url);
    url.strip_prefix("localhost").map_or_else(|| url.to_owned(), |rest| format!("127.0.0.1{rest}"))
}

/// Wraps at once, so that the text never stands in a type whose `Debug` shows it.
fn secret(text: &str) -> Result<Secret, Infallible> {
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
    fn addresses_are_the_same_in_several_forms() {
        let at = |url: &str| Connection { url: Some(url.to_owned()), token: None, json: false };
        let own = "http://127.0.0.1:8080";
        for url in
            [own, "http://127.0.0.1:8080/", "127.0.0.1:8080", "http://localhost:8080/v1", "localhost:8080"]
        {
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
        assert!(Connection { url: None, token: None, json: false }.is_at(own));
    }

    #[test]
    fn the_token_does_not_show() {
        let line = Line::parse_from(["hearth", "--token", " hth_abc\n"]);
        assert!(!format!("{line:?}").contains("abc"));
        assert_eq!(line.connection.token.as_ref().map(Secret::expose), Some("hth_abc"));
    }
}
