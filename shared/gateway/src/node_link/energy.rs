//! Bounds of a node's energy, as it or its owner states it.

use hearth_domain::NodeEnergy;
use hearth_wire::{ApiError, native::nodes::NodeEnergyBody};

/// Limits of the watts of a node, and of the price of a kilowatt-hour.
const ENERGY_MAX: (f64, f64) = (100_000.0, 1000.0);

/// The energy of a node; none for zeros, by which it is removed.
pub(crate) fn check_energy(energy: NodeEnergyBody) -> Result<Option<NodeEnergy>, ApiError> {
    let NodeEnergyBody { idle_watts, busy_watts, price_per_kwh } = energy;
    let (watts, price) = (0.0..=ENERGY_MAX.0, 0.0..=ENERGY_MAX.1);
    if !watts.contains(&idle_watts) || !watts.contains(&busy_watts) || idle_watts > busy_watts {
        let message =
            format!("energy: the watts must be 0 to {}, and busy_watts at least idle_watts", ENERGY_MAX.0);
        return Err(ApiError::invalid("energy", message));
    }
    if !price.contains(&price_per_kwh) {
        return Err(ApiError::invalid(
            "energy.price_per_kwh",
            format!("the price must be 0 to {}", ENERGY_MAX.1),
        ));
    }
    Ok((busy_watts > 0.0).then_some(NodeEnergy { idle_watts, busy_watts, price_per_kwh }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_checked_and_zeros_remove_it() {
        let check = |idle_watts, busy_watts, price_per_kwh| {
            check_energy(NodeEnergyBody { idle_watts, busy_watts, price_per_kwh })
        };
        assert!(check(20.0, 350.0, 0.3).unwrap().is_some() && check(0.0, 0.0, 0.0).unwrap().is_none());
        for (idle, busy, price) in [(-1.0, 1.0, 0.3), (2.0, 1.0, 0.3), (1.0, 2.0, -0.1), (1.0, f64::NAN, 0.3)]
        {
            check(idle, busy, price).unwrap_err();
        }
    }
}
