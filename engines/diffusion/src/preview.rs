//! Small pictures of unfinished latents: a pixel for each latent, by a linear map from its four numbers to colours.
//!
//! The maps are those that ComfyUI and stable-diffusion.cpp have (`latent_formats.py`, `latent-preview.h`).

use candle_core::{Result, Tensor};
use hearth_worker::checkpoint::ImageFamily;
use image::RgbImage;

/// Red, green and blue of each of the four numbers.
const FIRST: [[f32; 3]; 4] = [
    [0.3512, 0.2297, 0.3227],
    [0.3250, 0.4974, 0.2350],
    [-0.2829, 0.1762, 0.2721],
    [-0.2120, -0.2616, -0.7177],
];
const XL: [[f32; 3]; 4] = [
    [0.3651, 0.4232, 0.4341],
    [-0.2533, -0.0042, 0.1068],
    [0.1076, 0.1111, -0.0362],
    [-0.3165, -0.2492, -0.2188],
];

/// The picture of latents.
///
/// # Errors
/// If the computation fails.
pub(crate) fn picture(latents: &Tensor, family: ImageFamily) -> Result<RgbImage> {
    let map = if family == ImageFamily::Sdxl { &XL } else { &FIRST };
    let (_, _, height, width) = latents.dims4()?;
    let planes = latents.squeeze(0)?.to_vec3::<f32>()?;
    let colour = |x: usize, y: usize, colour: usize| {
        let sum: f32 = planes.iter().zip(map).map(|(plane, factors)| plane[y][x] * factors[colour]).sum();
        ((sum * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0) as u8
    };
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    Ok(RgbImage::from_fn(side(width), side(height), |x, y| {
        let (x, y) = (x as usize, y as usize);
        image::Rgb([colour(x, y, 0), colour(x, y, 1), colour(x, y, 2)])
    }))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn each_latent_is_a_pixel() {
        let latents = Tensor::zeros((1, 4, 3, 5), candle_core::DType::F32, &Device::Cpu).unwrap();
        let preview = picture(&latents, ImageFamily::Sd1).unwrap();
        assert_eq!((preview.dimensions(), preview.get_pixel(4, 2).0), ((5, 3), [127; 3]));
    }
}
