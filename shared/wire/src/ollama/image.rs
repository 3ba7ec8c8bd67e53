//! Images of a message: base64 without a media type. The media type is detected from the file's first bytes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Image, ImageSource, artifact::media_type_of};

use crate::ApiError;

/// Number of base64 characters that are decoded to detect the media type: 12 bytes.
const HEAD_CHARS: usize = 16;

/// Parses an image. `param` is its field, for the error.
///
/// # Errors
/// `invalid_request` for anything but an image in base64.
pub(super) fn parse_image(data: String, param: &str) -> Result<Image, ApiError> {
    if data.starts_with("data:") {
        let image = Image::at(data);
        return if matches!(image.source, ImageSource::Data { .. }) {
            Ok(image)
        } else {
            Err(not_an_image(param))
        };
    }
    // Ollama accepts base64 with line breaks.
    let data = if data.contains(['\n', '\r']) { data.replace(['\n', '\r'], "") } else { data };
    let head = data.get(..HEAD_CHARS).unwrap_or(&data);
    let bytes = STANDARD.decode(head).map_err(|_| not_an_image(param))?;
    let media_type = media_type_of(&bytes).filter(|media_type| media_type.starts_with("image/"));
    let media_type = media_type.ok_or_else(|| not_an_image(param))?.to_owned();
    Ok(Image { source: ImageSource::Data { media_type, data }, detail: None })
}

fn not_an_image(param: &str) -> ApiError {
    let message = format!("{param} must be a PNG, JPEG, GIF, WebP or AVIF image in base64, not an address");
    ApiError::invalid(param, message)
}
