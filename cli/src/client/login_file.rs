//! The login at a gateway, in a file of the user's configuration folder that its owner alone can read.
//!
//! A refresh token is valid once. Commands that run at the same time lock the file before they use it, so that each sees the
//! token that the one before has stored.

use std::{
    error::Error,
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use hearth_domain::{Secret, Timestamp};
use hearth_files::{Access, write_atomically};
use hearth_wire::native::logins::LoginBody;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    base_url::{comparable, parse_base},
    error::{GatewayError, root_cause},
    stream::request_id,
};

/// Remaining validity below which an access token is replaced.
const ACCESS_TOKEN_GRACE: Duration = Duration::from_secs(60);
/// Bytes of an address' hash in the name of its file.
const HASH_BYTES: usize = 6;

/// The login in the file has ended or can't be read: another sign-in is needed.
#[derive(Debug)]
pub(crate) struct UnusableLogin(String);

impl fmt::Display for UnusableLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UnusableLogin {}

/// The file of a login.
#[derive(Debug, Clone)]
pub(crate) struct LoginFile(PathBuf);

/// A login, as it is stored.
#[derive(Deserialize, Serialize)]
struct SavedLogin {
    /// The gateway's address, for people who look at the file.
    url: String,
    access_token: String,
    /// Seconds since 1970.
    access_expires_at: i64,
    refresh_token: String,
}

impl SavedLogin {
    fn new(url: &str, body: &LoginBody) -> Self {
        let lifetime = Duration::from_secs(body.expires_in);
        Self {
            url: url.to_owned(),
            access_token: body.access_token.expose().to_owned(),
            access_expires_at: Timestamp::now().plus(lifetime).unix(),
            refresh_token: body.refresh_token.expose().to_owned(),
        }
    }

    fn is_fresh(&self) -> bool {
        Timestamp::now().plus(ACCESS_TOKEN_GRACE).unix() < self.access_expires_at
    }
}

impl LoginFile {
    /// The file for the gateway at `url`, whether it exists or not. `None` without a configuration folder, and for a text that is
    /// no address.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let base = parse_base(url).ok()?;
        Some(Self::in_folder(&dirs::config_dir()?.join("hearth").join("logins"), base.as_str()))
    }

    fn in_folder(folder: &Path, url: &str) -> Self {
        let address = comparable(url);
        let hash = Sha256::digest(address.as_bytes());
        let plain: String = address
            .chars()
            .map(
                |character| {
                    if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' }
                },
            )
            .take(60)
            .collect();
        Self(folder.join(format!("{plain}-{}.json", hearth_domain::hex(&hash[..HASH_BYTES]))))
    }

    /// Returns whether there is a login.
    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Stores the login of a sign-in at `url`, in place of an earlier one.
    ///
    /// # Errors
    /// The folder can't be written.
    pub(crate) async fn save(&self, url: &str, body: &LoginBody) -> Result<()> {
        let _lock = self.lock().await?;
        self.write(&SavedLogin::new(url, body))
    }

    /// Removes the login.
    ///
    /// # Errors
    /// The folder can't be written.
    pub(crate) async fn remove(&self) -> Result<()> {
        let _lock = self.lock().await?;
        self.delete()
    }

    /// A valid access token of the gateway at `base`.
    ///
    /// # Errors
    /// There is no login, it has ended, or the gateway can't be reached.
    pub(crate) async fn access_token(&self, http: &reqwest::Client, base: &Url) -> Result<Secret> {
        let saved = self.read(address(base))?;
        if saved.is_fresh() {
            return Ok(Secret::new(saved.access_token));
        }
        self.refresh_unless(http, base, SavedLogin::is_fresh).await
    }

    /// The access token that follows `refused`, which the gateway doesn't accept though it hasn't expired: as after the key that
    /// signed it was revoked.
    ///
    /// # Errors
    /// As for [`LoginFile::access_token`].
    pub(crate) async fn access_token_after(
        &self,
        http: &reqwest::Client,
        base: &Url,
        refused: &Secret,
    ) -> Result<Secret> {
        self.refresh_unless(http, base, |saved| saved.access_token != refused.expose() && saved.is_fresh())
            .await
    }

    /// Replaces the tokens, unless another command has done so meanwhile.
    async fn refresh_unless(
        &self,
        http: &reqwest::Client,
        base: &Url,
        is_replaced: impl Fn(&SavedLogin) -> bool,
    ) -> Result<Secret> {
        let url = address(base);
        let _lock = self.lock().await?;
        let saved = self.read(url)?;
        if is_replaced(&saved) {
            return Ok(Secret::new(saved.access_token));
        }
        let body = json!({"refresh_token": saved.refresh_token});
        let refresh = http.post(format!("{url}/v1/users/refresh")).json(&body).send().await;
        let response = refresh.map_err(|error| {
            anyhow::anyhow!(
                "no gateway answers at {url} ({}), so the login can't be used",
                root_cause(&error)
            )
        })?;
        let status = response.status();
        if !status.is_success() {
            let request_id = request_id(&response);
            let body = response.bytes().await.unwrap_or_default();
            let error = GatewayError::from_response(status, request_id.as_deref(), &body);
            if status == reqwest::StatusCode::UNAUTHORIZED {
                self.delete()?;
                return Err(UnusableLogin(format!("{}; run `hearth login {url}`", error.body.message)).into());
            }
            return Err(error.into());
        }
        let body: LoginBody = response.json().await.context("the gateway's answer can't be read")?;
        self.write(&SavedLogin::new(url, &body))?;
        Ok(body.access_token)
    }

    fn read(&self, url: &str) -> Result<SavedLogin> {
        let bytes = match fs::read(&self.0) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(
                    UnusableLogin(format!("there is no login at {url}; run `hearth login {url}`")).into()
                );
            }
            Err(error) => return Err(error).with_context(|| format!("{} can't be read", self.0.display())),
        };
        // Without the cause, which may quote the tokens.
        serde_json::from_slice(&bytes).map_err(|_| {
            let file = self.0.display();
            UnusableLogin(format!("the login in {file} is damaged; run `hearth login {url}`")).into()
        })
    }

    fn write(&self, saved: &SavedLogin) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(saved)?;
        write_atomically(&self.0, &bytes, Access::Owner)
            .with_context(|| format!("{} can't be written", self.0.display()))
    }

    fn delete(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} can't be removed", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    /// Waits until no other command uses the login. The lock ends when it is dropped.
    async fn lock(&self) -> Result<File> {
        let path = self.0.with_extension("lock");
        let failed = format!("{} can't be locked", path.display());
        let lock = tokio::task::spawn_blocking(move || {
            if let Some(folder) = path.parent() {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            file.lock()?;
            Ok::<_, io::Error>(file)
        });
        lock.await?.context(failed)
    }
}

/// The address of a gateway without the slash at its end.
fn address(base: &Url) -> &str {
    base.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests;
