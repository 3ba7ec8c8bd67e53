//! Nodes: machines that run models for their owners, and their settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Cost, Rate, TeamId, UserId};

/// Joules, which are watt-seconds, of a kilowatt-hour.
const JOULES_PER_KWH: f64 = 3_600_000.0;

/// The way by which the gateway's requests reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeTransport {
    /// The node is in the gateway's process.
    InProcess,
    /// The gateway connects to the node's address.
    Direct,
    /// The node connects to the gateway, and fetches its runs.
    Relay,
}

impl NodeTransport {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Direct => "direct",
            Self::Relay => "relay",
        }
    }
}

/// The members of the organisation who may use a node beside its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSharing {
    /// Every member of the organisation.
    #[serde(default)]
    pub organisation: bool,
    /// The members of these teams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamId>,
    /// These users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
}

impl NodeSharing {
    /// Shared with every member of the organisation.
    #[must_use]
    pub fn with_organisation() -> Self {
        Self { organisation: true, ..Self::default() }
    }

    /// True if a member with these teams may use a node that is shared so.
    #[must_use]
    pub fn includes(&self, user: UserId, teams: &[TeamId]) -> bool {
        self.organisation || self.users.contains(&user) || teams.iter().any(|team| self.teams.contains(team))
    }
}

/// The power that a node draws, and the price of the energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeEnergy {
    /// Watts while no run has a slot.
    pub idle_watts: f64,
    /// Watts while a run has a slot.
    pub busy_watts: f64,
    /// Dollars per kilowatt-hour.
    pub price_per_kwh: f64,
}

impl NodeEnergy {
    /// Returns the cost of a run that had a slot for `duration`, while `runs_at_once` runs, itself among them, had one on
    /// average: its share of the energy above idle. With one run it is the most that the run can have caused; the energy that
    /// the machine draws anyway is no run's. Rounded up to billionths of a dollar.
    #[must_use]
    pub fn cost(&self, duration: Duration, runs_at_once: f64) -> Cost {
        let dollars = self.dollars(duration.as_secs_f64()) / runs_at_once.max(1.0);
        Cost::from_nanodollars(Cost::from_dollars(dollars).nanodollars())
    }

    /// Returns the price of a token, where one run computes this many in a second.
    #[must_use]
    pub fn price_per_token(&self, tokens_per_second: f64) -> Option<Rate> {
        let is_speed = tokens_per_second.is_finite() && tokens_per_second > 0.0;
        is_speed.then(|| Rate::per_token(Cost::from_dollars(self.dollars(1.0 / tokens_per_second))))?
    }

    /// Dollars for the energy above idle of this many seconds.
    fn dollars(&self, seconds: f64) -> f64 {
        let joules = (self.busy_watts - self.idle_watts).max(0.0) * seconds;
        joules / JOULES_PER_KWH * self.price_per_kwh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_costs_its_share_of_the_energy_above_idle() {
        let energy = NodeEnergy { idle_watts: 50.0, busy_watts: 350.0, price_per_kwh: 0.30 };
        let cost = |seconds, runs| energy.cost(Duration::from_secs(seconds), runs).to_string();
        // 300 W for an hour are 0.3 kWh, which cost 9 cents; for 12 s they are 0.001 kWh.
        assert_eq!(cost(3600, 1.0), "0.09");
        assert_eq!([cost(12, 1.0), cost(12, 2.0), cost(12, 0.0)], ["0.0003", "0.00015", "0.0003"]);
        // 50 tokens a second: a token takes 20 ms and 6 J, half a millionth of a dollar; a million cost 50 cents.
        let price = energy.price_per_token(50.0).unwrap();
        assert_eq!(price.of(1_000_000).to_string(), "0.5");
        for no_speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(energy.price_per_token(no_speed), None);
        }
        let wrong = NodeEnergy { idle_watts: 400.0, ..energy };
        assert_eq!(wrong.cost(Duration::from_secs(9), 1.0), Cost::ZERO);
    }

    #[test]
    fn sharing_includes_users_members_of_teams_or_everybody() {
        let (user, team) = (UserId::new(), TeamId::new());
        assert!(!NodeSharing::default().includes(user, &[team]));
        assert!(NodeSharing { users: vec![user], ..NodeSharing::default() }.includes(user, &[]));
        let by_team = NodeSharing { teams: vec![team], ..NodeSharing::default() };
        assert!(by_team.includes(user, &[TeamId::new(), team]) && !by_team.includes(user, &[]));
        assert!(NodeSharing { organisation: true, ..NodeSharing::default() }.includes(UserId::new(), &[]));
    }
}
