//! Other gateways, each set up to do as little as it can: a pass from a client to the mock.
//!
//! `cargo xtask bench gateway` installs them, and says which can't be had here.

mod litellm;
mod portkey;
mod smg;
mod tensorzero;

use std::{net::TcpListener, path::Path, str::FromStr};

use anyhow::{Context as _, Result, bail};

use super::subject::Subject;

/// A peer's program, or why there is none, as in `smg=/path` and `bifrost:its binary can't be had`.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) program: Result<std::path::PathBuf, String>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest, found) = match (text.split_once('='), text.split_once(':')) {
            (Some((name, path)), _) if !name.contains(':') => (name, path, true),
            (_, Some((name, why))) => (name, why, false),
            _ => return Err("a peer is NAME=PROGRAM, or NAME:WHY-THERE-IS-NONE".to_owned()),
        };
        let program = if found { Ok(rest.into()) } else { Err(rest.to_owned()) };
        Ok(Self { name: name.to_owned(), program })
    }
}

/// Starts a peer in front of the mock at `upstream`.
pub(super) async fn start(name: &str, program: &Path, upstream: &str) -> Result<Subject> {
    match name {
        "tensorzero" => tensorzero::start(program, upstream).await,
        "smg" => smg::start(program, upstream).await,
        "portkey" => portkey::start(program, upstream).await,
        "litellm" => litellm::start(program, upstream).await,
        other => bail!("how to start {other} isn't known"),
    }
}

/// A port that was free a moment ago: most servers take a number only.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_is_a_program_or_a_reason() {
        let peer: Peer = "smg=/a:b/c".parse().unwrap();
        assert_eq!((peer.name.as_str(), peer.program), ("smg", Ok("/a:b/c".into())));
        let peer: Peer = "bifrost:no version == 2".parse().unwrap();
        assert_eq!((peer.name.as_str(), peer.program), ("bifrost", Err("no version == 2".to_owned())));
        assert!("smg".parse::<Peer>().is_err());
    }
}
