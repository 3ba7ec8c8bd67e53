//! Images to start from, and the shapes of those to make.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Image, ImageSource, Size, artifact::media_type_of};
use hearth_wire::ApiError;

/// How far a shape may be from the one that was asked for.
const NEAR: f64 = 0.03;

/// An image's bytes and what they are.
pub(super) fn bytes_of(image: &Image) -> Result<(&'static str, Vec<u8>), ApiError> {
    let wrong = |problem: &str| Err(ApiError::invalid("images", format!("an image {problem}")));
    let ImageSource::Data { data, .. } = &image.source else {
        return wrong("must be sent along, as data:image/png;base64,...: the gateway fetches none");
    };
    let Ok(bytes) = STANDARD.decode(data) else { return wrong("isn't base64") };
    match media_type_of(&bytes) {
        Some(media_type) if media_type.starts_with("image/") => Ok((media_type, bytes)),
        _ => wrong("is neither PNG, JPEG, WebP, GIF nor AVIF"),
    }
}

/// The shape of a size, out of those that a provider makes.
pub(super) fn ratio(size: Size, made: &[(u32, u32)]) -> Result<String, ApiError> {
    let shape = f64::from(size.width) / f64::from(size.height);
    let distance = |(width, height): (u32, u32)| (shape * f64::from(height) / f64::from(width)).ln().abs();
    let named = |(width, height): (u32, u32)| format!("{width}:{height}");
    let nearest = made.iter().copied().min_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    match nearest.filter(|nearest| distance(*nearest) <= NEAR) {
        Some(nearest) => Ok(named(nearest)),
        None => {
            let made: Vec<String> = made.iter().copied().map(named).collect();
            let message =
                format!("size has a shape that this provider doesn't make; it makes {}", made.join(", "));
            Err(ApiError::invalid("size", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_nearest_shape() {
        let made = [(1, 1), (3, 2), (2, 3), (16, 9)];
        let shape = |width, height| ratio(Size { width, height }, &made).ok();
        assert_eq!(shape(1024, 1024).as_deref(), Some("1:1"));
        assert_eq!(shape(1536, 1024).as_deref(), Some("3:2"));
        assert_eq!(shape(1792, 1024).as_deref(), Some("16:9"));
        assert_eq!(shape(1000, 300), None);
    }

    #[test]
    fn only_images_that_were_sent_along_are_taken() {
        let png = Image::at(format!("data:image/jpeg;base64,{}", STANDARD.encode(b"\x89PNG\r\n\x1a\n")));
        assert_eq!(bytes_of(&png).unwrap().0, "image/png");
        for url in ["https://example.org/a.png", "data:image/png;base64,!", "data:image/png;base64,AAAA"] {
            assert_eq!(bytes_of(&Image::at(url)).unwrap_err().param.as_deref(), Some("images"), "{url}");
        }
    }
}
