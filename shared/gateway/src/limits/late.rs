//! Charges runs that have ended at their nodes after the process that began them.

use std::sync::Arc;

use hearth_domain::{Cost, Payer, Run, Spend, Timestamp, Usage};
use hearth_store::usage::UsageRow;

use super::{
    Limiter,
    account::{believed, believed_cost},
    budget::counter_of,
    plan::charges,
    usage::{counts, key},
};
use crate::access::Caller;

impl Limiter {
    /// Adds what a run has used to the budgets of `owner`, its user with the credential of the request, and to the sums of usage, up to the
    /// worst case of its record; nothing for a run whose record has none. Not to be repeated: it would count twice.
    pub(crate) async fn charge_late(
        self: &Arc<Self>,
        owner: &Caller,
        run: &Run,
        usage: Usage,
        cost: Option<Cost>,
    ) {
        let Some(most) = run.worst_case else { return };
        let usage = believed(usage, most);
        let cost = cost.map(|cost| believed_cost(cost, most));
        let counts = counts(&usage, cost, run.selection.node.is_some());
        let used = Spend { tokens: usage.total_tokens().into(), nanodollars: counts.nanodollars };
        let row = UsageRow { key: key(owner, &run.selection, run.created_at), counts };
        let payer = run.selection.payer.unwrap_or(Payer::Operator);
        let plan = match self.plan(owner).await {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(run = %run.id, %error, "the limits of a run's user can't be read; no budget counts it");
                None
            }
        };
        let budgets = plan.iter().flat_map(|plan| &plan.budgets);
        let charged = budgets.filter(|budget| charges(payer, budget.subject));
        let organisation = owner.organisation;
        let budgets: Vec<_> =
            charged.map(|budget| (counter_of(organisation, budget, run.created_at), *budget)).collect();
        let amounts: Vec<_> = budgets.iter().map(|(id, budget)| (id, budget.budget, used)).collect();
        match self.store.budgets().exchange(None, &amounts, &[row], None).await {
            Ok(_) => self.thresholds.check(organisation, &budgets, Timestamp::now()).await,
            Err(error) => {
                tracing::error!(run = %run.id, %error, "the usage of a run that went on at its node isn't counted");
                metrics::counter!("hearth_usage_lost_total").increment(1);
            }
        }
    }
}
