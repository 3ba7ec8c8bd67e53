//! Form bodies with files.

use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, multipart::MultipartError};
use hearth_wire::{ApiError, ErrorCode, form_field::FormField};
use http::StatusCode;

use crate::{
    body_budget::{self, BODY_MAX_BYTES},
    error::HttpError,
    extract::{check_encoding, too_slow},
    paced_body::BodyTooSlow,
};

/// Most fields of a form.
const FIELDS_MAX_COUNT: usize = 128;

/// Body of `multipart/form-data`.
#[derive(Debug, Clone)]
pub struct FormBody(pub Vec<FormField>);

impl<S: Send + Sync> FromRequest<S> for FormBody {
    type Rejection = HttpError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, HttpError> {
        check_encoding(request.headers())?;
        body_budget::admit(request.extensions(), request.headers()).await?;
        DefaultBodyLimit::max(BODY_MAX_BYTES).apply(&mut request);
        let form = Multipart::from_request(request, state).await;
        let mut form = form.map_err(|_| not_a_form())?;
        let mut fields = Vec::new();
        while let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? {
            if fields.len() == FIELDS_MAX_COUNT {
                let message = format!("the form has more than {FIELDS_MAX_COUNT} fields");
                return Err(HttpError(ApiError::new(ErrorCode::InvalidRequest, message)));
            }
            let name = field.name().unwrap_or_default().to_owned();
            let is_file = field.file_name().is_some();
            let bytes = field.bytes().await.map_err(|error| unreadable(&error))?.to_vec();
            fields.push(FormField { name, is_file, bytes });
        }
        Ok(Self(fields))
    }
}

pub(crate) fn not_a_form() -> HttpError {
    let message = "the body must be a form: send `content-type: multipart/form-data` with its boundary";
    HttpError(ApiError::new(ErrorCode::UnsupportedMediaType, message))
}

pub(crate) fn unreadable(error: &MultipartError) -> HttpError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return HttpError(body_budget::too_large());
    }
    if BodyTooSlow::caused(error) {
        return HttpError(too_slow());
    }
    HttpError(ApiError::new(ErrorCode::InvalidRequest, "the form is malformed, or was cut off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(content_type: &str, body: &'static str) -> Result<Vec<FormField>, ApiError> {
        let request = Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        FormBody::from_request(request, &()).await.map(|FormBody(fields)| fields).map_err(|error| error.0)
    }

    #[tokio::test]
    async fn form_yields_fields_and_files() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na fox\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\
                    Content-Type: image/png\r\n\r\nPNG\r\n--x--\r\n";
        let field = |name: &str, is_file, text: &str| FormField {
            name: name.into(),
            is_file,
            bytes: text.as_bytes().to_vec(),
        };
        let fields = read("multipart/form-data; boundary=x", body).await.unwrap();
        assert_eq!(fields, [field("prompt", false, "a fox"), field("image", true, "PNG")]);
        for (content_type, body, code) in [
            ("application/json", "{}", ErrorCode::UnsupportedMediaType),
            ("multipart/form-data", body, ErrorCode::UnsupportedMediaType),
            ("multipart/form-data; boundary=x", &body[..60], ErrorCode::InvalidRequest),
        ] {
            assert_eq!(read(content_type, body).await.unwrap_err().code, code, "{content_type}");
        }
    }
}
