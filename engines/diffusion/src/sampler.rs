//! The steps from noise to a picture: Euler's method over the noise levels of the model's training (Karras et al. 2022,
//! algorithm 2 without churn; diffusers' `EulerDiscreteScheduler`).

use candle_core::{Result, Tensor};

use crate::{denoise::Schedule, settings::ScheduleSettings};

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

    /// Time of training of a step.
    pub(crate) fn time(&self, step: usize) -> f64 {
        self.times[step] as f64
    }

    /// Latents at the scale that the network was trained with.
    ///
    /// # Errors
    /// If the computation fails.
    pub(crate) fn scaled(&self, latents: &Tensor, step: usize) -> Result<Tensor> {
        latents / (self.levels[step].powi(2) + 1.0).sqrt()
    }
}

impl Schedule for Sampler {
    fn steps(&self) -> usize {
        self.times.len()
    }

    fn initial(&self, noise: &Tensor) -> Result<Tensor> {
        noise * (self.levels[0].powi(2) + 1.0).sqrt()
    }

    fn add_noise(&self, latents: &Tensor, noise: &Tensor, step: usize) -> Result<Tensor> {
        latents + (noise * self.levels[step])?
    }

    fn step(&self, latents: &Tensor, predicted: &Tensor, step: usize) -> Result<(Tensor, Tensor)> {
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

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::denoise::tests::example_noise;

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
        for predicts_velocity in [false, true] {
            let schedule = ScheduleSettings { predicts_velocity, ..ScheduleSettings::default() };
            let sampler = Sampler::new(&schedule, 7);
            let picture = Tensor::full(0.5_f32, (1, 4, 2, 2), &Device::Cpu).unwrap();
            let noise = example_noise(1, (1, 4, 2, 2));
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
}
