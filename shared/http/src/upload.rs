//! Bodies with large files, which are read piece by piece.

use async_stream::try_stream;
use axum::{
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use futures::{StreamExt as _, stream::BoxStream};
use hearth_wire::{ApiError, ErrorCode, form_field::repeated_field};

use crate::{
    error::HttpError,
    extract::{check_encoding, too_slow},
    form::{check_names, not_a_form, unreadable},
    paced_body::BodyTooSlow,
};

/// Longest value of a field that is no file, in bytes.
const VALUE_MAX_BYTES: usize = 1024;

/// Pieces of a body or a file, as they arrive.
pub type BodyPieces<'a> = BoxStream<'a, Result<Bytes, ApiError>>;

/// Body of `multipart/form-data` whose files aren't collected in memory. Its reader limits them. Each field may come once.
#[derive(Debug)]
pub struct UploadForm {
    form: Multipart,
    /// Names of the fields so far.
    names: Vec<String>,
}

/// Field of a form.
pub struct UploadField<'a> {
    field: Field<'a>,
}

impl std::fmt::Debug for UploadField<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UploadField")
    }
}

impl<S: Send + Sync> FromRequest<S> for UploadForm {
    type Rejection = HttpError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, HttpError> {
        check_encoding(request.headers())?;
        DefaultBodyLimit::disable().apply(&mut request);
        let form = Multipart::from_request(request, state).await;
        let form = form.map_err(|_| not_a_form())?;
        Ok(Self { form, names: Vec::new() })
    }
}

impl UploadForm {
    /// The next field.
    ///
    /// # Errors
    /// `invalid_request` if the form is malformed, or was cut off; if the field was there before, or its name can't be read.
    pub async fn next_field(&mut self) -> Result<Option<UploadField<'_>>, ApiError> {
        let field = self.form.next_field().await.map_err(|error| unreadable(&error).0)?;
        let Some(field) = field else { return Ok(None) };
        check_names(&field)?;
        let field = UploadField { field };
        let name = field.name();
        if self.names.contains(&name) {
            return Err(repeated_field(&name));
        }
        self.names.push(name);
        Ok(Some(field))
    }

    /// The bytes of the form's only field, `name`. They end with an error if the form has another field, or none.
    #[must_use]
    pub fn into_only_field(mut self, name: &'static str) -> BodyPieces<'static> {
        let pieces = try_stream! {
            let not_alone = || ApiError::invalid(name, format!("the form must have one field, `{name}`, with the bytes"));
            let field = self.next_field().await?.filter(|field| field.name() == name);
            let mut pieces = field.ok_or_else(not_alone)?.into_pieces();
            while let Some(piece) = pieces.next().await {
                yield piece?;
            }
            drop(pieces);
            if self.next_field().await?.is_some() {
                Err(not_alone())?;
            }
        };
        pieces.boxed()
    }
}

impl<'a> UploadField<'a> {
    /// The field's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.field.name().unwrap_or_default().to_owned()
    }

    /// The name of the file, if the field is one.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        self.field.file_name().map(str::to_owned)
    }

    /// The value of a field that is no file.
    ///
    /// # Errors
    /// `invalid_request` for one over 1 KiB, or one that isn't UTF-8.
    pub async fn text(mut self) -> Result<String, ApiError> {
        let (name, mut bytes) = (self.name(), Vec::new());
        while let Some(piece) = self.field.chunk().await.map_err(|error| unreadable(&error).0)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > VALUE_MAX_BYTES {
                let message = format!("{name} is longer than {VALUE_MAX_BYTES} bytes");
                return Err(ApiError::invalid(name, message));
            }
        }
        String::from_utf8(bytes).map_err(|_| {
            let message = format!("{name} must be UTF-8");
            ApiError::invalid(name, message)
        })
    }

    /// The bytes of a file.
    #[must_use]
    pub fn into_pieces(self) -> BodyPieces<'a> {
        self.field.map(|piece| piece.map_err(|error: MultipartError| unreadable(&error).0)).boxed()
    }
}

/// The bytes of a request's body.
///
/// # Errors
/// `unsupported_media_type` for a compressed body.
pub fn body_pieces(request: Request) -> Result<BodyPieces<'static>, ApiError> {
    check_encoding(request.headers())?;
    let pieces = request.into_body().into_data_stream().map(|piece| {
        piece.map_err(|error| match BodyTooSlow::caused(&error) {
            true => too_slow(),
            false => ApiError::new(ErrorCode::InvalidRequest, "the body was cut off"),
        })
    });
    Ok(pieces.boxed())
}
