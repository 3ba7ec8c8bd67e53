//! Summaries of measurements.

use serde::Serialize;

/// The middle of some values, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value; NaN of none.
    pub(crate) fn of(values: &[f64]) -> Self {
        Self { median: median(values), min: percentile(values, 0.0), max: percentile(values, 100.0) }
    }
}

/// The middle value, or the mean of the two in the middle; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The smallest value that `percent` of all values don't exceed (the nearest rank); NaN of none.
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let sorted = sorted(values);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// Slope of `y` over `x`, by least squares over the points of each group: only what changes
/// within a group counts. None if no group tells.
pub(crate) fn slope(groups: &[Vec<(f64, f64)>]) -> Option<f64> {
    let (mut products, mut squares) = (0.0, 0.0);
    for points in groups {
        let count = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (x, y) = (x / count, y / count);
        products += points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
        squares += points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    }
    (squares > 0.0).then(|| products / squares)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (percent, value) in [(0.0, 1.0), (50.0, 50.0), (98.5, 99.0), (99.0, 99.0), (100.0, 100.0)] {
            assert_eq!(percentile(&hundred, percent), value, "{percent} %");
        }
        assert_eq!(percentile(&[7.0], 99.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
    }

    #[test]
    fn spread_has_minimum_and_maximum() {
        assert_eq!(Spread::of(&[2.0, 9.0, 1.0]), Spread { median: 2.0, min: 1.0, max: 9.0 });
    }

    #[test]
    fn slope_is_the_growth_within_the_groups() {
        let low = vec![(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)];
        let high = vec![(10.0, 100.0), (11.0, 102.0)];
        assert_eq!(slope(&[low, high]), Some(2.0));
        assert_eq!(slope(&[vec![(1.0, 5.0)], vec![(2.0, 9.0)]]), None);
        assert_eq!(slope(&[]), None);
    }
}
