//! Images of a message: base64 without a media type, which the file's first bytes tell.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hearth_domain::{Image, ImageSource, artifact::media_type_of};

use crate::ApiError;

/// How much of an image's base64 is decoded to learn its media type: 12 bytes.
const HEAD_CHARS: usize = 16;

/// The image. `param` is where it stood, for the error.
///
/// # Errors
/// `invalid_request` for what is no image in base64.
pub(super) fn image(data: String, param: &str) -> Result<Image, ApiError> {
    if data.starts_with("data:") {
        let image = Image::at(data);
        return if matches!(image.source, ImageSource::Data { .. }) {
            Ok(image)
        } else {
            Err(no_image(param))
        };
    }
    // Ollama takes base64 with line breaks.
    let data = if data.contains(['\n', '\r']) { data.replace(['\n', '\r'], "") } else { data };
    let head = data.get(..HEAD_CHARS).unwrap_or(&data);
    let bytes = STANDARD.decode(head).map_err(|_| no_image(param))?;
    let media_type = media_type_of(&bytes).filter(|media_type| media_type.starts_with("image/"));
    let media_type = media_type.ok_or_else(|| no_image(param))?.to_owned();
    Ok(Image { source: ImageSource::Data { media_type, data }, detail: None })
}

fn no_image(param: &str) -> ApiError {
    let message = format!(
        "{param} must be a PNG, JPEG, GIF, WebP or AVIF image in base64; this dialect has no addresses"
    );
    ApiError::invalid(param, message)
}
