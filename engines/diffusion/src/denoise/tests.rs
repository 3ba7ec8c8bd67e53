use std::{path::Path, sync::Arc};

use hearth_domain::ImageTask;
use image::{DynamicImage, Rgb, Rgba, RgbaImage};
use tiny_flux::TinyFlux;

use super::*;
use crate::{model::ImageModel, sampler::Sampler, settings::ScheduleSettings};

const TINY_DIFFUSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-diffusion/model");
/// Pixels of a latent's side.
const FACTOR: u32 = 8;

/// A small model of a family, and the size of its pictures here.
struct Subject {
    model: ImageModel,
    size: (u32, u32),
}

/// A model of each kind.
fn subjects() -> [Subject; 2] {
    let load = |path: &Path| ImageModel::load(path, &Device::Cpu, &Arc::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    TinyFlux::SCHNELL.write(folder.path()).unwrap();
    [
        Subject { model: load(Path::new(TINY_DIFFUSION)), size: (72, 64) },
        Subject { model: load(folder.path()), size: (64, 48) },
    ]
}

impl Subject {
    fn request(&self, change: impl FnOnce(&mut PictureRequest)) -> PictureRequest {
        let task = ImageTask { steps: Some(3), seed: Some(7), ..ImageTask::new("a fox") };
        let mut request = PictureRequest::new(&task, self.model.family()).unwrap();
        // A client's picture has larger sides.
        (request.width, request.height) = self.size;
        change(&mut request);
        request
    }

    fn paint(&self, change: impl FnOnce(&mut PictureRequest)) -> RgbImage {
        self.model.paint(&self.request(change), 0, &AtomicBool::new(false), |_| ()).unwrap()
    }

    /// An image of the pictures' size.
    fn input(&self) -> DynamicImage {
        let (width, height) = self.size;
        let pixel = |x, y| Rgb([(x * 3) as u8, (y * 3) as u8, 90]);
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
    }
}

#[test]
fn steps_are_reported_with_previews() {
    for subject in subjects() {
        let request = subject.request(|_| ());
        let (width, height) = subject.size;
        let mut steps = Vec::new();
        let painted = subject.model.paint(&request, 0, &AtomicBool::new(false), |report| {
            steps.push((report.step, report.steps));
            assert_eq!(report.preview().unwrap().dimensions(), (width / FACTOR, height / FACTOR));
        });
        painted.unwrap();
        assert_eq!(steps, [(1, 3), (2, 3), (3, 3)]);
        assert_eq!(subject.model.steps_of(&request), 3);
    }
}

#[test]
fn cancelled_picture_stops_between_two_steps() {
    for subject in subjects() {
        let request = subject.request(|request| request.steps = 50);
        let (mut steps, cancelled) = (0, AtomicBool::new(false));
        let painted = subject.model.paint(&request, 0, &cancelled, |report| {
            steps = report.step;
            cancelled.store(report.step == 2, Ordering::Relaxed);
        });
        assert!(matches!(painted, Err(PaintError::Cancelled)));
        assert_eq!(steps, 2);
    }
}

#[test]
fn changed_picture_depends_on_its_input_and_the_strength() {
    for subject in subjects() {
        let change = |image: DynamicImage, strength: f64| {
            move |request: &mut PictureRequest| {
                (request.image, request.strength, request.steps) = (Some(image), strength, 10);
            }
        };
        let weak = subject.paint(change(subject.input(), 0.1));
        assert_eq!(subject.model.steps_of(&subject.request(change(subject.input(), 0.1))), 1);
        assert_eq!(weak, subject.paint(change(subject.input(), 0.1)));
        assert_ne!(weak, subject.paint(change(subject.input(), 0.9)));
        let (width, height) = subject.size;
        let other = DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, Rgb([250, 10, 10])));
        assert_ne!(weak, subject.paint(change(other, 0.1)));
    }
}

#[test]
fn pixels_outside_of_the_mask_stay() {
    for subject in subjects() {
        let (width, height) = subject.size;
        let mask = RgbaImage::from_fn(width, height, |x, _| Rgba([0, 0, 0, if x < 32 { 0 } else { 255 }]));
        let picture = subject.paint(|request| {
            (request.image, request.strength) = (Some(subject.input()), 1.0);
            request.mask = Some(DynamicImage::ImageRgba8(mask));
        });
        let before = subject.input().to_rgb8();
        let (mut same_inside, mut inside) = (0, 0);
        for (x, y, pixel) in picture.enumerate_pixels() {
            if x >= 32 {
                assert_eq!(pixel, before.get_pixel(x, y), "{x} {y}");
            } else {
                inside += 1;
                same_inside += usize::from(pixel == before.get_pixel(x, y));
            }
        }
        assert!(same_inside < inside / 10, "{same_inside} of {inside}");
    }
}

#[test]
fn strength_decides_the_number_of_steps() {
    let sampler = Sampler::new(&ScheduleSettings::default(), 20);
    let steps = [0.0, 0.24, 0.5, 1.0, 2.0].map(|strength| sampler.first_step(strength));
    assert_eq!(steps, [19, 16, 10, 0, 0]);
}

#[test]
fn noise_depends_on_its_seed_only() {
    let values = |seed| example_noise(seed, (1, 1, 50, 51)).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
    let all = values(3);
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let deviation = (all.iter().map(|n| (n - mean).powi(2)).sum::<f32>() / all.len() as f32).sqrt();
    assert!(mean.abs() < 0.05 && (deviation - 1.0).abs() < 0.05, "{mean} {deviation}");
}

/// Noise on the processor.
pub(crate) fn example_noise(seed: u64, shape: (usize, usize, usize, usize)) -> Tensor {
    noise(seed, shape, &Device::Cpu).unwrap()
}
