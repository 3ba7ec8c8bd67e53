//! Binary media types of an API: bodies that match one are bytes, all others text.

use serde_json::Value;

/// Media types, with `*` as a wildcard of a type or a subtype.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaTypes(Vec<String>);

impl MediaTypes {
    /// Reads the property `BinaryMediaTypes` of a SAM template, in which `~1` stands for a slash.
    #[must_use]
    pub fn of_template(value: &Value) -> Self {
        let types = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        Self(types.map(|name| name.replace("~1", "/").to_ascii_lowercase()).collect())
    }

    /// Returns whether a `Content-Type`, or the first media type of an `Accept`, is binary.
    #[must_use]
    pub fn contain(&self, header: &str) -> bool {
        let first = header.split([',', ';']).next().unwrap_or_default().trim().to_ascii_lowercase();
        let Some((kind, subtype)) = first.split_once('/') else { return false };
        self.0.iter().any(|name| match name.split_once('/') {
            Some((own_kind, own_subtype)) => {
                (own_kind == "*" || own_kind == kind) && (own_subtype == "*" || own_subtype == subtype)
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn first_media_type_is_compared() {
        let forms = MediaTypes::of_template(&json!(["multipart~1form-data"]));
        assert!(forms.contain("multipart/form-data; boundary=x"));
        assert!(forms.contain("Multipart/Form-Data, image/png"));
        for other in ["image/png, multipart/form-data", "*/*", "", "application/json"] {
            assert!(!forms.contain(other), "{other}");
        }
        let all = MediaTypes::of_template(&json!(["image/*", "*~1*"]));
        assert!(all.contain("image/png") && all.contain("*/*"));
        assert!(!MediaTypes::of_template(&Value::Null).contain("image/png"));
    }
}
