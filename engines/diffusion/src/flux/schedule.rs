//! The steps from noise to a picture by flow matching (Lipman et al. 2023): the network predicts the direction, and Euler's method
//! follows it (`flux/sampling.py` of Black Forest Labs; diffusers' `FlowMatchEulerDiscreteScheduler`).

use candle_core::{Result, Tensor};

use crate::denoise::Schedule;

/// Numbers of patches between which the shift of the times rises, and the shift for both.
const FEWEST_PATCHES: (f64, f64) = (256.0, 0.5);
const MOST_PATCHES: (f64, f64) = (4096.0, 1.15);

/// The shares of noise before each step of a picture, and 0 behind the last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FlowSchedule(Vec<f64>);

impl FlowSchedule {
    /// The shares of `steps` steps: evenly from 1 to 0; or with more steps in the noise, the more `patches` a picture has.
    pub(crate) fn new(steps: usize, shifted_for: Option<usize>) -> Self {
        let steps = steps.max(1);
        let even = (0..=steps).rev().map(|step| step as f64 / steps as f64);
        Self(match shifted_for {
            None => even.collect(),
            Some(patches) => {
                let (from, to) = (FEWEST_PATCHES, MOST_PATCHES);
                let slope = (to.1 - from.1) / (to.0 - from.0);
                let factor = (from.1 + slope * (patches as f64 - from.0)).exp();
                even.map(|time| if time > 0.0 { factor / (factor + 1.0 / time - 1.0) } else { 0.0 }).collect()
            }
        })
    }

    /// The share of noise before a step.
    pub(crate) fn time(&self, step: usize) -> f64 {
        self.0[step]
    }
}

impl Schedule for FlowSchedule {
    fn steps(&self) -> usize {
        self.0.len() - 1
    }

    fn initial(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn add_noise(&self, latents: &Tensor, noise: &Tensor, step: usize) -> Result<Tensor> {
        let time = self.time(step);
        (latents * (1.0 - time))? + (noise * time)?
    }

    fn step(&self, latents: &Tensor, direction: &Tensor, step: usize) -> Result<(Tensor, Tensor)> {
        let (time, next) = (self.time(step), self.time(step + 1));
        Ok(((latents + (direction * (next - time))?)?, (latents - (direction * time)?)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::denoise::tests::example_noise;

    fn assert_near(schedule: &FlowSchedule, expected: &[f64]) {
        assert_eq!(schedule.0.len(), expected.len(), "{schedule:?}");
        let is_near =
            schedule.0.iter().zip(expected).all(|(actual, expected)| (actual - expected).abs() < 5e-5);
        assert!(is_near, "{schedule:?}");
    }

    /// Numbers of `get_schedule` of Black Forest Labs: `mu` is 0.5 for 256 patches, 1.15 for 4096.
    #[test]
    fn times_are_those_of_the_original() {
        assert_near(&FlowSchedule::new(4, None), &[1.0, 0.75, 0.5, 0.25, 0.0]);
        assert_near(&FlowSchedule::new(4, Some(4096)), &[1.0, 0.9045, 0.7595, 0.5128, 0.0]);
        assert_near(&FlowSchedule::new(4, Some(256)), &[1.0, 0.8318, 0.6225, 0.3547, 0.0]);
    }

    #[test]
    fn perfect_direction_ends_at_the_picture() {
        let picture = Tensor::full(0.5_f32, (1, 16, 2, 2), &Device::Cpu).unwrap();
        let noise = example_noise(1, (1, 16, 2, 2));
        for schedule in [FlowSchedule::new(7, None), FlowSchedule::new(7, Some(1000))] {
            let first = schedule.first_step(0.6);
            assert_eq!((schedule.steps(), first), (7, 3));
            let mut latents = schedule.add_noise(&picture, &noise, first).unwrap();
            for step in first..schedule.steps() {
                let (next, finished) = schedule.step(&latents, &(&noise - &picture).unwrap(), step).unwrap();
                assert!(distance(&finished, &picture) < 1e-5);
                latents = next;
            }
            assert!(distance(&latents, &picture) < 1e-5);
        }
    }

    fn distance(a: &Tensor, b: &Tensor) -> f32 {
        let difference = (a - b).unwrap().to_dtype(DType::F32).unwrap();
        difference.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }
}
