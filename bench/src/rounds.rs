//! Measuring in turns, so that what else the machine does falls on everybody.

use anyhow::{Context as _, Result};

/// Something that is measured.
pub(crate) trait Named {
    /// Name in the tables.
    fn name(&self) -> &'static str;
}

/// Measures every server once in each round, each time with another one first. Gives the values of each
/// server, by round.
pub(crate) async fn in_turns<S: Named, T>(
    what: &str,
    rounds: usize,
    servers: &[&S],
    mut measure: impl AsyncFnMut(&S, u64) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut values: Vec<Vec<T>> = servers.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds {
        eprintln!("{what}: round {} of {rounds}", round + 1);
        for turn in 0..servers.len() {
            let index = (round + turn) % servers.len();
            let server = servers[index];
            let value = measure(server, round as u64).await;
            values[index].push(value.with_context(|| format!("{what}, {}", server.name()))?);
        }
    }
    Ok(values)
}

/// A seed of its own for each round of each measurement, and the same for every server: a prompt is new
/// to each of them, and no other than that of the rest.
pub(crate) fn seed(what: &str, round: u64) -> u64 {
    // FNV-1a.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    what.bytes().fold(0xcbf2_9ce4_8422_2325, hash) ^ round
}
