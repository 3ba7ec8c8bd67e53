//! Grants the access, as `hearth up` does while it runs.

use std::{fs, io, net::IpAddr, path::Path};

use anyhow::{Context as _, Result};
use hearth_domain::{Action, Owner, UserId};
use hearth_files::{Access, write_atomically};
use hearth_gateway::{
    Gateway,
    tokens::{COMMANDS_TOKEN_NAME, NewToken},
};
use url::Url;

use super::{CommandsAccess, path};

impl CommandsAccess {
    /// Issues a token with every scope and writes the file, in place of what an earlier process left.
    ///
    /// # Errors
    /// The store or the folder cannot be written.
    pub(crate) async fn grant(gateway: &Gateway, operator: UserId, data: &Path, url: &str) -> Result<()> {
        Self::withdraw(gateway, operator, data).await;
        let (token, record) =
            gateway.access().issue_token(NewToken::of_operator(operator, COMMANDS_TOKEN_NAME)).await?;
        gateway.audit().record_command("hearth up", Action::ManageTokens, operator, record.id).await?;
        let access =
            Self { url: reachable(url), token: token.expose().to_owned(), token_id: record.id.to_string() };
        write(data, &access).with_context(|| format!("{} cannot be written", path(data).display()))?;
        gateway.access().keep_for_commands(record.id);
        Ok(())
    }

    /// Revokes the token and removes the file. A file that remains is replaced at the next start.
    pub(crate) async fn withdraw(gateway: &Gateway, operator: UserId, data: &Path) {
        let Some(access) = Self::read(data) else { return };
        if let Ok(id) = access.token_id.parse() {
            let revoke = async {
                gateway.access().revoke_token_of(Owner::of_record(operator, None), id).await?;
                gateway.audit().record_command("hearth up", Action::ManageTokens, operator, id).await
            };
            if let Err(error) = revoke.await {
                tracing::warn!(%error, "the token of this machine's commands is not revoked");
            }
        }
        if let Err(error) = fs::remove_file(path(data)) {
            tracing::warn!(%error, "the file with the access of this machine's commands is not removed");
        }
    }
}

fn write(data: &Path, access: &CommandsAccess) -> io::Result<()> {
    write_atomically(&path(data), &serde_json::to_vec(access)?, Access::Owner)
}

/// Replaces an address that stands for every interface by one that can be connected to.
fn reachable(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    let unspecified = parsed
        .host_str()
        .map(|host| host.trim_matches(['[', ']']))
        .and_then(|host| host.parse().ok().filter(IpAddr::is_unspecified));
    let loopback = match unspecified {
        Some(IpAddr::V4(_)) => "127.0.0.1",
        Some(IpAddr::V6(_)) => "[::1]",
        None => return url.to_owned(),
    };
    // An address of an HTTP server takes any host.
    let _ = parsed.set_host(Some(loopback));
    parsed.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_addresses_become_loopback() {
        for (url, expected) in [
            ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("http://[::]:8080", "http://[::1]:8080"),
            ("http://192.168.1.2:8080", "http://192.168.1.2:8080"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ] {
            assert_eq!(reachable(url), expected);
        }
    }

    #[test]
    fn file_is_readable_by_its_owner_alone_and_damage_is_no_access() {
        let data = tempfile::tempdir().unwrap();
        assert!(CommandsAccess::read(data.path()).is_none());
        let access = CommandsAccess { url: "http://h".into(), token: "hth_x".into(), token_id: "i".into() };
        write(data.path(), &access).unwrap();
        assert_eq!(CommandsAccess::read(data.path()).unwrap().token().expose(), "hth_x");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(path(data.path())).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(path(data.path()), "{").unwrap();
        assert!(CommandsAccess::read(data.path()).is_none());
    }
}
