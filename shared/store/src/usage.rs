//! Usage: sums of tokens and costs for each day, user, credential, team and model of an organisation, by month.

use hearth_domain::{OrganisationId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    database::{Condition, Created, Item, Key, Query, Sort, Update, Write},
};

const VERSION: u32 = 1;
/// Characters of a model's name in a key, which DynamoDB limits.
const MODEL_MAX_CHARS: usize = 200;

/// Key of a sum: the day, and who has used which model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UsageKey {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The day in UTC, `2026-11-29`.
    pub day: String,
    /// The user.
    pub user: UserId,
    /// The id of the credential.
    pub credential: String,
    /// The id of the user's first team; empty without one.
    pub team: String,
    /// The provider, or the node's name.
    pub provider: String,
    /// The model.
    pub model: String,
}

/// The sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageCounts {
    /// Answered requests, those from the cache among them.
    pub requests: i64,
    /// Requests that were answered from the cache.
    pub cache_hits: i64,
    /// Tokens of prompts.
    pub prompt_tokens: i64,
    /// Tokens of prompts that the provider had cached.
    pub cached_tokens: i64,
    /// Tokens of prompts that the provider has written to its cache.
    pub cache_write_tokens: i64,
    /// Tokens of answers.
    pub completion_tokens: i64,
    /// Tokens of answers that are reasoning.
    pub reasoning_tokens: i64,
    /// Cost in billionths of a dollar, each run's rounded up.
    pub nanodollars: i64,
    /// Requests whose cost isn't known.
    pub unpriced_requests: i64,
}

impl UsageCounts {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        for (sum, (_, number)) in [
            &mut self.requests,
            &mut self.cache_hits,
            &mut self.prompt_tokens,
            &mut self.cached_tokens,
            &mut self.cache_write_tokens,
            &mut self.completion_tokens,
            &mut self.reasoning_tokens,
            &mut self.nanodollars,
            &mut self.unpriced_requests,
        ]
        .into_iter()
        .zip(other.fields())
        {
            *sum = sum.saturating_add(number);
        }
    }

    fn fields(&self) -> [(&'static str, i64); 9] {
        [
            ("requests", self.requests),
            ("cache_hits", self.cache_hits),
            ("prompt_tokens", self.prompt_tokens),
            ("cached_tokens", self.cached_tokens),
            ("cache_write_tokens", self.cache_write_tokens),
            ("completion_tokens", self.completion_tokens),
            ("reasoning_tokens", self.reasoning_tokens),
            ("nanodollars", self.nanodollars),
            ("unpriced_requests", self.unpriced_requests),
        ]
    }
}

/// A stored sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The key.
    #[serde(flatten)]
    pub key: UsageKey,
    /// The sums.
    #[serde(flatten)]
    pub counts: UsageCounts,
}

/// Sums of usage.
#[derive(Debug, Clone, Copy)]
pub struct UsageRows<'a>(pub(crate) &'a Table);

impl UsageRows<'_> {
    /// Adds to sums, each to another one. If it fails, some may have been added.
    ///
    /// # Errors
    /// If the table can't be written.
    pub async fn add(&self, rows: &[UsageRow]) -> Result<(), StoreError> {
        let writes = rows.iter().map(write).collect();
        self.0.write_in_order(writes).await
    }

    /// The sums of an organisation in a month (`2026-11`), or those of one user.
    ///
    /// # Errors
    /// If the table can't be read.
    pub async fn of(
        &self,
        organisation: OrganisationId,
        month: &str,
        user: Option<UserId>,
    ) -> Result<Vec<UsageRow>, StoreError> {
        let sort = user.map_or(Sort::All, |user| Sort::Prefix(format!("{user}#")));
        let items = self.0.query(Query::partition(partition(organisation, month), sort)).await?;
        items.iter().map(Item::read).collect()
    }

    /// Deletes the sums of a user in a month, at the user's request. Returns their number.
    ///
    /// # Errors
    /// If the table can't be read or written: then some may be left.
    pub async fn delete_of(
        &self,
        organisation: OrganisationId,
        month: &str,
        user: UserId,
    ) -> Result<usize, StoreError> {
        let rows = self.of(organisation, month, Some(user)).await?;
        for row in &rows {
            self.0.delete(key(&row.key)).await?;
        }
        Ok(rows.len())
    }
}

/// The write that adds to a sum.
pub(crate) fn write(row: &UsageRow) -> Write {
    let UsageKey { organisation, day, user, credential, team, provider, model } = &row.key;
    let set = [
        ("organisation", organisation.to_string()),
        ("day", day.clone()),
        ("user", user.to_string()),
        ("credential", credential.clone()),
        ("team", team.clone()),
        ("provider", provider.clone()),
        ("model", model.clone()),
    ];
    let update = Update {
        create: Some(Created { version: VERSION, ttl: None }),
        set: set.into_iter().map(|(name, text)| (name, text.into())).collect(),
        add: row.counts.fields().into_iter().filter(|(_, number)| *number != 0).collect(),
        ..Update::default()
    };
    Write::Update(key(&row.key), update, Condition::Always)
}

fn partition(organisation: OrganisationId, month: &str) -> String {
    format!("USE#{organisation}#{month}")
}

fn key(key: &UsageKey) -> Key {
    let UsageKey { organisation, day, user, credential, team, provider, model } = key;
    let model: String = model.chars().take(MODEL_MAX_CHARS).collect();
    let month = day.rsplit_once('-').map_or(day.as_str(), |(month, _)| month);
    let sk = format!("{user}#{day}#{credential}#{team}#{provider}#{model}");
    Key::new(partition(*organisation, month), sk)
}
