//! `/v1/images/generations` and `/v1/images/edits`: OpenAI's dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_domain::{Generation, RunId};
use hearth_gateway::{Delivery, Gateway, RunStream};
use hearth_http::{FormBody, HttpError, JsonBody, PublicUrl, rate_headers::with_rate, response_headers, sse};
use hearth_wire::{
    ApiError,
    native::requests::AcceptedRequest,
    openai::images::{
        GeneratedImages, ImageAnswerOptions, ImageBody, ImageEdit, ImageEditForm, ImageFrames, ImageList,
        ImageRequest,
    },
    option_hints::option_hints,
};

use crate::{
    run_headers::RunHeaders,
    run_request::{RunRequest, Started},
};

/// Generate images, as OpenAI's SDKs request them.
///
/// The images are stored for 30 days as artifacts of the request. With `stream: true` the response is server-sent
/// events, `image_generation.completed` for each image.
#[utoipa::path(
    post, path = "/v1/images/generations", operation_id = "generate_images", tag = "compatible", security(("token" = [])),
    request_body(
        content = ImageRequest,
        example = json!({"model": "openai:gpt-image-1", "prompt": "A fox in the snow"}),
    ),
    params(RunHeaders),
    responses(
        (status = 200, description = "The images, or a stream of events", body = ImageList),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
    ),
)]
pub(crate) async fn images(
    run_request: RunRequest,
    PublicUrl(base): PublicUrl,
    JsonBody(request): JsonBody<ImageRequest>,
) -> Result<Response, HttpError> {
    let options = request.answer_options();
    answer(run_request, request.into_generation()?, options, base).await
}

/// Edit images, as OpenAI's SDKs request it.
///
/// The images are files of a form, at most 10 MB in all. The results are stored as those of `/v1/images/generations`;
/// with `stream: true` each image is an event, `image_edit.completed`.
#[utoipa::path(
    post, path = "/v1/images/edits", operation_id = "edit_images", tag = "compatible", security(("token" = [])),
    request_body(content = ImageEditForm, content_type = "multipart/form-data"),
    params(RunHeaders),
    responses(
        (status = 200, description = "The images, or a stream of events", body = ImageList),
        (status = 202, description = "The run continues without the client", body = AcceptedRequest),
    ),
)]
pub(crate) async fn edits(
    run_request: RunRequest,
    PublicUrl(base): PublicUrl,
    FormBody(form): FormBody,
) -> Result<Response, HttpError> {
    let edit = ImageEdit::parse(form)?;
    let options = edit.answer_options();
    answer(run_request, edit.into_generation()?, options, base).await
}

/// Runs the generation, and responds in the requested way.
async fn answer(
    run_request: RunRequest,
    generation: Generation,
    options: ImageAnswerOptions,
    base: String,
) -> Result<Response, HttpError> {
    let hints = option_hints(&generation.extra);
    let run = match run_request.start(generation, Delivery::of(options.streams), None).await? {
        Started::Streaming(run) => run,
        Started::Accepted(answer) => return Ok(response_headers::with_hints(answer, &hints)),
    };
    let rate = run.rate;
    if options.streams {
        let begun: Vec<_> = run.begun().cloned().collect();
        let response = stream(run_request.gateway, run_request.id, run, options, base);
        let response = response_headers::with_hints(response, &hints);
        return Ok(with_rate(response_headers::with_run(response, &begun), rate));
    }
    let events = run.collect().await;
    let answer = list(&run_request.gateway, &GeneratedImages::collect(&events)?, &options, &base).await?;
    let response = response_headers::with_hints(Json(answer).into_response(), &hints);
    Ok(with_rate(response_headers::with_run(response, &events), rate))
}

/// Returns the response. The images' bytes are read from the bucket, since events don't contain them.
async fn list(
    gateway: &Gateway,
    images: &GeneratedImages,
    options: &ImageAnswerOptions,
    base: &str,
) -> Result<ImageList, ApiError> {
    let mut data = Vec::with_capacity(images.artifacts.len());
    for artifact in &images.artifacts {
        let bytes = match options.has_bytes() {
            true => Some(gateway.whole_artifact(artifact.id).await?),
            false => None,
        };
        data.push(ImageBody::new(artifact, bytes.as_deref(), base));
    }
    Ok(ImageList::new(images, data, options))
}

/// Returns the event stream. This API has no `[DONE]`.
fn stream(
    gateway: Gateway,
    id: RunId,
    run: RunStream,
    options: ImageAnswerOptions,
    base: String,
) -> Response {
    sse::respond(async_stream::stream! {
        let generated = GeneratedImages::collect(&run.collect().await);
        let list = match generated {
            Ok(images) => list(&gateway, &images, &options, &base).await,
            Err(error) => Err(error),
        };
        match list {
            Ok(list) => for frame in ImageFrames::of(&list, &options) {
                yield frame;
            },
            Err(error) => yield ImageFrames::error(&error, &id.to_string()),
        }
    })
}
