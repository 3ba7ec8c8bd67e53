//! The context of a command: its settings, and the connection to the gateway.

use anyhow::Result;

use crate::{
    client::{CommandsAccess, Connection},
    settings::{self, Settings, SettingsFlags},
};

/// The flags that a command's context is made from.
#[derive(Debug, Default)]
pub(crate) struct ContextFlags {
    pub(crate) settings: SettingsFlags,
    pub(crate) connection: Connection,
}

/// The settings of a command, and the connection to its gateway.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    /// The gateway's address, the token for it, and the form of the output.
    pub(crate) connection: Connection,
    /// True if a flag, the environment or the settings have the gateway's address.
    pub(crate) is_url_set: bool,
}

impl Context {
    /// Reads the settings, and completes the connection from them and from the access that the gateway of this data
    /// folder has left in it.
    ///
    /// # Errors
    /// As of [`settings::read`].
    pub(crate) fn new(flags: ContextFlags) -> Result<Self> {
        let settings = settings::read(&flags.settings)?;
        let is_url_set = flags.connection.url.is_some() || settings.url.is_some();
        let connection = flags.connection.or(settings.url.clone(), settings.token.clone());
        let connection = match CommandsAccess::read(&settings.data) {
            // The token goes to the address that the gateway itself wrote, and nowhere else. A login goes before it.
            Some(access) if connection.is_at(&access.url) => {
                let connection = connection.at(&access.url).with_login();
                if connection.login.is_some() {
                    Connection { fallback: Some(access.token()), ..connection }
                } else {
                    connection.or(None, Some(access.token()))
                }
            }
            _ => connection.with_login(),
        };
        Ok(Self { settings, connection, is_url_set })
    }
}

impl From<SettingsFlags> for ContextFlags {
    fn from(settings: SettingsFlags) -> Self {
        Self { settings, connection: Connection::default() }
    }
}

impl From<&Connection> for ContextFlags {
    fn from(connection: &Connection) -> Self {
        Self { settings: SettingsFlags::default(), connection: connection.clone() }
    }
}
