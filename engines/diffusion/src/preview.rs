//! Small pictures of unfinished latents: a pixel for each latent, by a linear map from its numbers to colours.
//!
//! The maps are those that ComfyUI and stable-diffusion.cpp have (`latent_formats.py`, `latent-preview.h`).

use candle_core::{Result, Tensor};
use hearth_worker::checkpoint::ImageFamily;
use image::RgbImage;

/// Red, green and blue of each number.
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

const FLUX: [[f32; 3]; 16] = [
    [-0.0346, 0.0244, 0.0681],
    [0.0034, 0.0210, 0.0687],
    [0.0275, -0.0668, -0.0433],
    [-0.0174, 0.0160, 0.0617],
    [0.0859, 0.0721, 0.0329],
    [0.0004, 0.0383, 0.0115],
    [0.0405, 0.0861, 0.0915],
    [-0.0236, -0.0185, -0.0259],
    [-0.0245, 0.0250, 0.1180],
    [0.1008, 0.0755, -0.0421],
    [-0.0515, 0.0201, 0.0011],
    [0.0428, -0.0012, -0.0036],
    [0.0817, 0.0765, 0.0749],
    [-0.1264, -0.0522, -0.1103],
    [-0.0280, -0.0881, -0.0499],
    [-0.1262, -0.0982, -0.0778],
];
const FLUX_BIAS: [f32; 3] = [-0.0329, -0.0718, -0.0851];

/// The picture of latents.
///
/// # Errors
/// If the computation fails.
pub(crate) fn picture(latents: &Tensor, family: ImageFamily) -> Result<RgbImage> {
    let (map, bias): (&[[f32; 3]], _) = match family {
        ImageFamily::Sd1 | ImageFamily::Sd2 => (&FIRST, [0.0; 3]),
        ImageFamily::Sdxl => (&XL, [0.0; 3]),
        ImageFamily::FluxSchnell | ImageFamily::FluxDev => (&FLUX, FLUX_BIAS),
    };
    let (_, _, height, width) = latents.dims4()?;
    let planes = latents.squeeze(0)?.to_vec3::<f32>()?;
    let colour = |x: usize, y: usize, colour: usize| {
        let sum: f32 = planes.iter().zip(map).map(|(plane, factors)| plane[y][x] * factors[colour]).sum();
        (((sum + bias[colour]) * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0) as u8
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
        let latents = Tensor::zeros((1, 16, 3, 5), candle_core::DType::F32, &Device::Cpu).unwrap();
        let preview = picture(&latents, ImageFamily::FluxDev).unwrap();
        assert_eq!((preview.dimensions(), preview.get_pixel(4, 2).0), ((5, 3), [123, 118, 116]));
    }
}
