//! The account of one run: its reservation, and what it has used.

use std::{sync::Arc, time::Duration};

use hearth_domain::{Cost, Generation, NodeId, Payer, RunId, Selection, Spend, Timestamp, Usage};
use hearth_store::{StoreError, budgets::Reservation, usage::UsageRow};
use hearth_wire::RunEventBody;

use super::{
    Limiter,
    budget::Hold,
    estimate::worst_case,
    plan::charges,
    rate::Admission,
    usage::{counts, key},
};
use crate::{access::Caller, routing::Candidate};

/// Pauses before a settlement that has failed is tried again.
const RETRY_BACKOFF: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// The account of one run. One that is dropped without being settled leaves its reservation to expire.
#[derive(Debug)]
pub(crate) struct RunAccount {
    limits: Arc<Limiter>,
    run: RunId,
    caller: Caller,
    opened_at: Timestamp,
    hold: Option<Hold>,
    admission: Option<Box<Admission>>,
    /// The candidate that serves the run.
    selection: Option<Selection>,
    /// The owner of its key, or the last in their order where several have written the answer.
    payer: Payer,
    /// The number of models that have written the present answer.
    models: i64,
    doubt: Option<Doubt>,
    usage: Option<Usage>,
    cost: Option<Cost>,
    is_completed: bool,
    /// The estimated usage of a run whose provider reports none, and its cost.
    estimate: Option<(Usage, Option<Cost>)>,
}

impl RunAccount {
    pub(super) fn new(
        limits: Arc<Limiter>,
        caller: &Caller,
        run: RunId,
        opened_at: Timestamp,
        (hold, admission): (Option<Hold>, Option<Box<Admission>>),
        doubt: Option<Doubt>,
    ) -> Self {
        Self {
            limits,
            run,
            caller: caller.clone(),
            opened_at,
            hold,
            admission,
            selection: None,
            payer: Payer::Operator,
            models: 0,
            doubt,
            usage: None,
            cost: None,
            is_completed: false,
            estimate: None,
        }
    }

    /// The run.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// Sets the estimated usage of a run whose provider reports none.
    pub(crate) fn estimate(&mut self, usage: Usage, cost: Option<Cost>) {
        self.estimate = Some((usage, cost));
    }

    /// Observes that a candidate is asked, which may have been found after the run's beginning.
    pub(crate) fn ask(&mut self, candidate: &Candidate, generation: &Generation) {
        if candidate.is_members_machine && self.doubt.as_ref().is_none_or(|doubt| !doubt.knows(candidate)) {
            self.doubt.get_or_insert_default().add(generation, std::slice::from_ref(candidate));
        }
    }

    /// Takes back what the run has used: another process of the gateway follows it to its end, and charges it.
    pub(crate) fn leave(&mut self) {
        (self.usage, self.cost, self.estimate, self.is_completed) = (None, None, None, false);
    }

    /// Observes an event of the run.
    pub(crate) fn observe(&mut self, event: &RunEventBody) {
        match event {
            RunEventBody::Selected(selection) => self.select(selection),
            RunEventBody::Usage { usage } => self.usage = Some(*usage),
            RunEventBody::Cost { cost } => self.cost = Some(*cost),
            RunEventBody::Done { .. } => self.is_completed = true,
            _ => {}
        }
    }

    fn select(&mut self, selection: &Selection) {
        let payer = selection.payer.unwrap_or(Payer::Operator);
        self.payer = if selection.resumed { self.payer.max(payer) } else { payer };
        self.models = if selection.resumed { self.models + 1 } else { 1 };
        if let Some(doubt) = &mut self.doubt {
            doubt.select(selection);
        }
        self.selection = Some(selection.clone());
    }

    /// Settles the account, once the run has ended: replaces the reservation by what the run has used, and adds it to the sums
    /// of usage. A run that has failed without using anything is in no sum.
    pub(crate) async fn settle(mut self) {
        if let Some((usage, cost)) = self.estimate.filter(|_| self.usage.is_none()) {
            self.usage = Some(usage);
            self.cost = self.cost.or(cost);
        }
        if let Some(doubt) = &self.doubt {
            (self.usage, self.cost) = doubt.cap(self.models, self.usage, self.cost);
        }
        let usage = self.usage.unwrap_or_default();
        if let Some(admission) = &mut self.admission {
            admission.set_used_tokens(usage.total_tokens().into(), self.payer);
        }
        let has_used = self.is_completed || self.usage.is_some() || self.cost.is_some();
        let row = self.selection.as_ref().filter(|_| has_used).map(|selection| UsageRow {
            key: key(&self.caller, selection, self.opened_at),
            counts: counts(&usage, self.cost, selection.node.is_some()),
        });
        let Some(hold) = self.hold.take() else {
            if let Some(row) = row {
                self.limits.usage.add(row).await;
            }
            return;
        };
        let nanodollars = row.as_ref().map_or(0, |row| row.counts.nanodollars);
        let used = Spend { tokens: usage.total_tokens().into(), nanodollars };
        let amount_of = |subject| if charges(self.payer, subject) { used } else { Spend::default() };
        let amounts: Vec<_> = hold.budgets().iter().map(|(_, budget)| amount_of(budget.subject)).collect();
        let (reservation, budgets) = match hold {
            Hold::Allowance(taken) => return taken.settle(used, &amounts, row),
            Hold::Reservation(reservation, budgets) => (reservation, budgets),
        };
        match self.replace(&reservation, &amounts, row.as_ref()).await {
            Ok(()) if has_used => {
                self.limits.thresholds.check(reservation.organisation, &budgets, Timestamp::now()).await;
            }
            Ok(()) => {}
            Err(error) => {
                let run = reservation.run;
                tracing::error!(%run, %error, "a run's budget can't be settled; its reservation will expire, and its usage isn't counted");
                metrics::counter!("hearth_usage_lost_total").increment(1);
            }
        }
    }

    async fn replace(
        &self,
        reservation: &Reservation,
        used: &[Spend],
        row: Option<&UsageRow>,
    ) -> Result<(), StoreError> {
        let budgets = self.limits.store.budgets();
        let mut pauses = RETRY_BACKOFF.into_iter();
        loop {
            let result = budgets.settle(reservation, used, row).await;
            match (result, pauses.next()) {
                (Ok(_), _) => return Ok(()),
                (Err(error), None) => return Err(error),
                // Sent again, it changes nothing if it has taken place.
                (Err(_), Some(pause)) => tokio::time::sleep(pause).await,
            }
        }
    }
}

/// Machines of members, which may report any usage: no more than a run's worst case is counted.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The nodes, and the names of the providers.
    machines: Vec<(Option<NodeId>, String)>,
    worst: Spend,
    /// One of the models that have written the present answer is at such a machine.
    is_doubtful: bool,
}

impl Doubt {
    /// None if no candidate is a member's machine. A run that waits for a node may find one later.
    pub(super) fn of(generation: &Generation, candidates: &[Candidate]) -> Option<Self> {
        let is_doubtful = candidates.iter().any(|candidate| candidate.is_members_machine);
        (is_doubtful || generation.route.home.is_some()).then(|| {
            let mut doubt = Self::default();
            doubt.add(generation, candidates);
            doubt
        })
    }

    fn add(&mut self, generation: &Generation, candidates: &[Candidate]) {
        let machines = candidates.iter().filter(|candidate| candidate.is_members_machine);
        self.machines.extend(machines.map(|candidate| (candidate.node, candidate.selected.provider.clone())));
        let worst = worst_case(generation, candidates);
        self.worst = Spend {
            tokens: self.worst.tokens.max(worst.tokens),
            nanodollars: self.worst.nanodollars.max(worst.nanodollars),
        };
    }

    fn knows(&self, candidate: &Candidate) -> bool {
        self.has(candidate.node, &candidate.selected.provider)
    }

    fn has(&self, node: Option<NodeId>, provider: &str) -> bool {
        self.machines.iter().any(|(one, name)| *one == node && name == provider)
    }

    fn select(&mut self, selection: &Selection) {
        self.is_doubtful &= selection.resumed;
        self.is_doubtful |= self.has(selection.node, &selection.provider);
    }

    /// The part of a usage and its cost that is believed of so many models.
    fn cap(&self, models: i64, usage: Option<Usage>, cost: Option<Cost>) -> (Option<Usage>, Option<Cost>) {
        if !self.is_doubtful {
            return (usage, cost);
        }
        let of_all = |amount: i64| amount.saturating_mul(models);
        let most = Spend { tokens: of_all(self.worst.tokens), nanodollars: of_all(self.worst.nanodollars) };
        (usage.map(|usage| believed(usage, most)), cost.map(|cost| believed_cost(cost, most)))
    }
}

/// The part of a usage that is at most `most`.
pub(super) fn believed(usage: Usage, most: Spend) -> Usage {
    let tokens = u32::try_from(most.tokens.max(0)).unwrap_or(u32::MAX);
    let prompt_tokens = usage.prompt_tokens.min(tokens);
    let completion_tokens = usage.completion_tokens.min(tokens - prompt_tokens);
    Usage {
        prompt_tokens,
        completion_tokens,
        cached_tokens: usage.cached_tokens.min(prompt_tokens),
        cache_write_tokens: usage.cache_write_tokens.min(prompt_tokens),
        reasoning_tokens: usage.reasoning_tokens.min(completion_tokens),
    }
}

/// The part of a cost that is at most `most`.
pub(super) fn believed_cost(cost: Cost, most: Spend) -> Cost {
    cost.min(Cost::from_nanodollars(u64::try_from(most.nanodollars).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubt(node: Option<NodeId>, provider: &str) -> Doubt {
        let machines = vec![(node, provider.to_owned())];
        Doubt { machines, worst: Spend { tokens: 10, nanodollars: 7 }, is_doubtful: false }
    }

    fn reported() -> (Option<Usage>, Option<Cost>) {
        let usage = Usage {
            prompt_tokens: 4_000_000_000,
            completion_tokens: 5,
            cached_tokens: 11,
            ..Usage::default()
        };
        (Some(usage), Some(Cost::from_nanodollars(4_000_000_000)))
    }

    fn capped() -> (Option<Usage>, Option<Cost>) {
        let usage = Usage { prompt_tokens: 10, cached_tokens: 10, ..Usage::default() };
        (Some(usage), Some(Cost::from_nanodollars(7)))
    }

    #[test]
    fn usage_that_a_members_server_reports_is_counted_up_to_the_worst_case() {
        let mut doubt = doubt(None, "mine");
        let (usage, cost) = reported();
        doubt.select(&Selection::example("m", "operators"));
        assert_eq!(doubt.cap(1, usage, cost), (usage, cost));
        doubt.select(&Selection::example("m", "mine"));
        assert_eq!(doubt.cap(1, usage, cost), capped());
        // Another model has gone on with its text.
        doubt.select(&Selection { resumed: true, ..Selection::example("m", "operators") });
        let (capped, cost) = doubt.cap(2, usage, cost);
        assert_eq!(
            (capped.map(|usage| usage.total_tokens()), cost),
            (Some(20), Some(Cost::from_nanodollars(14)))
        );
        doubt.select(&Selection::example("m", "operators"));
        assert_eq!(doubt.cap(1, usage, None), (usage, None));
    }

    #[test]
    fn usage_that_a_node_reports_is_counted_up_to_the_worst_case() {
        let node = NodeId::new();
        let mut doubt = doubt(Some(node), "local");
        let (usage, cost) = reported();
        let at = |node| Selection { node, ..Selection::example("m", "local") };
        // The node in the gateway's own process isn't one of the machines.
        for other in [None, Some(NodeId::new())] {
            doubt.select(&at(other));
            assert_eq!(doubt.cap(1, usage, cost), (usage, cost), "{other:?}");
        }
        doubt.select(&at(Some(node)));
        assert_eq!(doubt.cap(1, usage, cost), capped());
    }
}
