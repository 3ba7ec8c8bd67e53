//! Form bodies with files.

use axum::extract::{
    DefaultBodyLimit, FromRequest, Multipart, Request,
    multipart::{Field, MultipartError},
};
use hearth_wire::{
    ApiError, ErrorCode,
    form_field::{FormField, shortened_name},
};
use http::{HeaderValue, StatusCode, header::CONTENT_DISPOSITION};

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
            check_names(&field)?;
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

/// Refuses a field whose name or file name isn't UTF-8 (RFC 7578, section 5.1): it would count as missing.
pub(crate) fn check_names(field: &Field<'_>) -> Result<(), ApiError> {
    let header = field.headers().get(CONTENT_DISPOSITION).map(HeaderValue::as_bytes).unwrap_or_default();
    if str::from_utf8(header).is_ok() {
        return Ok(());
    }
    match field.name().map(shortened_name) {
        Some(name) => {
            let message = format!("the file name of the form's field {name:?} isn't UTF-8; send it in UTF-8");
            Err(ApiError::invalid(name, message))
        }
        None => {
            let message = "the name of a field of the form isn't UTF-8; send it in UTF-8";
            Err(ApiError::new(ErrorCode::InvalidRequest, message))
        }
    }
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
    use axum::body::Body;

    use super::*;

    async fn read(content_type: &str, body: impl Into<Body>) -> Result<Vec<FormField>, ApiError> {
        let request = Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        FormBody::from_request(request, &()).await.map(|FormBody(fields)| fields).map_err(|error| error.0)
    }

    #[tokio::test]
    async fn name_that_is_not_utf8_is_refused() {
        for (disposition, param) in
            [(&b"name=\"image\"; filename=\"\xe4.png\""[..], Some("image")), (b"name=\"b\xfccher\"", None)]
        {
            let body =
                [b"--x\r\nContent-Disposition: form-data; ", disposition, b"\r\n\r\na\r\n--x--\r\n"].concat();
            let error = read("multipart/form-data; boundary=x", body).await.unwrap_err();
            assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, param));
            assert!(error.message.contains("UTF-8"), "{error:?}");
        }
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
