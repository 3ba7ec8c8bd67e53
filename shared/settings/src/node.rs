//! Settings of the node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytesize::ByteSize;
use hearth_domain::{
    MacAddress, NodeEnergy,
    region::{REGION_RULE, is_region},
};
use serde::{Deserialize, Serialize};

use crate::{
    bounds::{DAY_SECONDS, InvalidSetting, check_ranges},
    shown,
};

/// Largest number of watts of a machine.
const WATTS_MAX: f64 = 100_000.0;
/// Largest price of a kilowatt-hour, in dollars.
const PRICE_PER_KWH_MAX: f64 = 1000.0;
/// Port of wake-up packets: the service discard, which nobody listens on.
const WAKE_PORT: u16 = 9;
/// Smallest limit of a worker's memory. A worker reserves 1 GiB when it starts.
const WORKER_MEMORY_MIN: ByteSize = ByteSize(2_000_000_000);

/// The table `node` of the settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Runs at once in each loaded model.
    pub slots: usize,
    /// Tokens of one run, prompt and completion together; absent: as many as the model was trained for and the memory
    /// has room for.
    pub context_length: Option<u32>,
    /// Parse control tokens in clients' messages, rather than treating them as text.
    pub parse_special_in_user_text: bool,
    /// Threads for each loaded model; absent: one less than the processors.
    pub threads: Option<u32>,
    /// Runs that may wait for one model.
    pub queue_depth: usize,
    /// Runs that may wait for all models together.
    pub queue_total: usize,
    /// Seconds that a run may wait for its turn.
    pub queue_seconds: u64,
    /// Models in memory at once.
    pub max_loaded_models: usize,
    /// Memory for all models together, in bytes; absent: the memory that is free when the node starts.
    pub memory: Option<u64>,
    /// Seconds after its last run that a model leaves memory; absent: it stays until another model needs the room.
    pub idle_seconds: Option<u64>,
    /// Seconds that a load may take.
    pub load_seconds: u64,
    /// Seconds that a worker with runs may be silent.
    pub stall_seconds: u64,
    /// Layers to put on a GPU, where there is one.
    pub gpu_layers: u32,
    /// Memory for each model's prefix cache of earlier prompts and answers, in bytes or as `2GB`; absent: a sixteenth
    /// of the machine's memory.
    #[serde(serialize_with = "shown::bytes")]
    pub prefix_cache: Option<ByteSize>,
    /// Write the prefix cache to the model folder when a model leaves memory, and read it when the model is loaded
    /// again.
    pub prefix_cache_on_disk: bool,
    /// Memory of a worker beside mapped files, in bytes or as `8GB`; 0: no limit; absent: computed from the model's
    /// need.
    #[serde(serialize_with = "shown::bytes")]
    pub worker_memory: Option<ByteSize>,
    /// The region in which the node is, for organisations that are bound to regions.
    pub region: Option<String>,
    /// Restrict a worker to the files that it needs, where the system can enforce it.
    pub worker_sandbox: bool,
    /// Runs at a time that an enrolled node takes from its gateway; absent: as many as its queues hold.
    pub runs_max_count: Option<u32>,
    /// Serve the gateway at `host` and `port` too, beside the connection of an enrolled node to its gateway.
    pub listen: bool,
    /// Watts that the machine draws while no run has a slot.
    pub idle_watts: Option<f64>,
    /// Watts that the machine draws while a run has a slot.
    pub busy_watts: Option<f64>,
    /// Dollars per kilowatt-hour.
    pub price_per_kwh: Option<f64>,
    /// The hardware address of the network card, by which another node may wake the machine; absent: that of the card of the
    /// default route.
    pub mac: Option<String>,
    /// Send wake-up packets for the gateway to other machines in the network.
    pub may_wake: bool,
    /// The address that wake-up packets are sent to.
    pub wake_address: SocketAddr,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            slots: 4,
            context_length: None,
            parse_special_in_user_text: false,
            threads: None,
            queue_depth: 64,
            queue_total: 256,
            queue_seconds: 600,
            max_loaded_models: 3,
            memory: None,
            idle_seconds: None,
            load_seconds: 300,
            stall_seconds: 60,
            gpu_layers: 999,
            prefix_cache: None,
            prefix_cache_on_disk: false,
            worker_memory: None,
            region: None,
            worker_sandbox: true,
            runs_max_count: None,
            listen: false,
            idle_watts: None,
            busy_watts: None,
            price_per_kwh: None,
            mac: None,
            may_wake: false,
            wake_address: SocketAddr::from((Ipv4Addr::BROADCAST, WAKE_PORT)),
        }
    }
}

impl NodeSettings {
    pub(crate) fn validate(&self) -> Result<(), InvalidSetting> {
        check_ranges(
            "node.",
            [
                ("slots", Some(self.slots as u64), 1..=256),
                ("queue_depth", Some(self.queue_depth as u64), 1..=100_000),
                ("queue_total", Some(self.queue_total as u64), 1..=1_000_000),
                ("queue_seconds", Some(self.queue_seconds), 1..=DAY_SECONDS),
                ("max_loaded_models", Some(self.max_loaded_models as u64), 1..=64),
                ("idle_seconds", self.idle_seconds, 1..=365 * DAY_SECONDS),
                ("load_seconds", Some(self.load_seconds), 1..=DAY_SECONDS),
                // A worker sends a sign of life after each step, at least every half second.
                ("stall_seconds", Some(self.stall_seconds), 3..=DAY_SECONDS),
                ("context_length", self.context_length.map(u64::from), 1..=1 << 24),
                ("runs_max_count", self.runs_max_count.map(u64::from), 1..=1_000_000),
            ],
        )?;
        if self.region.as_deref().is_some_and(|region| !is_region(region)) {
            return Err(InvalidSetting::new(format!("node.region: {REGION_RULE}")));
        }
        self.validate_energy()?;
        if self.mac.as_deref().is_some_and(|mac| MacAddress::parse(mac).is_none()) {
            return Err(InvalidSetting::new("node.mac must be six bytes, such as 00:11:22:33:44:55"));
        }
        if self.worker_memory.is_some_and(|size| size.as_u64() > 0 && size < WORKER_MEMORY_MIN) {
            return Err(InvalidSetting::new(format!(
                "node.worker_memory must be at least {WORKER_MEMORY_MIN}, of which a worker reserves 1 GiB when it \
                 starts; or 0 for no limit"
            )));
        }
        Ok(())
    }

    fn validate_energy(&self) -> Result<(), InvalidSetting> {
        let values = [
            ("idle_watts", self.idle_watts, WATTS_MAX),
            ("busy_watts", self.busy_watts, WATTS_MAX),
            ("price_per_kwh", self.price_per_kwh, PRICE_PER_KWH_MAX),
        ];
        for (name, value, max) in values {
            if value.is_some_and(|value| !(0.0..=max).contains(&value)) {
                return Err(InvalidSetting::new(format!("node.{name} must be 0 to {max}")));
            }
        }
        if self.busy_watts.is_some() != self.price_per_kwh.is_some() {
            return Err(InvalidSetting::new(
                "node.busy_watts and node.price_per_kwh belong together: set both, or none",
            ));
        }
        match (self.idle_watts, self.busy_watts) {
            (Some(_), None) => Err(InvalidSetting::new("node.idle_watts needs node.busy_watts too")),
            (Some(idle), Some(busy)) if idle > busy => {
                Err(InvalidSetting::new("node.busy_watts must be at least node.idle_watts"))
            }
            _ => Ok(()),
        }
    }

    /// The power that the machine draws, and the price of the energy, if they are set.
    #[must_use]
    pub fn energy(&self) -> Option<NodeEnergy> {
        let (busy_watts, price_per_kwh) = (self.busy_watts?, self.price_per_kwh?);
        Some(NodeEnergy { idle_watts: self.idle_watts.unwrap_or_default(), busy_watts, price_per_kwh })
    }

    /// Time that a load may take.
    #[must_use]
    pub fn load_timeout(&self) -> Duration {
        Duration::from_secs(self.load_seconds)
    }

    /// Time that a worker with runs may be silent.
    #[must_use]
    pub fn stall_timeout(&self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }

    /// Time that a run may wait for its turn.
    #[must_use]
    pub fn queue_timeout(&self) -> Duration {
        Duration::from_secs(self.queue_seconds)
    }

    /// Time after its last run that a model leaves memory, if it does.
    #[must_use]
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.idle_seconds.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_needs_watts_and_a_price() {
        let with = |idle_watts, busy_watts, price_per_kwh| NodeSettings {
            idle_watts,
            busy_watts,
            price_per_kwh,
            ..NodeSettings::default()
        };
        let full = with(Some(40.0), Some(300.0), Some(0.3));
        assert!(full.validate().is_ok());
        assert_eq!(
            full.energy(),
            Some(NodeEnergy { idle_watts: 40.0, busy_watts: 300.0, price_per_kwh: 0.3 })
        );
        assert_eq!(NodeSettings::default().energy(), None);
        assert!(with(None, Some(300.0), Some(0.0)).validate().is_ok());
        for bad in [
            with(Some(40.0), None, None),
            with(None, Some(300.0), None),
            with(None, None, Some(0.3)),
            with(Some(301.0), Some(300.0), Some(0.3)),
            with(None, Some(f64::NAN), Some(0.3)),
            with(None, Some(300.0), Some(-0.1)),
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
        let card = NodeSettings { mac: Some("not a card".to_owned()), ..NodeSettings::default() };
        assert!(card.validate().is_err());
    }
}
