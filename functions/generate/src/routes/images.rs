//! `POST /v1/images/generations`: the OpenAI dialect.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use hearth_domain::{Generation, RunId};
use hearth_gateway::{Gateway, RunStream};
use hearth_http::{HttpError, JsonBody, PublicUrl, head, sse};
use hearth_wire::{
    ApiError,
    native::requests::AcceptedRequest,
    openai::images::{ImageBody, ImageFrames, ImageList, ImageRequest, Made, Shown},
};

use crate::asker::{Asker, Begun};

/// Make images, as OpenAI's SDKs ask for them.
///
/// They are kept for 30 days as artifacts of the request. With `stream: true` the answer is server-sent events,
/// `image_generation.completed` for each image.
#[utoipa::path(
    post, path = "/v1/images/generations", operation_id = "generate_images", tag = "compatible", security(("token" = [])),
    request_body(
        content = ImageRequest,
        example = json!({"model": "openai:gpt-image-1", "prompt": "A fox in the snow"}),
    ),
    params(("prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once")),
    responses(
        (status = 200, description = "The images, or a stream of events", body = ImageList),
        (status = 202, description = "The request goes on by itself", body = AcceptedRequest),
    ),
)]
pub(crate) async fn images(
    asker: Asker,
    PublicUrl(base): PublicUrl,
    JsonBody(request): JsonBody<ImageRequest>,
) -> Result<Response, HttpError> {
    let shown = request.shown();
    answer(asker, request.into_generation()?, shown, base).await
}

/// Has images made, and answers as the request says.
pub(super) async fn answer(
    asker: Asker,
    generation: Generation,
    shown: Shown,
    base: String,
) -> Result<Response, HttpError> {
    let run = match asker.begin(generation, None).await? {
        Begun::Attached(run) => run,
        Begun::Detached(answer) => return Ok(answer),
    };
    if shown.streams {
        let begun: Vec<_> = run.begun().cloned().collect();
        return Ok(head::told(stream(asker.gateway, asker.id, run, shown, base), &begun));
    }
    let events = run.collect().await;
    let answer = list(&asker.gateway, &Made::of(&events)?, &shown, &base).await?;
    Ok(head::told(Json(answer).into_response(), &events))
}

/// The answer. The images' bytes come out of the bucket again: they go through no run's events.
async fn list(gateway: &Gateway, made: &Made, shown: &Shown, base: &str) -> Result<ImageList, ApiError> {
    let mut data = Vec::with_capacity(made.artifacts.len());
    for artifact in &made.artifacts {
        let bytes = match shown.has_bytes() {
            true => Some(gateway.whole_artifact(artifact.id).await?),
            false => None,
        };
        data.push(ImageBody::new(artifact, bytes.as_deref(), base));
    }
    Ok(ImageList::new(made, data, shown))
}

/// The events. This API knows no `[DONE]`.
fn stream(gateway: Gateway, id: RunId, run: RunStream, shown: Shown, base: String) -> Response {
    sse::respond(async_stream::stream! {
        let made = Made::of(&run.collect().await);
        let list = match made {
            Ok(made) => list(&gateway, &made, &shown, &base).await,
            Err(error) => Err(error),
        };
        match list {
            Ok(list) => for frame in ImageFrames::of(&list, &shown) {
                yield frame;
            },
            Err(error) => yield ImageFrames::failed(&error, &id.to_string()),
        }
    })
}
