//! Where the gateway is and who asks: the options that every client command has.

use std::convert::Infallible;

use hearth_domain::Secret;

/// Where the gateway is, who asks, and in which shape to answer.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub struct Connection {
    /// The gateway's address [default: http://127.0.0.1:8080]
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

    /// Tells that no address is given, or this one.
    pub(crate) fn is_at(&self, url: &str) -> bool {
        self.url.as_deref().is_none_or(|given| given.trim_end_matches('/') == url)
    }

    /// Takes from the settings what the command line and the environment left open.
    #[must_use]
    pub fn or(self, url: Option<String>, token: Option<Secret>) -> Self {
        Self { url: self.url.or(url), token: self.token.or(token), json: self.json }
    }
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
    fn the_token_does_not_show() {
        let line = Line::parse_from(["hearth", "--token", " hth_abc\n"]);
        assert!(!format!("{line:?}").contains("abc"));
        assert_eq!(line.connection.token.as_ref().map(Secret::expose), Some("hth_abc"));
    }
}
