//! Sends emails by the operator's server.

use std::time::Duration;

use hearth_settings::{SmtpEncryption, SmtpSettings};
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

/// Time for one command of the connection.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of an answer that are returned.
const ANSWER_MAX_CHARS: usize = 200;

/// Sends emails by one server.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// The mailer of these settings; none without a server.
    pub(crate) fn new(settings: &SmtpSettings) -> Option<Self> {
        let (host, from) = (settings.host.as_deref()?, settings.from.as_deref()?);
        let from = from.parse::<Mailbox>().map_err(|error| {
            tracing::error!(%error, "notifications.smtp.from is no address: emails aren't sent");
        });
        let tls = || {
            TlsParameters::new(host.to_owned()).map_err(|error| {
                tracing::error!(%error, "notifications.smtp can't be used: emails aren't sent");
            })
        };
        let (tls, default_port) = match settings.encryption {
            SmtpEncryption::Starttls => (Tls::Required(tls().ok()?), 587),
            SmtpEncryption::Tls => (Tls::Wrapper(tls().ok()?), 465),
            SmtpEncryption::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .tls(tls)
            .port(settings.port.unwrap_or(default_port))
            .timeout(Some(COMMAND_TIMEOUT));
        if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Some(Self { transport: builder.build(), from: from.ok()? })
    }

    /// Sends an email, and returns the server's answer. `id`: the same one for each try of a message.
    ///
    /// # Errors
    /// The reason, without the address.
    pub(super) async fn send(
        &self,
        to: &str,
        id: &str,
        subject: &str,
        text: &str,
        timeout: Duration,
    ) -> Result<String, String> {
        let to: Mailbox = to.parse().map_err(|_| "the address of email can't be used".to_owned())?;
        let host = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .message_id(Some(format!("<{id}@{host}>")))
            .header(ContentType::TEXT_PLAIN)
            .body(text.to_owned())
            .map_err(|_| "the email can't be written".to_owned())?;
        let sent = tokio::time::timeout(timeout, self.transport.send(message)).await;
        let sent = sent.map_err(|_| "the mail server has timed out".to_owned())?;
        let answer =
            sent.map_err(|error| format!("the mail server failed: {}", shortened(&error.to_string())))?;
        Ok(shortened(&answer.message().collect::<Vec<_>>().join(" ")))
    }
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailer")
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ANSWER_MAX_CHARS).collect()
}
