//! The time at which a batch's requests may be started.

use std::time::Duration;

use hearth_domain::{BatchWhen, Timestamp};
use hearth_settings::NightHours;

use crate::{
    access::Caller,
    components::Components,
    nodes::{LiveNode, StatusAge},
};

/// Interval between two looks at nodes that are busy or away.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time between two looks at the clock.
const NIGHT_POLL_INTERVAL: Duration = Duration::from_secs(600);

/// The permission to start requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Closed {
        /// The reason.
        waits_for: &'static str,
        /// Time until the next look.
        after: Duration,
    },
}

/// Decides whether requests of a batch may be started now.
pub(super) async fn look(gateway: &Components, caller: &Caller, when: BatchWhen) -> Gate {
    match when {
        BatchWhen::Now => Gate::Open,
        BatchWhen::Night => at_night(gateway.batches.settings.night, Timestamp::now()),
        BatchWhen::Idle => match gateway.nodes.live(caller, StatusAge::Current).await {
            Ok(nodes) if nodes.is_empty() => closed("node"),
            Ok(nodes) => while_idle(&nodes, gateway.batches.slots.taken()),
            Err(_) => closed("node"),
        },
    }
}

fn at_night(night: NightHours, now: Timestamp) -> Gate {
    match night.seconds_until(now.unix()) {
        0 => Gate::Open,
        seconds => {
            Gate::Closed { waits_for: "night", after: Duration::from_secs(seconds).min(NIGHT_POLL_INTERVAL) }
        }
    }
}

/// `own`: requests of batches that this process has in progress, which may be among those of the nodes.
fn while_idle(nodes: &[LiveNode], own: u64) -> Gate {
    let models = nodes.iter().flat_map(|node| &node.status.models);
    let busy = models.map(|model| u64::from(model.runtime.active) + u64::from(model.runtime.queue_depth));
    if busy.sum::<u64>() > own { closed("idle") } else { Gate::Open }
}

fn closed(waits_for: &'static str) -> Gate {
    Gate::Closed { waits_for, after: IDLE_POLL_INTERVAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn night_is_the_hours_of_the_setting() {
        let night = "22:00-06:00".parse().unwrap();
        let at = |time: &str| at_night(night, time.parse().unwrap());
        assert_eq!(at("2096-01-31T23:00:00Z"), Gate::Open);
        let after = Duration::from_secs(120);
        assert_eq!(at("2096-01-31T21:58:00Z"), Gate::Closed { waits_for: "night", after });
        let after = NIGHT_POLL_INTERVAL;
        assert_eq!(at("2096-01-31T12:00:00Z"), Gate::Closed { waits_for: "night", after });
    }
}
