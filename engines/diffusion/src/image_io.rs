//! Images of a request as tensors, and pictures as files.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use candle_core::{Device, Result, Tensor};
use hearth_domain::{Image, ImageFormat, ImageSource};
use image::{DynamicImage, ImageReader, Limits, RgbImage, imageops::FilterType};

use crate::error::PaintError;

/// Limit of the sides of an input image in pixels.
const SIDE_MAX: u32 = 8192;
/// Limit of the bytes of a decoded input image.
const DECODED_MAX_BYTES: u64 = 512 << 20;
/// Opacity under which a pixel of a mask may be changed.
const MASK_THRESHOLD: u8 = 128;

/// Decodes an image of the request. `field` is its name in errors.
///
/// # Errors
/// If it isn't an image that the engine reads, or too large.
pub(crate) fn decode(image: &Image, field: &str) -> std::result::Result<DynamicImage, PaintError> {
    let ImageSource::Data { data, .. } = &image.source else {
        return Err(PaintError::refused(field, "a local model fetches no URLs; send the image itself"));
    };
    let bytes =
        STANDARD.decode(data).map_err(|_| PaintError::refused(field, "the image isn't valid base64"))?;
    let unreadable = |_: image::ImageError| {
        PaintError::refused(field, "the image can't be read; send a PNG, JPEG or WebP")
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| unreadable(error.into()))?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE_MAX), Some(SIDE_MAX));
    limits.max_alloc = Some(DECODED_MAX_BYTES);
    reader.limits(limits);
    reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => {
            PaintError::refused(field, format!("the image is larger than {SIDE_MAX} pixels a side"))
        }
        error => unreadable(error),
    })
}

/// An image in a size, as numbers of -1 to 1.
///
/// # Errors
/// If the computation fails.
pub(crate) fn to_tensor(image: &RgbImage, device: &Device) -> Result<Tensor> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let numbers: Vec<f32> = image.as_raw().iter().map(|colour| f32::from(*colour) / 127.5 - 1.0).collect();
    Tensor::from_vec(numbers, (height, width, 3), device)?.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()
}

/// The image of a tensor with numbers of -1 to 1.
///
/// # Errors
/// If the computation fails.
pub(crate) fn from_tensor(pixels: &Tensor) -> Result<RgbImage> {
    let (_, _, height, width) = pixels.dims4()?;
    let colours = ((pixels.squeeze(0)?.permute((1, 2, 0))? + 1.0)? * 127.5)?.round()?;
    let colours: Vec<f32> = colours.flatten_all()?.to_vec1()?;
    // A number that isn't one becomes black.
    let colours: Vec<u8> = colours.into_iter().map(|colour| colour.clamp(0.0, 255.0) as u8).collect();
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    RgbImage::from_raw(side(width), side(height), colours)
        .ok_or_else(|| candle_core::Error::Msg("a picture of another size".to_owned()))
}

/// An image in another size.
pub(crate) fn resized(image: &DynamicImage, width: u32, height: u32) -> RgbImage {
    let rgb = image.to_rgb8();
    match rgb.dimensions() == (width, height) {
        true => rgb,
        false => image::imageops::resize(&rgb, width, height, FilterType::CatmullRom),
    }
}

/// The area of a mask that may be changed, a number for each pixel: 1 where the mask is transparent, else 0.
///
/// # Errors
/// If nothing is transparent.
pub(crate) fn changed_area(
    mask: &DynamicImage,
    width: u32,
    height: u32,
) -> std::result::Result<Vec<f32>, PaintError> {
    let mask = image::imageops::resize(&mask.to_rgba8(), width, height, FilterType::Nearest);
    let area: Vec<f32> =
        mask.pixels().map(|pixel| if pixel.0[3] < MASK_THRESHOLD { 1.0 } else { 0.0 }).collect();
    if area.iter().all(|changes| *changes == 0.0) {
        return Err(PaintError::refused(
            "mask",
            "the mask is opaque everywhere: make the area transparent that may change",
        ));
    }
    Ok(area)
}

/// Encodes a picture as a file.
///
/// # Errors
/// If it can't be encoded.
pub(crate) fn encode(picture: &RgbImage, format: ImageFormat) -> std::result::Result<Vec<u8>, PaintError> {
    let format = match format {
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::Webp => image::ImageFormat::WebP,
    };
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, Rgba, RgbaImage};

    use super::*;

    fn data_url(bytes: &[u8]) -> Image {
        Image::at(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
    }

    #[test]
    fn picture_survives_the_way_to_a_tensor_and_back() {
        let picture = RgbImage::from_fn(5, 3, |x, y| Rgb([(x * 50) as u8, (y * 100) as u8, 7]));
        let tensor = to_tensor(&picture, &Device::Cpu).unwrap();
        assert_eq!(tensor.dims(), [1, 3, 3, 5]);
        assert_eq!(from_tensor(&tensor).unwrap(), picture);
        for format in [ImageFormat::Png, ImageFormat::Webp] {
            let file = encode(&picture, format).unwrap();
            assert_eq!(decode(&data_url(&file), "image").unwrap().to_rgb8(), picture, "{format:?}");
        }
        assert!(encode(&picture, ImageFormat::Jpeg).unwrap().starts_with(&[0xFF, 0xD8]));
    }

    #[test]
    fn bad_images_name_their_field() {
        for (image, reason) in [
            (Image::at("https://example.org/a.png"), "fetches no URLs"),
            (data_url(b"no image"), "can't be read"),
            (Image::at("data:image/png;base64,?"), "base64"),
        ] {
            let PaintError::Refused(error) = decode(&image, "input.images").unwrap_err() else { panic!() };
            assert!(error.message.contains(reason), "{error:?}");
            assert_eq!(error.param.as_deref(), Some("input.images"));
        }
    }

    #[test]
    fn transparent_pixels_of_a_mask_are_the_changed_area() {
        let mask = RgbaImage::from_fn(4, 2, |x, _| Rgba([0, 0, 0, if x < 2 { 0 } else { 255 }]));
        let area = changed_area(&DynamicImage::ImageRgba8(mask), 4, 2).unwrap();
        assert_eq!(area, [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let opaque = DynamicImage::ImageRgb8(RgbImage::new(4, 2));
        assert!(changed_area(&opaque, 4, 2).unwrap_err().into_api_error().message.contains("opaque"));
    }
}
