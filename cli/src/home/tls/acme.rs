//! A certificate from an ACME server (RFC 8555), which checks this machine by a TLS handshake (RFC 8737): no other port needs to
//! be open.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use hearth_domain::Timestamp;
use hearth_files::{Access, write_atomically};
use hearth_settings::TlsSettings;
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeHandle, ChallengeType,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use serde::{Deserialize, Serialize};

use super::certificates::{self, Certificates};

/// Time for the server to check the names, and for it to issue the certificate.
const ORDER_TIMEOUT: Duration = Duration::from_secs(120);
/// Delay after the first failure; it doubles with each further one. Let's Encrypt refuses a name for an hour after five.
const RETRY_INTERVAL_MIN: Duration = Duration::from_secs(15 * 60);
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(12 * 3600);
/// Interval of looks at the clock, which a suspended machine finds changed.
const CLOCK_INTERVAL: Duration = Duration::from_secs(3600);
/// Limit of a stored certificate's file.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The client of an ACME server.
#[derive(Debug)]
pub(super) struct Acme {
    domains: BTreeSet<String>,
    contact: Option<String>,
    directory: String,
    directory_root: Option<PathBuf>,
    /// The account and its key; a file of this process alone.
    account: PathBuf,
    /// The certificate's key and its chain; a file of this process alone.
    certificate: PathBuf,
}

/// The account as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredAccount {
    directory: String,
    credentials: AccountCredentials,
}

/// A certificate, and its term of validity in seconds since 1970.
struct Issued {
    certificate: CertifiedKey,
    not_before: i64,
    not_after: i64,
}

impl Acme {
    /// A client that stores its files in `folder`, which is created.
    ///
    /// # Errors
    /// If the folder can't be created.
    pub(super) fn new(settings: &TlsSettings, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("{} can't be created", folder.display()))?;
        Ok(Self {
            domains: settings.domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
            contact: settings.contact.as_ref().map(|contact| format!("mailto:{contact}")),
            directory: settings.directory.clone(),
            directory_root: settings.directory_root.clone(),
            account: folder.join("account.json"),
            certificate: folder.join("certificate.pem"),
        })
    }

    /// Uses the stored certificate, if it is valid for the names. Returns the time from which it is to be renewed.
    fn load(&self, certificates: &Certificates) -> Option<Timestamp> {
        match self.stored() {
            Ok(issued) => {
                let due = issued.as_ref().map(Issued::renewal);
                if let Some(issued) = issued {
                    certificates.replace(issued.certificate);
                }
                due
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the stored certificate can't be used; a new one is requested"
                );
                None
            }
        }
    }

    /// Renews the certificate each time that two thirds of its term are over, and requests the first one at once.
    pub(super) async fn renew(self, certificates: Arc<Certificates>) {
        let mut due = self.load(&certificates);
        let mut retry_interval = RETRY_INTERVAL_MIN;
        loop {
            while let Some(wait) = due.and_then(remaining) {
                tokio::time::sleep(wait.min(CLOCK_INTERVAL)).await;
            }
            let ordered = self.order(&certificates).await;
            certificates.end_challenges();
            match ordered {
                Ok(issued) => {
                    due = Some(issued.renewal());
                    retry_interval = RETRY_INTERVAL_MIN;
                    let until = Timestamp::from_unix(issued.not_after);
                    tracing::info!(domains = ?self.domains, %until, "a new certificate is in use");
                    certificates.replace(issued.certificate);
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    let minutes = retry_interval.as_secs() / 60;
                    tracing::error!(error, domains = ?self.domains, minutes, "the ACME server issued no certificate; retried later");
                    due = Some(Timestamp::now().plus(retry_interval));
                    retry_interval = (retry_interval * 2).min(RETRY_INTERVAL_MAX);
                }
            }
        }
    }

    /// Gets a certificate from the server, and stores it.
    async fn order(&self, certificates: &Certificates) -> Result<Issued> {
        let account = self.account().await?;
        let names: Vec<Identifier> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await.context("the order was refused")?;
        authorize(&mut order, certificates).await?;
        let retries = RetryPolicy::default().timeout(ORDER_TIMEOUT);
        let status = order.poll_ready(&retries).await;
        let status = status.context(
            "the check of the names failed; the server connects to port 443 of each, which must lead to this gateway",
        )?;
        if status != OrderStatus::Ready {
            bail!("the order is {status:?} after the check of the names");
        }
        let key = order.finalize().await.context("the request for the certificate was refused")?;
        let chain = order.poll_certificate(&retries).await.context("the certificate wasn't issued")?;
        let text = format!("{key}{chain}");
        let issued = self.parse(text.as_bytes()).context("the issued certificate can't be used")?;
        let path = self.certificate.clone();
        tokio::task::spawn_blocking(move || write_atomically(&path, text.as_bytes(), Access::Owner))
            .await?
            .with_context(|| format!("{} can't be written", self.certificate.display()))?;
        issued.ok_or_else(|| anyhow!("the issued certificate isn't for these names, or isn't valid now"))
    }

    /// The stored account, or a new one at this directory.
    async fn account(&self) -> Result<Account> {
        if let Some(stored) = self.stored_account()? {
            let account = self.builder()?.from_credentials(stored.credentials).await;
            return account
                .with_context(|| format!("the account in {} can't be used", self.account.display()));
        }
        let contact: Vec<&str> = self.contact.as_deref().into_iter().collect();
        let account =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let created = self.builder()?.create(&account, self.directory.clone(), None).await;
        let (account, credentials) =
            created.with_context(|| format!("no account can be made at {}", self.directory))?;
        let stored = serde_json::to_vec(&StoredAccount { directory: self.directory.clone(), credentials })?;
        let path = self.account.clone();
        tokio::task::spawn_blocking(move || write_atomically(&path, &stored, Access::Owner))
            .await?
            .with_context(|| format!("{} can't be written", self.account.display()))?;
        Ok(account)
    }

    fn builder(&self) -> Result<AccountBuilder> {
        match &self.directory_root {
            Some(root) => Account::builder_with_root(root)
                .with_context(|| format!("tls.directory_root: {} can't be used", root.display())),
            None => Account::builder().context("the system's root certificates can't be read"),
        }
    }

    /// The stored account; none if there is none for this directory.
    fn stored_account(&self) -> Result<Option<StoredAccount>> {
        let Some(bytes) = read(&self.account)? else { return Ok(None) };
        // Not the parser's message: the file has a key.
        let stored: StoredAccount = serde_json::from_slice(&bytes).map_err(|_| {
            anyhow!("{} is damaged; remove it, and a new account is made", self.account.display())
        })?;
        Ok((stored.directory == self.directory).then_some(stored))
    }

    /// The stored certificate; none if there is none, or none for these names and this time.
    fn stored(&self) -> Result<Option<Issued>> {
        match read(&self.certificate)? {
            Some(bytes) => self.parse(&bytes).with_context(|| self.certificate.display().to_string()),
            None => Ok(None),
        }
    }

    /// A key with its certificate, PEM; none if it isn't for these names and this time.
    fn parse(&self, pem: &[u8]) -> Result<Option<Issued>> {
        let certificate = certificates::parse(pem, pem)?;
        let (not_before, not_after) = certificates::validity(&certificate)?;
        let names: BTreeSet<String> = certificates::host_names(&certificate)?.into_iter().collect();
        let is_usable = names == self.domains && Timestamp::now().unix() < not_after;
        Ok(is_usable.then_some(Issued { certificate, not_before, not_after }))
    }
}

impl Issued {
    /// The time from which it is to be renewed: when two thirds of its term are over.
    fn renewal(&self) -> Timestamp {
        Timestamp::from_unix(self.not_before + (self.not_after - self.not_before) / 3 * 2)
    }
}

/// Has the server check each name that it hasn't checked lately.
async fn authorize(order: &mut Order, certificates: &Certificates) -> Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.context("the server doesn't say how it checks the names")?;
        match authorization.status {
            AuthorizationStatus::Valid => {}
            AuthorizationStatus::Pending => {
                let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
                let challenge = challenge.context("the server doesn't check names by tls-alpn-01")?;
                answer(challenge, certificates).await?;
            }
            other => bail!("the check of a name is {other:?}"),
        }
    }
    Ok(())
}

/// Presents the certificate that proves to the server that this machine has the name (RFC 8737, section 3).
async fn answer(mut challenge: ChallengeHandle<'_>, certificates: &Certificates) -> Result<()> {
    let domain = challenge.identifier().to_string();
    let digest = challenge.key_authorization().digest().as_ref().to_vec();
    ensure!(digest.len() == 32, "the digest of a challenge isn't SHA-256");
    let mut parameters =
        CertificateParams::new([domain.clone()]).context("the name can't be in a certificate")?;
    parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let key = KeyPair::generate().context("no key can be generated")?;
    let certificate = parameters.self_signed(&key).context("the proof can't be signed")?;
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!("{error}"))?;
    // Not `from_der`, which compares the two, and refuses the critical extension that it doesn't know.
    let key = ring::sign::any_supported_type(&key).context("the key of a proof can't be used")?;
    certificates.present(domain, CertifiedKey::new(chain, key));
    challenge.set_ready().await.context("the server doesn't begin the check of a name")
}

/// The time until `at`; none if it is over.
fn remaining(at: Timestamp) -> Option<Duration> {
    let seconds = at.unix() - Timestamp::now().unix();
    u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// The contents of a file; none if there is no file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(facts) if facts.len() > FILE_MAX_BYTES => bail!("{} is too large", path.display()),
        Ok(_) => fs::read(path).map(Some).with_context(|| format!("{} can't be read", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read", path.display())),
    }
}
