//! Access to objects and buckets.

use std::collections::BTreeMap;

use s3s::{
    S3Error, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{Credentials, S3Auth, SecretKey},
    path::S3Path,
    s3_error,
};

use super::{Call, Decision, Iam, Refusal};

/// The ARN of a bucket.
pub(crate) fn bucket_arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// The signing keys of the access keys: one for all.
pub(crate) struct Keys {
    pub(crate) iam: Iam,
    pub(crate) signing_secret: String,
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if self.iam.knows(access_key) {
            return Ok(SecretKey::from(self.signing_secret.as_str()));
        }
        Err(s3_error!(InvalidAccessKeyId, "The access key ID you provided does not exist in our records."))
    }
}

/// Checks requests against the policies of their access keys.
#[derive(Clone)]
pub(crate) struct Access(pub(crate) Iam);

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let credentials = context.credentials().ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))?;
        let call = call(context.s3_op().name(), context.s3_path());
        self.0.check(&credentials.access_key, &call).map_err(refused)?;
        if context.headers().contains_key("x-amz-object-lock-mode") {
            let retention = Call { action: "s3:PutObjectRetention".to_owned(), ..call };
            self.0.check(&credentials.access_key, &retention).map_err(refused)?;
        }
        Ok(())
    }
}

impl Access {
    /// The error of a request for an object that doesn't exist. Only a caller that may list the bucket's objects gets to
    /// know that: to the others S3 denies access (API reference, GetObject: "Permissions").
    pub(crate) fn missing_object(&self, credentials: Option<&Credentials>, bucket: &str) -> S3Error {
        let list = Call {
            action: "s3:ListBucket".to_owned(),
            resource: bucket_arn(bucket),
            context: BTreeMap::new(),
        };
        let access_key = credentials.map(|credentials| credentials.access_key.as_str()).unwrap_or_default();
        match self.0.decide(access_key, &list) {
            Ok(Decision::Allowed(_)) => s3_error!(NoSuchKey),
            _ => s3_error!(AccessDenied, "Access Denied"),
        }
    }
}

/// The call of an S3 operation. `HeadBucket` and both lists need `s3:ListBucket`, `HeadObject` needs `s3:GetObject`, and the
/// steps of a multipart upload need `s3:PutObject`.
fn call(operation: &str, path: &S3Path) -> Call {
    let action = match operation {
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "HeadObject" => "GetObject",
        "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "PutObject",
        other => other,
    };
    let resource = match path {
        S3Path::Root => "*".to_owned(),
        S3Path::Bucket { bucket } => bucket_arn(bucket),
        S3Path::Object { bucket, key } => format!("{}/{key}", bucket_arn(bucket)),
    };
    Call { action: format!("s3:{action}"), resource, context: BTreeMap::new() }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::UnknownKey => s3_error!(InvalidAccessKeyId),
        Refusal::Denied(_) => s3_error!(AccessDenied, "Access Denied"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_without_an_action_of_its_own_needs_another_one() {
        let path = S3Path::object("media", "a");
        for (operation, action) in [
            ("HeadObject", "s3:GetObject"),
            ("CreateMultipartUpload", "s3:PutObject"),
            ("UploadPart", "s3:PutObject"),
            ("CompleteMultipartUpload", "s3:PutObject"),
            ("AbortMultipartUpload", "s3:AbortMultipartUpload"),
        ] {
            assert_eq!(call(operation, &path).action, action);
        }
    }
}
