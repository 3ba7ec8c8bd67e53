//! Settings of notifications: the limits of messages to people, and the server that sends emails.

use std::time::Duration;

use hearth_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{InvalidSetting, check_ranges},
    shown,
};

/// The table `notifications` of the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationSettings {
    /// Send anything at all: to endpoints, by email, to Slack and to PagerDuty.
    pub enabled: bool,
    /// Messages to one address in an hour; further ones are left out. Not for endpoints.
    pub per_hour: u32,
    /// Seconds in which a message with the same kind and subject is left out. Not for endpoints.
    pub dedupe_seconds: u32,
    /// The address of PagerDuty's Events API v2.
    pub pagerduty_url: String,
    /// The server that sends emails.
    pub smtp: SmtpSettings,
}

/// The table `notifications.smtp` of the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmtpSettings {
    /// The server; absent: there are no emails.
    pub host: Option<String>,
    /// The port; absent: 587, with `tls` 465, and with `none` 25.
    pub port: Option<u16>,
    /// The encryption of the connection.
    pub encryption: SmtpEncryption,
    /// The user; absent: without authentication.
    pub username: Option<String>,
    /// The user's password.
    #[serde(serialize_with = "shown::hidden")]
    pub password: Option<Secret>,
    /// The sender of the emails, as `Hearth <hearth@example.org>`.
    pub from: Option<String>,
}

/// The encryption of the connection to a mail server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpEncryption {
    /// Begins without, and changes to TLS before anything is sent.
    #[default]
    Starttls,
    /// TLS from the beginning.
    Tls,
    /// None: for a server on the same machine.
    None,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            per_hour: 60,
            dedupe_seconds: 300,
            pagerduty_url: "https://events.pagerduty.com/v2/enqueue".to_owned(),
            smtp: SmtpSettings::default(),
        }
    }
}

impl Default for SmtpSettings {
    fn default() -> Self {
        let encryption = SmtpEncryption::default();
        Self { host: None, port: None, encryption, username: None, password: None, from: None }
    }
}

impl NotificationSettings {
    /// Time in which a message with the same kind and subject is left out.
    #[must_use]
    pub fn dedupe_interval(&self) -> Duration {
        Duration::from_secs(self.dedupe_seconds.into())
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "notifications.",
            [
                ("per_hour", Some(self.per_hour.into()), 1..=10_000),
                ("dedupe_seconds", Some(self.dedupe_seconds.into()), 0..=86_400),
            ],
        )?;
        let SmtpSettings { host, from, encryption, password, .. } = &self.smtp;
        if host.is_some() && from.is_none() {
            return Err(InvalidSetting::new(
                "notifications.smtp.from must be set beside notifications.smtp.host",
            ));
        }
        if *encryption == SmtpEncryption::None && password.is_some() {
            let problem = "notifications.smtp.encryption must be starttls or tls where a password is sent";
            return Err(InvalidSetting::new(problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_sent_over_tls_only_and_a_server_needs_a_sender() {
        let settings = |smtp| NotificationSettings { smtp, ..NotificationSettings::default() };
        let host = Some("mail.example.org".to_owned());
        let from = Some("hearth@example.org".to_owned());
        let smtp = SmtpSettings { host, from, ..SmtpSettings::default() };
        assert!(settings(smtp.clone()).validate().is_ok());
        assert!(settings(SmtpSettings { from: None, ..smtp.clone() }).validate().is_err());
        let password = Some(Secret::new("secret"));
        let plain = SmtpSettings { password, encryption: SmtpEncryption::None, ..smtp };
        assert!(settings(plain).validate().is_err());
    }
}
