//! Errors for requests that a provider doesn't support, or refuses because of their content.

use hearth_wire::ApiError;

/// Rejects a field that the provider doesn't support and whose absence would change the result.
///
/// # Errors
/// `invalid_request`, naming `field`, if it `is_set`.
pub(super) fn reject_unsupported(field: &str, is_set: bool) -> Result<(), ApiError> {
    if !is_set {
        return Ok(());
    }
    let message =
        format!("this provider doesn't support {field}; leave it out, or name a model of another provider");
    Err(ApiError::invalid(field, message))
}

/// The error for content that the provider refuses to generate. It would refuse the same request again.
pub(super) fn content_refused(reason: &str) -> ApiError {
    let message = format!("the provider refuses to make this ({reason}); change the prompt, or the image");
    ApiError::invalid("prompt", message)
}

/// The error for a mesh as input, where the provider makes meshes of images or texts only.
pub(super) fn mesh_input_unsupported() -> ApiError {
    let message = "this provider can't make a mesh from another one; leave input.mesh out, or name a model of a provider \
                   of the kind huggingface whose base_url is an endpoint of your own";
    ApiError::invalid("input.mesh", message)
}
