//! The addresses on which `hearth up` serves: the one of the settings, and with TLS two more.

use std::net::{Ipv4Addr, TcpListener as StdListener};

use anyhow::{Context as _, Result};
use axum::Router;
use hearth_server::{Entrance, Tls};
use tokio::net::TcpListener;

use super::tls::{HostTls, redirect_router};
use crate::settings::Settings;

/// The port that an https address needn't have.
const HTTPS_PORT: u16 = 443;

/// The listeners of a gateway, which accept connections already and serve none yet.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// The gateway's address for clients.
    pub(crate) url: String,
    /// The address for the commands on this machine. With TLS it is one of loopback without TLS: no certificate is for it.
    pub(crate) commands_url: String,
    main: TcpListener,
    secure: Option<Secure>,
}

/// The further parts of a gateway with TLS.
#[derive(Debug)]
struct Secure {
    tls: Tls,
    /// Serves the commands on this machine, in plain HTTP on loopback.
    commands: TcpListener,
    /// Redirects to https, and the port that it redirects to.
    redirect: Option<(TcpListener, u16)>,
}

impl Listeners {
    /// Listens by the settings.
    ///
    /// # Errors
    /// A port is in use, or the certificate can't be read.
    pub(crate) async fn open(settings: &Settings) -> Result<Self> {
        let main = hearth_server::bind(settings.host, settings.port).await?;
        let address = main.local_addr()?;
        if !settings.tls.is_enabled() {
            let url = format!("http://{address}");
            return Ok(Self { commands_url: url.clone(), url, main, secure: None });
        }
        let HostTls { tls, host } = HostTls::start(&settings.tls, &settings.data)?;
        let commands = StdListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .context("no port of 127.0.0.1 can be listened on")?;
        let redirect = match settings.tls.redirect_port {
            Some(port) => Some((hearth_server::bind(settings.host, port).await?, address.port())),
            None => None,
        };
        let url = match (host, address.port()) {
            (Some(host), HTTPS_PORT) => format!("https://{host}"),
            (Some(host), port) => format!("https://{host}:{port}"),
            (None, _) => format!("https://{address}"),
        };
        let commands_url = format!("http://{}", commands.local_addr()?);
        Ok(Self { url, commands_url, main, secure: Some(Secure { tls, commands, redirect }) })
    }

    /// The listeners with the routes that each serves.
    pub(crate) fn entrances(self, router: Router) -> Vec<Entrance> {
        let Some(Secure { tls, commands, redirect }) = self.secure else {
            return vec![Entrance::plain(self.main, router)];
        };
        let redirect = redirect.map(|(listener, port)| Entrance::plain(listener, redirect_router(port)));
        let own = [Entrance::plain(commands, router.clone()), Entrance::secure(self.main, router, tls)];
        own.into_iter().chain(redirect).collect()
    }
}
