//! Limits of the messages to people: one message for repeated events, and a number in an hour.

use std::time::Duration;

use hearth_domain::{Timestamp, WebhookId};
use serde_json::json;

use super::{Deliveries, VERSION};
use crate::{
    StoreError,
    database::{Condition, Created, Item, Key, Update, Write},
};

/// Seconds of the window of the limit.
const WINDOW_SECONDS: i64 = 3600;

impl Deliveries<'_> {
    /// Marks a message by its key. Returns false if one with this key was sent less than `window` ago, for another event.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn mark_notice(
        &self,
        webhook: WebhookId,
        key: &str,
        event: &str,
        window: Duration,
    ) -> Result<bool, StoreError> {
        let place = Key::new(partition(webhook), format!("KEY#{key}"));
        let now = Timestamp::now();
        let stored: Option<serde_json::Value> = self.0.get(&place).await?;
        if let Some(stored) = &stored {
            let until = stored["until"].as_str().and_then(|until| until.parse::<Timestamp>().ok());
            if stored["event"] != event && until.is_some_and(|until| now < until) {
                return Ok(false);
            }
        }
        let until = now.plus(window);
        let item = Item::new(place, VERSION, &json!({ "event": event, "until": until }))?;
        self.0.put(item.expiring(until.unix()), Condition::Always).await?;
        Ok(true)
    }

    /// Counts a message. Returns false if the webhook has had `max` in this hour.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn count_notice(&self, webhook: WebhookId, max: u32) -> Result<bool, StoreError> {
        let window = Timestamp::now().unix() / WINDOW_SECONDS;
        let key = Key::new(partition(webhook), format!("HOUR#{window}"));
        let ttl = Some((window + 2) * WINDOW_SECONDS);
        let update = Update {
            create: Some(Created { version: VERSION, ttl }),
            add: vec![("sent", 1)],
            ..Update::default()
        };
        let is_left = Condition::NumberAtMost("sent", i64::from(max) - 1);
        match self.0.write_in_order(vec![Write::Update(key, update, is_left)]).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn partition(webhook: WebhookId) -> String {
    format!("HOOKNOTICE#{webhook}")
}
