//! Multipart forms (RFC 7578), for the APIs that don't accept JSON.

use std::borrow::Cow;

use rand::distr::{Alphanumeric, SampleString as _};

/// A multipart form.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Form(Vec<Field>);

#[derive(Debug, PartialEq)]
struct Field {
    name: Cow<'static, str>,
    /// The media type, if the field is a file.
    file: Option<&'static str>,
    bytes: Vec<u8>,
}

impl Form {
    /// Adds a text field. The name must not need escapes.
    pub(crate) fn text(mut self, name: impl Into<Cow<'static, str>>, value: impl std::fmt::Display) -> Self {
        self.0.push(Field { name: name.into(), file: None, bytes: value.to_string().into_bytes() });
        self
    }

    /// Adds a text field if there is a value.
    pub(crate) fn optional(self, name: &'static str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a file.
    pub(crate) fn file(mut self, name: &'static str, media_type: &'static str, bytes: Vec<u8>) -> Self {
        self.0.push(Field { name: name.into(), file: Some(media_type), bytes });
        self
    }

    /// Returns the `content-type` and the body.
    pub(crate) fn encoded(&self) -> (String, Vec<u8>) {
        // No file has these 32 characters by chance.
        let boundary = Alphanumeric.sample_string(&mut rand::rng(), 32);
        let mut body = Vec::with_capacity(self.0.iter().map(|field| field.bytes.len() + 200).sum());
        for Field { name, file, bytes } in &self.0 {
            let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
            if let Some(media_type) = file {
                let extension = media_type.rsplit('/').next().unwrap_or("bin");
                head.push_str(&format!("; filename=\"{name}.{extension}\"\r\nContent-Type: {media_type}"));
            }
            head.push_str("\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body)
    }

    /// Returns the value of a field.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let field = self.0.iter().find(|field| field.name == name)?;
        Some(String::from_utf8_lossy(&field.bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_encoded_as_multipart() {
        let form = Form::default().text("prompt", "a \"fox\"").optional("seed", None::<u32>).file(
            "image",
            "image/png",
            b"\x00\r\n".to_vec(),
        );
        let (content_type, body) = form.encoded();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na \"fox\"\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"image.png\"\r\n\
             Content-Type: image/png\r\n\r\n\u{0}\r\n\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
