//! `hearth node enroll`: makes this machine a node of a gateway.

use std::{
    fs,
    io::{BufRead as _, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use hearth_auth::NodeKey;
use hearth_domain::{Secret, hex};
use hearth_node::link::NodeIdentity;
use hearth_wire::relay::Enrolled;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem};

use crate::{
    client::{
        connection::{Connection, secret},
        gateway_client::GatewayClient,
        terminal,
    },
    context::{Context, ContextFlags},
    home::data_lock::DataLock,
    settings::{Settings, SettingsFlags},
};

/// The beginning of every code that enrols a node.
const NODE_CODE_PREFIX: &str = "hnode_";

/// Make this machine a node of a gateway, by a code
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth node enroll https://ai.example.org CODE
  hearth node enroll https://ai.example.org CODE --url https://box.example.org:8443

The code comes from `hearth node code`, or from POST /v1/nodes/codes, and is valid for ten minutes. This machine makes a key pair; \
the private key stays here, in the data folder. The machine needs no open port; with --url the gateway connects to it directly \
where it can.")]
pub(crate) struct Enroll {
    /// The gateway's address, such as https://ai.example.org
    #[arg(value_name = "GATEWAY")]
    gateway: String,
    /// The code; `-` reads it from standard input
    #[arg(value_name = "CODE", value_parser = secret)]
    code: Secret,
    /// A name for this node; without it: the machine's. A name that the code was made with precedes it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An address at which the gateway may reach this node
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The certificate at that address, a PEM file: the gateway accepts its key alone; without it: that of the settings
    #[arg(long, value_name = "FILE", requires = "url")]
    certificate: Option<PathBuf>,
    /// Replace an earlier enrolment of this machine
    #[arg(long)]
    replace: bool,
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Enroll {
    pub(super) fn flags(&self) -> ContextFlags {
        SettingsFlags::with_data(self.data.clone()).into()
    }

    /// Enrols this machine.
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        self.check_order()?;
        let settings = &context.settings;
        let _lock = DataLock::take(&settings.data)?;
        let earlier = NodeIdentity::load(&settings.data);
        ensure!(
            self.replace || matches!(earlier, Ok(None)),
            "this machine is enrolled already, by {}; --replace enrols it anew",
            NodeIdentity::path(&settings.data).display()
        );
        let gateway = GatewayClient::new(&Connection::fixed(&self.gateway))?;
        let key = NodeKey::generate();
        let body = json!({
            "code": self.code()?.expose(),
            "public_key": key.public_key(),
            "name": self.name.clone().or_else(machine_name),
            "region": settings.node.region,
            "url": self.url,
            "certificate_key": self.certificate_key(settings)?,
            "version": env!("CARGO_PKG_VERSION"),
        });
        let enrolled: Enrolled = gateway.post(&["v1", "node", "enroll"], &body).await?;
        let identity = NodeIdentity {
            gateway: gateway.address().parse().context("the gateway's address can't be stored")?,
            node: enrolled.node,
            gateway_key: enrolled.gateway_key,
            key,
        };
        identity.store(&settings.data).with_context(|| {
            format!(
                "the gateway has this machine as the node {}: revoke that one, and enrol again",
                enrolled.node
            )
        })?;
        let earlier = earlier.ok().flatten().map(|earlier| earlier.node);
        if self.json {
            return terminal::print_json(&json!({
                "node": enrolled.node, "name": enrolled.name, "gateway": gateway.address(), "replaced": earlier,
            }));
        }
        let (name, node) = (enrolled.name, enrolled.node);
        terminal::print_line(&format!("This machine is {name}, the node {node} of {}.", gateway.address()))?;
        if let Some(earlier) = earlier {
            terminal::note(&format!(
                "note: it was the node {earlier} before; if the gateway still lists it, `hearth node revoke {earlier}` removes it"
            ));
        }
        terminal::next_steps(
            false,
            &[
                "hearth node run        # serve the gateway from here",
                "hearth node install    # or as a service",
            ],
        );
        Ok(())
    }

    /// Refuses a code in the place of the address, which must not be looked up as a name or printed.
    fn check_order(&self) -> Result<()> {
        let is_address = |text: &str| text.contains("://");
        let has_code = self.gateway.trim_start().starts_with(NODE_CODE_PREFIX);
        let is_swapped = has_code || (is_address(self.code.expose()) && !is_address(&self.gateway));
        ensure!(
            !is_swapped,
            "address and code are swapped: run `hearth node enroll GATEWAY CODE`, with the gateway's address first"
        );
        Ok(())
    }

    fn code(&self) -> Result<Secret> {
        if self.code.expose() != "-" {
            return Ok(self.code.clone());
        }
        let mut line = String::new();
        stdin().lock().read_line(&mut line).context("the code can't be read from standard input")?;
        Ok(Secret::new(line.trim()))
    }

    /// SHA-256 of the public key of the certificate at the node's https address.
    fn certificate_key(&self, settings: &Settings) -> Result<Option<String>> {
        let is_https = self.url.as_deref().is_some_and(|url| url.starts_with("https://"));
        let certificate = self.certificate.as_ref().or(settings.tls.certificate.as_ref());
        match certificate.filter(|_| is_https) {
            Some(path) => key_of_certificate(path).map(Some),
            None => Ok(None),
        }
    }
}

fn key_of_certificate(path: &Path) -> Result<String> {
    let pem = fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
    let unreadable = || format!("{} isn't a certificate in PEM", path.display());
    let (_, pem) = parse_x509_pem(&pem).ok().with_context(unreadable)?;
    let (_, certificate) = parse_x509_certificate(&pem.contents).ok().with_context(unreadable)?;
    Ok(hex(Sha256::digest(certificate.public_key().raw)))
}

/// The machine's name in its network, without its domain.
fn machine_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    name.split('.').next().map(str::to_owned).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

    use super::*;

    #[test]
    fn key_of_a_certificate_is_the_hash_of_its_public_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["box".to_owned()]).unwrap().self_signed(&key).unwrap();
        let path = folder.path().join("certificate.pem");
        fs::write(&path, certificate.pem()).unwrap();
        let expected = hex(Sha256::digest(key.subject_public_key_info()));
        assert_eq!(key_of_certificate(&path).unwrap(), expected);
        fs::write(&path, "none").unwrap();
        key_of_certificate(&path).unwrap_err();
    }

    #[test]
    fn machine_has_a_name() {
        assert!(machine_name().is_some_and(|name| !name.contains('.')));
    }
}
