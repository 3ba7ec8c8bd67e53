//! The steps from noise to a picture: Euler's method over the noise levels of the model's training (Karras et al. 2022,
//! algorithm 2 without churn; diffusers' `EulerDiscreteScheduler`).

use candle_core::{Device, Result, Tensor};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::settings::ScheduleSettings;

/// The noise levels of the steps of a picture.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    /// Time of training of each step, the noisiest first.
    times: Vec<usize>,
    /// Noise level of each step, and 0 behind the last.
    levels: Vec<f64>,
    predicts_velocity: bool,
}

impl Sampler {
    /// The levels of `steps` steps.
    pub(crate) fn new(schedule: &ScheduleSettings, steps: usize) -> Self {
        let all = training_levels(schedule);
        let last = all.len() - 1;
        let steps = steps.clamp(1, all.len());
        let mut times: Vec<usize> = if schedule.is_trailing {
            let each = all.len() as f64 / steps as f64;
            (0..steps).map(|step| (all.len() as f64 - each * step as f64).round() as usize - 1).collect()
        } else {
            let each = all.len() / steps;
            (0..steps).rev().map(|step| step * each + schedule.offset).collect()
        };
        times.iter_mut().for_each(|time| *time = (*time).min(last));
        let levels = times.iter().map(|time| all[*time]).chain([0.0]).collect();
        Self { times, levels, predicts_velocity: schedule.predicts_velocity }
    }

    /// Number of steps.
    pub(crate) fn steps(&self) -> usize {
        self.times.len()
    }

    /// The first step for a picture that is changed by `strength`, 0 to 1: all steps for 1, and at least the last.
    pub(crate) fn first_step(&self, strength: f64) -> usize {
        let steps = (self.steps() as f64 * strength).floor() as usize;
        self.steps() - steps.clamp(1, self.steps())
    }

    /// Time of training of a step.
    pub(crate) fn time(&self, step: usize) -> f64 {
        self.times[step] as f64
    }

    /// Noise, as the first step takes it.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn initial(&self, noise: &Tensor) -> Result<Tensor> {
        noise * (self.levels[0].powi(2) + 1.0).sqrt()
    }

    /// Latents with the noise that they have before `step`; behind the last step, none.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn add_noise(&self, latents: &Tensor, noise: &Tensor, step: usize) -> Result<Tensor> {
        latents + (noise * self.levels[step])?
    }

    /// Latents at the scale that the network was trained with.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn scaled(&self, latents: &Tensor, step: usize) -> Result<Tensor> {
        latents / (self.levels[step].powi(2) + 1.0).sqrt()
    }

    /// Makes a step; returns the latents after it, and the finished picture as far as it can be told now.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn step(&self, latents: &Tensor, predicted: &Tensor, step: usize) -> Result<(Tensor, Tensor)> {
        let (level, next) = (self.levels[step], self.levels[step + 1]);
        let finished = if self.predicts_velocity {
            let square = level.powi(2) + 1.0;
            ((latents / square)? - (predicted * (level / square.sqrt()))?)?
        } else {
            (latents - (predicted * level)?)?
        };
        let slope = ((latents - &finished)? / level)?;
        let latents = (latents + (slope * (next - level))?)?;
        Ok((latents, finished))
    }
}

/// The ratio of noise to signal at each time of training.
fn training_levels(schedule: &ScheduleSettings) -> Vec<f64> {
    let last = (schedule.train_steps - 1) as f64;
    let (first_beta, last_beta) = (schedule.first_beta, schedule.last_beta);
    let mut signal = 1.0;
    (0..schedule.train_steps)
        .map(|time| {
            let share = time as f64 / last;
            let beta = if schedule.is_scaled {
                (first_beta.sqrt() + share * (last_beta.sqrt() - first_beta.sqrt())).powi(2)
            } else {
                first_beta + share * (last_beta - first_beta)
            };
            signal *= 1.0 - beta;
            ((1.0 - signal) / signal).sqrt()
        })
        .collect()
}

/// Normal noise of this shape that depends on the seed only: it is the same on every device.
///
/// # Errors
/// If the computation fails.
pub(crate) fn noise(seed: u64, shape: (usize, usize, usize, usize), device: &Device) -> Result<Tensor> {
    let mut random = StdRng::seed_from_u64(seed);
    let count = shape.0 * shape.1 * shape.2 * shape.3;
    let mut numbers = Vec::with_capacity(count + 1);
    while numbers.len() < count {
        // Box and Muller's method.
        let (first, second): (f64, f64) = (random.random(), random.random());
        let radius = (-2.0 * (1.0 - first).ln()).sqrt();
        let (sine, cosine) = (2.0 * std::f64::consts::PI * second).sin_cos();
        numbers.extend([(radius * cosine) as f32, (radius * sine) as f32]);
    }
    numbers.truncate(count);
    Tensor::from_vec(numbers, shape, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of diffusers' `EulerDiscreteScheduler` for Stable Diffusion 1 with 20 steps.
    #[test]
    fn levels_are_those_of_diffusers() {
        let sampler = Sampler::new(&ScheduleSettings::default(), 20);
        assert_eq!((sampler.time(0), sampler.time(19), sampler.steps()), (951.0, 1.0, 20));
        assert!((sampler.levels[0] - 11.0).abs() < 0.3, "{}", sampler.levels[0]);
        assert!((sampler.levels[19] - 0.0413).abs() < 0.002, "{}", sampler.levels[19]);
        assert_eq!(sampler.levels[20], 0.0);
        let trailing = ScheduleSettings { is_trailing: true, ..ScheduleSettings::default() };
        let sampler = Sampler::new(&trailing, 4);
        assert_eq!([0, 1, 2, 3].map(|step| sampler.time(step)), [999.0, 749.0, 499.0, 249.0]);
        assert!((sampler.levels[0] - 14.61).abs() < 0.05, "{}", sampler.levels[0]);
    }

    #[test]
    fn perfect_prediction_ends_at_the_picture() {
        let device = Device::Cpu;
        for predicts_velocity in [false, true] {
            let schedule = ScheduleSettings { predicts_velocity, ..ScheduleSettings::default() };
            let sampler = Sampler::new(&schedule, 7);
            let picture = Tensor::full(0.5_f32, (1, 4, 2, 2), &device).unwrap();
            let noise = noise(1, (1, 4, 2, 2), &device).unwrap();
            let mut latents = sampler.add_noise(&picture, &noise, 0).unwrap();
            for step in 0..sampler.steps() {
                let level = sampler.levels[step];
                let predicted = if predicts_velocity {
                    // The velocity of the scaled latents.
                    let root = (level.powi(2) + 1.0).sqrt();
                    ((&noise / root).unwrap() - (&picture * (level / root)).unwrap()).unwrap()
                } else {
                    noise.clone()
                };
                latents = sampler.step(&latents, &predicted, step).unwrap().0;
            }
            let rest =
                (latents - picture).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(rest < 1e-3, "{rest} {predicts_velocity}");
        }
    }

    #[test]
    fn strength_decides_the_number_of_steps() {
        let sampler = Sampler::new(&ScheduleSettings::default(), 20);
        assert_eq!(
            [0.0, 0.24, 0.5, 1.0, 2.0].map(|strength| sampler.first_step(strength)),
            [19, 16, 10, 0, 0]
        );
    }

    #[test]
    fn noise_depends_on_its_seed_only() {
        let values = |seed| {
            noise(seed, (1, 1, 50, 51), &Device::Cpu)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
        let all = values(3);
        let mean = all.iter().sum::<f32>() / all.len() as f32;
        let deviation = (all.iter().map(|n| (n - mean).powi(2)).sum::<f32>() / all.len() as f32).sqrt();
        assert!(mean.abs() < 0.05 && (deviation - 1.0).abs() < 0.05, "{mean} {deviation}");
    }
}
