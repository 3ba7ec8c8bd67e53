//! Webhooks: subscriptions to events, and their deliveries.
//!
//! - `subscriptions`: the webhooks of an organisation, remembered, and the events that each gets.
//! - `queue`: stores the deliveries of an event, and submits a job for each.
//! - `deliver`: carries out such a job: the deliveries of a lane, one after the other, with retries.
//! - `manage`, `log`: webhooks and deliveries as their owners manage and read them; `export`: for the export of a user.
//! - `checks`, `secrets`: the parts of a webhook that are checked, and those that are sealed.

mod attach;
mod body;
mod checks;
mod deliver;
mod envelope;
mod export;
mod log;
mod manage;
mod queue;
mod secrets;
mod subscriptions;

use std::sync::Arc;

use hearth_providers::VendorClient;
use hearth_settings::{NotificationSettings, WebhookSettings};
use hearth_store::Store;

pub(crate) use attach::{attach, attach_again};
pub(crate) use deliver::deliver;
pub(crate) use queue::DeliveryQueue;
pub(crate) use subscriptions::Subscriptions;

use crate::{Gateway, keys::GatewayKeys};
use deliver::mailer::Mailer;

/// Webhooks and the deliveries of events to them.
#[derive(Debug)]
pub(crate) struct Webhooks {
    store: Store,
    keys: Arc<GatewayKeys>,
    subscriptions: Arc<Subscriptions>,
    queue: DeliveryQueue,
    settings: WebhookSettings,
    notifications: NotificationSettings,
    /// For addresses that users have set.
    client: VendorClient,
    /// For the address of the operator's settings.
    operator_client: VendorClient,
    mailer: Option<Mailer>,
}

impl Webhooks {
    /// `clients`: for the operator's addresses, and for public ones only.
    pub(crate) fn new(
        store: Store,
        keys: Arc<GatewayKeys>,
        (subscriptions, queue): (Arc<Subscriptions>, DeliveryQueue),
        settings: WebhookSettings,
        notifications: NotificationSettings,
        clients: (VendorClient, VendorClient),
    ) -> Self {
        let (operator_client, public_client) = clients;
        let client = if settings.private_addresses { operator_client.clone() } else { public_client };
        let mailer = Mailer::new(&notifications.smtp);
        Self { store, keys, subscriptions, queue, settings, notifications, client, operator_client, mailer }
    }
}

impl Gateway {
    /// Webhooks, and the log of their deliveries.
    #[must_use]
    pub fn webhooks(&self) -> WebhookAccess<'_> {
        WebhookAccess(&self.0.webhooks)
    }
}

/// Webhooks, as their owners manage them.
#[derive(Debug, Clone, Copy)]
pub struct WebhookAccess<'a>(&'a Webhooks);
