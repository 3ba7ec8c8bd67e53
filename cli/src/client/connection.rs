//! Where the gateway is and who asks: the options that every client command has.

use std::convert::Infallible;

use hearth_domain::Secret;

/// Where the gateway is, who asks, and in which shape to answer.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub struct Connection {
    /// The gateway's address
    #[arg(
        long,
        global = true,
        env = "HEARTH_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub url: String,
    /// An API token. In HEARTH_TOKEN it stays out of the shell's history and the process list
    #[arg(long, global = true, env = "HEARTH_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret)]
    pub token: Option<Secret>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
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
