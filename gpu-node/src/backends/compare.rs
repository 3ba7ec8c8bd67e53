//! Compares a backend's results with the expected ones.

use super::self_test::{Event, chat};

/// Maximum difference between the logits of one case and the reference, as squared error relative to the squared reference
/// (normalised mean squared error, NMSE).
///
/// llama.cpp's own test of backends (`test-backend-ops`) allows 5e-4 for one matrix multiplication in any type. A case here
/// has eight of them, each with its own rounding of activations, so the limit is four times as high. Measured: at most 9e-4, as
/// the x86 variants round activations to eight bits, and all in the same way. A wrong kernel has about 1.
const MAX_NMSE: f64 = 2e-3;

/// Maximum difference between a single logit and the reference, relative to the root mean square of the reference. The NMSE
/// of many numbers hides a single wrong one. Measured: at most 0.17.
const MAX_DEVIATION: f64 = 0.4;

/// The results of a backend on one device: the numbers of each case, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Results {
    cases: Vec<(String, Vec<f32>)>,
}

impl Results {
    /// Collects the results of a complete self-test: one [`Results`] for each device.
    ///
    /// # Errors
    /// If a number is not finite, or the chat model's answer is wrong.
    pub(super) fn of(events: &[Event]) -> Result<Vec<Self>, String> {
        let mut devices = vec![Self::default()];
        let (mut device, mut case) = (String::new(), String::new());
        for event in events {
            match event {
                Event::Device { name } => {
                    device = format!("{name}, ");
                    devices.push(Self::default());
                }
                Event::Case { name } => case = format!("{device}{name}"),
                Event::Values { bits } => {
                    let values: Vec<f32> = bits.iter().map(|bits| f32::from_bits(*bits)).collect();
                    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                        return Err(format!("{case}: number {at} is {}", values[at]));
                    }
                    if let Some(device) = devices.last_mut() {
                        device.cases.push((case.clone(), values));
                    }
                }
                Event::Text { text } if text != chat::ANSWER => {
                    return Err(format!("{case}: the answer was {text:?}, expected {:?}", chat::ANSWER));
                }
                Event::Text { .. } | Event::NoDevice | Event::Failed { .. } | Event::Done => {}
            }
        }
        devices.retain(|device| !device.cases.is_empty());
        if devices.is_empty() { Err("it computed nothing".to_owned()) } else { Ok(devices) }
    }

    /// Compares each case with `reference`.
    ///
    /// # Errors
    /// If a case differs by more than rounding explains.
    pub(super) fn check(&self, reference: &Self) -> Result<(), String> {
        if self.cases.len() != reference.cases.len() {
            return Err(format!("{} cases instead of {}", self.cases.len(), reference.cases.len()));
        }
        for ((name, values), (_, expected)) in self.cases.iter().zip(&reference.cases) {
            let difference = Difference::between(values, expected)
                .ok_or_else(|| format!("{name}: {} numbers instead of {}", values.len(), expected.len()))?;
            tracing::debug!(
                case = name,
                nmse = difference.nmse,
                deviation = difference.deviation,
                "compared"
            );
            if difference.nmse > MAX_NMSE || difference.deviation > MAX_DEVIATION {
                return Err(format!(
                    "{name}: wrong numbers (NMSE {:.1e}, allowed {MAX_NMSE:.0e}; largest deviation {:.2}, allowed \
                     {MAX_DEVIATION})",
                    difference.nmse, difference.deviation
                ));
            }
        }
        Ok(())
    }
}

/// The difference between numbers and the expected ones.
#[derive(Debug, Clone, Copy)]
struct Difference {
    nmse: f64,
    deviation: f64,
}

impl Difference {
    /// `None` if their counts differ.
    fn between(values: &[f32], expected: &[f32]) -> Option<Self> {
        if values.len() != expected.len() || values.is_empty() {
            return None;
        }
        let square_sum = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
        let differences = || values.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b));
        let reference = square_sum(&mut expected.iter().map(|x| f64::from(*x))).max(f64::MIN_POSITIVE);
        let largest = differences().map(f64::abs).fold(0.0, f64::max);
        let rms = (reference / expected.len() as f64).sqrt();
        Some(Self { nmse: square_sum(&mut differences()) / reference, deviation: largest / rms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(values: &[f32], text: &str) -> Vec<Event> {
        vec![
            Event::Case { name: "Q4_0, 1 row".to_owned() },
            Event::Values { bits: values.iter().map(|value| value.to_bits()).collect() },
            Event::Case { name: "tiny-chat".to_owned() },
            Event::Text { text: text.to_owned() },
            Event::Done,
        ]
    }

    fn results(values: &[f32]) -> Results {
        Results::of(&events(values, chat::ANSWER)).unwrap().remove(0)
    }

    #[test]
    fn rounding_errors_pass_and_wrong_numbers_fail() {
        let expected: Vec<f32> = (0..1024).map(|n| (n as f32 * 0.37).sin()).collect();
        let reference = results(&expected);
        let changed = |change: &dyn Fn(usize, f32) -> f32| {
            results(&expected.iter().enumerate().map(|(n, x)| change(n, *x)).collect::<Vec<_>>())
        };
        assert_eq!(reference.check(&reference), Ok(()));
        assert_eq!(changed(&|n, x| x + if n % 2 == 0 { 0.01 } else { -0.01 }).check(&reference), Ok(()));
        for (change, wrong) in [
            ("scaled", changed(&|_, x| x * 1.05)),
            ("shifted", changed(&|n, _| expected[(n + 1) % 1024])),
            ("one number", changed(&|n, x| if n == 700 { x + 0.3 } else { x })),
            ("zeros", changed(&|_, _| 0.0)),
        ] {
            let reason = wrong.check(&reference).unwrap_err();
            assert!(reason.starts_with("Q4_0, 1 row: wrong numbers"), "{change}: {reason}");
        }
        assert!(results(&expected[..8]).check(&reference).unwrap_err().contains("8 numbers instead of 1024"));
    }

    #[test]
    fn non_finite_numbers_and_a_wrong_answer_fail() {
        let reason = |values: &[f32], text| Results::of(&events(values, text)).unwrap_err();
        assert_eq!(reason(&[1.0, f32::NAN], chat::ANSWER), "Q4_0, 1 row: number 1 is NaN");
        assert!(reason(&[1.0], "Berlin").starts_with("tiny-chat: the answer was \"Berlin\""));
        assert_eq!(Results::of(&[Event::Done]).unwrap_err(), "it computed nothing");
    }
}
