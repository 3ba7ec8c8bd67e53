//! `POST /v1/images/edits`: the OpenAI dialect.

use axum::response::Response;
use hearth_http::{FormBody, HttpError, PublicUrl};
use hearth_wire::{
    native::requests::AcceptedRequest,
    openai::images::{ImageEdit, ImageEditForm, ImageList},
};

use super::images::answer;
use crate::asker::Asker;

/// Change images, as OpenAI's SDKs ask for it.
///
/// The images come as files of a form, 10 MB in all. What is made is kept as for `/v1/images/generations`; with
/// `stream: true` each image is an event, `image_edit.completed`.
#[utoipa::path(
    post, path = "/v1/images/edits", operation_id = "edit_images", tag = "compatible", security(("token" = [])),
    request_body(content = ImageEditForm, content_type = "multipart/form-data"),
    params(("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once")),
    responses(
        (status = 200, description = "The images, or a stream of events", body = ImageList),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
    ),
)]
pub(crate) async fn edits(
    asker: Asker,
    PublicUrl(base): PublicUrl,
    FormBody(form): FormBody,
) -> Result<Response, HttpError> {
    let edit = ImageEdit::read(form)?;
    let shown = edit.shown();
    answer(asker, edit.into_generation()?, shown, base).await
}
