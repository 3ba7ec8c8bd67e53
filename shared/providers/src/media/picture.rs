//! Input images, and aspect ratios of output images.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Image, ImageSource, Size, artifact::media_type_of};
use hearth_wire::ApiError;

/// Maximum distance of an aspect ratio from the requested one, as the logarithm of their quotient.
const RATIO_TOLERANCE: f64 = 0.03;

/// Returns an image's media type and bytes.
pub(super) fn image_bytes(image: &Image) -> Result<(&'static str, Vec<u8>), ApiError> {
    let wrong = |problem: &str| Err(ApiError::invalid("images", format!("an image {problem}")));
    let ImageSource::Data { data, .. } = &image.source else {
        return wrong(
            "must be sent in base64, as data:image/png;base64,...: the gateway doesn't fetch images",
        );
    };
    let Ok(bytes) = STANDARD.decode(data) else { return wrong("isn't base64") };
    match media_type_of(&bytes) {
        Some(media_type) if media_type.starts_with("image/") => Ok((media_type, bytes)),
        _ => wrong("is neither PNG, JPEG, WebP, GIF nor AVIF"),
    }
}

/// Returns the aspect ratio that is nearest to a size, out of those that a provider supports.
pub(super) fn aspect_ratio(size: Size, supported: &[(u32, u32)]) -> Result<String, ApiError> {
    let shape = f64::from(size.width) / f64::from(size.height);
    let distance = |(width, height): (u32, u32)| (shape * f64::from(height) / f64::from(width)).ln().abs();
    let named = |(width, height): (u32, u32)| format!("{width}:{height}");
    let nearest = supported.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    match nearest.filter(|nearest| distance(*nearest) <= RATIO_TOLERANCE) {
        Some(nearest) => Ok(named(nearest)),
        None => {
            let supported: Vec<String> = supported.iter().copied().map(named).collect();
            let message = format!(
                "size has an aspect ratio that this provider doesn't support; it supports {}",
                supported.join(", ")
            );
            Err(ApiError::invalid("size", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_maps_to_the_nearest_aspect_ratio() {
        let supported = [(1, 1), (3, 2), (2, 3), (16, 9)];
        let ratio = |width, height| aspect_ratio(Size { width, height }, &supported).ok();
        assert_eq!(ratio(1024, 1024).as_deref(), Some("1:1"));
        assert_eq!(ratio(1536, 1024).as_deref(), Some("3:2"));
        assert_eq!(ratio(1792, 1024).as_deref(), Some("16:9"));
        assert_eq!(ratio(1000, 300), None);
    }

    #[test]
    fn only_inline_images_are_accepted() {
        let png = Image::at(format!("data:image/jpeg;base64,{}", STANDARD.encode(b"\x89PNG\r\n\x1a\n")));
        assert_eq!(image_bytes(&png).unwrap().0, "image/png");
        for url in ["https://example.org/a.png", "data:image/png;base64,!", "data:image/png;base64,AAAA"] {
            assert_eq!(image_bytes(&Image::at(url)).unwrap_err().param.as_deref(), Some("images"), "{url}");
        }
    }
}
