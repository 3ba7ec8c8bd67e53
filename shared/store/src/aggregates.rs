//! The store's accessors of the aggregates that have none in their own file.

use hearth_domain::OrganisationId;

use crate::{
    Store, artifacts::Artifacts, budgets, cached_answers::CachedAnswers, configuration::Configurations,
    conversations::Conversations, discoveries::Discoveries, limit_events, limits, models::Models,
    nodes::Nodes, organisations::Organisations, rate_buckets, registry, runs::Runs, tokens::Tokens, usage,
    users::Users,
};

impl Store {
    /// API tokens.
    #[must_use]
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens(&self.table)
    }

    /// Limits of tokens, users, teams and organisations.
    #[must_use]
    pub fn limits(&self) -> limits::LimitRecords<'_> {
        limits::LimitRecords(&self.table)
    }

    /// Budgets, and the reservations of runs.
    #[must_use]
    pub fn budgets(&self) -> budgets::Budgets<'_> {
        budgets::Budgets(&self.table)
    }

    /// Counts of rate limits.
    #[must_use]
    pub fn rate_buckets(&self) -> rate_buckets::RateBuckets<'_> {
        rate_buckets::RateBuckets(&self.table)
    }

    /// Sums of usage.
    #[must_use]
    pub fn usage(&self) -> usage::UsageRows<'_> {
        usage::UsageRows(&self.table)
    }

    /// Events of budgets.
    #[must_use]
    pub fn limit_events(&self) -> limit_events::LimitEvents<'_> {
        limit_events::LimitEvents(&self.table)
    }

    /// Organisations and their members.
    #[must_use]
    pub fn organisations(&self) -> Organisations<'_> {
        Organisations(&self.table)
    }

    /// Users.
    #[must_use]
    pub fn users(&self) -> Users<'_> {
        Users(&self.table)
    }

    /// The models of an organisation's nodes; without one, of those of the gateway's operator.
    #[must_use]
    pub fn models(&self, organisation: Option<OrganisationId>) -> Models<'_> {
        Models { table: &self.table, organisation }
    }

    /// The explicit entries of an organisation, and the schemas of its models' parameters.
    #[must_use]
    pub fn registry(&self, organisation: OrganisationId) -> registry::Registry<'_> {
        registry::Registry { table: &self.table, organisation }
    }

    /// Nodes.
    #[must_use]
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes(&self.table)
    }

    /// Runs and their events.
    #[must_use]
    pub fn runs(&self) -> Runs<'_> {
        Runs { table: &self.table, bucket: &*self.bucket, ttl: self.record_ttl }
    }

    /// The model lists that providers' APIs returned.
    #[must_use]
    pub fn discoveries(&self) -> Discoveries<'_> {
        Discoveries(&self.table)
    }

    /// Files that runs have generated.
    #[must_use]
    pub fn artifacts(&self) -> Artifacts<'_> {
        Artifacts { table: &self.table, bucket: &*self.bucket }
    }

    /// Conversations up to the end of a run.
    #[must_use]
    pub fn conversations(&self) -> Conversations<'_> {
        Conversations { table: &self.table, bucket: &*self.bucket, ttl: self.record_ttl }
    }

    /// The operator's configuration.
    #[must_use]
    pub fn configurations(&self) -> Configurations<'_> {
        Configurations(&self.table)
    }

    /// Cached answers.
    #[must_use]
    pub fn cached_answers(&self) -> CachedAnswers<'_> {
        CachedAnswers(&self.table)
    }
}
