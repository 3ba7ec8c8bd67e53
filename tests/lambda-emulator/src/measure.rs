//! Measurement of a function's start and responses.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use serde_json::Value;

use crate::{Emulator, Failure};

/// Measured times and memory.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Status of the first response.
    pub status: StatusCode,
    /// Time from the start of the process to its first request for an event.
    pub cold_start: Spread,
    /// Time of the first response of each process.
    pub first_invoke: Spread,
    /// Time of each later response.
    pub warm_invoke: Spread,
    /// Resident memory after the last response, in bytes.
    pub resident_bytes: Vec<u64>,
}

/// Sorted samples.
#[derive(Debug, Clone, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    fn add(&mut self, sample: Duration) {
        let at = self.0.partition_point(|other| *other <= sample);
        self.0.insert(at, sample);
    }

    /// Returns the smallest sample that `percent` of the samples don't exceed; `None` without samples.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied()
    }
}

/// Starts `binary` `rounds` times, and sends each process `event` `invokes` times.
///
/// # Errors
/// The first failure of a function to start or respond. A response with an error status is no failure.
pub async fn measure(
    binary: &Path,
    env: &[(&str, &str)],
    event: &Value,
    rounds: usize,
    invokes: usize,
) -> Result<Measurement, Failure> {
    let mut measured = Measurement {
        status: StatusCode::OK,
        cold_start: Spread::default(),
        first_invoke: Spread::default(),
        warm_invoke: Spread::default(),
        resident_bytes: Vec::new(),
    };
    for round in 0..rounds {
        let function = Emulator::start(binary, env).await?;
        measured.cold_start.add(function.cold_start());
        for invoke in 0..invokes {
            let began = Instant::now();
            let answer = function.invoke(event).await?;
            let spread = if invoke == 0 { &mut measured.first_invoke } else { &mut measured.warm_invoke };
            spread.add(began.elapsed());
            if (round, invoke) == (0, 0) {
                measured.status = answer.status;
            }
        }
        measured.resident_bytes.extend(function.resident_bytes());
    }
    Ok(measured)
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("cold start", &self.cold_start),
            ("first invoke", &self.first_invoke),
            ("warm invoke", &self.warm_invoke),
        ];
        writeln!(f, "{:14}{:>10}{:>10}{:>10}{:>10}{:>8}", "ms", "p50", "p99", "min", "max", "n")?;
        for (name, spread) in rows {
            let at = |percent| spread.percentile(percent).map_or_else(|| "-".to_owned(), milliseconds);
            let (p50, p99, min, max) = (at(50), at(99), at(0), at(100));
            writeln!(f, "{name:14}{p50:>10}{p99:>10}{min:>10}{max:>10}{:>8}", spread.0.len())?;
        }
        if let Some(most) = self.resident_bytes.iter().max() {
            writeln!(f, "resident memory, at most {:.1} MiB", *most as f64 / f64::from(1 << 20))?;
        }
        write!(f, "the first answer was {}", self.status)
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_samples() {
        let mut spread = Spread::default();
        assert_eq!(spread.percentile(50), None);
        for ms in [5, 1, 4, 2, 3] {
            spread.add(Duration::from_millis(ms));
        }
        let at = |percent| spread.percentile(percent).unwrap().as_millis();
        assert_eq!([at(0), at(50), at(99), at(100)], [1, 3, 5, 5]);
    }
}
