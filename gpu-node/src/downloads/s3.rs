//! Objects of S3, read with the node's credentials by presigned addresses.
//!
//! The credentials are the node's, and not the caller's: so only buckets that the settings list are read.

use std::{fmt, path::Path, time::Duration};

use hearth_domain::{JobErrorCode, Secret};
use hearth_settings::DownloadSettings;
use reqwest::Url;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};

use super::error::DownloadError;

/// Time for which an address is valid: the most that S3 allows. Temporary credentials may end before.
const ADDRESS_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of the file of profiles.
const PROFILES_MAX_BYTES: u64 = 1 << 20;

/// An object of S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Object {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

impl fmt::Display for S3Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl S3Object {
    /// Parses `BUCKET/KEY`.
    pub(super) fn parse(text: &str) -> Result<Self, DownloadError> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        let is_bucket = |name: &str| {
            (3..=63).contains(&name.len())
                && name.chars().all(is_allowed)
                && !name.starts_with(['-', '.'])
                && !name.contains("..")
        };
        match text.split_once('/') {
            Some((bucket, key))
                if is_bucket(bucket)
                    && !key.is_empty()
                    && key.len() <= 1024
                    && !key.contains(char::is_control) =>
            {
                Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => Err(DownloadError::invalid_source(
                "an object of S3 is written as s3://BUCKET/KEY, with the name of a bucket",
            )),
        }
    }

    /// Checks that the settings list the bucket.
    ///
    /// # Errors
    /// They don't.
    pub(super) fn check(&self, settings: &DownloadSettings) -> Result<(), DownloadError> {
        if settings.s3_buckets.contains(&self.bucket) {
            return Ok(());
        }
        Err(DownloadError::invalid_source(format!(
            "{self} isn't downloaded: the node's setting `downloads.s3_buckets` doesn't list the bucket {}; a presigned address of \
             the object (`aws s3 presign {self}`) needs no setting",
            self.bucket
        )))
    }

    /// An address of the object that is valid for a while.
    ///
    /// # Errors
    /// The settings don't list the bucket, or there are no credentials.
    pub(super) fn presign(&self, settings: &DownloadSettings) -> Result<Url, DownloadError> {
        self.check(settings)?;
        let credentials = credentials(settings)?;
        let invalid = |reason: &dyn fmt::Display| {
            DownloadError::invalid_source(format!(
                "{self} has no address: {reason}; check `downloads.s3_endpoint`"
            ))
        };
        let region = settings.s3_region.clone();
        let aws = format!("https://s3.{region}.amazonaws.com");
        let endpoint = settings.s3_endpoint.as_ref().filter(|endpoint| !endpoint.is_empty());
        let address =
            Url::parse(endpoint.map_or(&aws, |endpoint| endpoint)).map_err(|error| invalid(&error))?;
        // A certificate of AWS has no name with further dots.
        let style = match endpoint.is_some() || self.bucket.contains('.') {
            true => UrlStyle::Path,
            false => UrlStyle::VirtualHost,
        };
        let bucket =
            Bucket::new(address, style, self.bucket.clone(), region).map_err(|error| invalid(&error))?;
        Ok(bucket.get_object(Some(&credentials), &self.key).sign(ADDRESS_TTL))
    }

    /// The error of an object that S3 doesn't send.
    pub(super) fn describe(&self, error: DownloadError) -> DownloadError {
        match error.code {
            JobErrorCode::AccessDenied => {
                let message = format!(
                    "S3 refuses {self}: the node's credentials may not read it (s3:GetObject), have ended, or there is no such \
                     object"
                );
                DownloadError::new(JobErrorCode::AccessDenied, message)
            }
            JobErrorCode::SourceNotFound => {
                DownloadError::new(JobErrorCode::SourceNotFound, format!("S3 has no {self}"))
            }
            _ => error,
        }
    }
}

/// The node's credentials: those of the settings, which may be the environment's, else those of the profile.
fn credentials(settings: &DownloadSettings) -> Result<Credentials, DownloadError> {
    let exposed = |secret: &Option<Secret>| {
        secret.as_ref().map(|secret| secret.expose().to_owned()).filter(|text| !text.is_empty())
    };
    let of_settings = (exposed(&settings.s3_access_key_id), exposed(&settings.s3_secret_access_key));
    let (key, secret, token) = match of_settings {
        (Some(key), Some(secret)) => (key, secret, exposed(&settings.s3_session_token)),
        _ => of_profile(settings).ok_or_else(|| {
            let message = format!(
                "the node has no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment, or write \
                 the profile {:?} with `aws configure`",
                settings.s3_profile
            );
            DownloadError::new(JobErrorCode::AccessDenied, message)
        })?,
    };
    Ok(match token {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    })
}

type Keys = (String, String, Option<String>);

/// The credentials of the profile in the file of AWS' tools.
fn of_profile(settings: &DownloadSettings) -> Option<Keys> {
    let path = match &settings.s3_credentials_file {
        Some(path) => path.clone(),
        None => std::env::home_dir()?.join(".aws/credentials"),
    };
    read_profile(&path, &settings.s3_profile)
}

fn read_profile(path: &Path, profile: &str) -> Option<Keys> {
    if path.metadata().ok()?.len() > PROFILES_MAX_BYTES {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let (mut key, mut secret, mut token) = (None, None, None);
    let mut is_in_profile = false;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_in_profile = name.trim() == profile;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_in_profile) {
            let field = match name.trim() {
                "aws_access_key_id" => &mut key,
                "aws_secret_access_key" => &mut secret,
                "aws_session_token" => &mut token,
                _ => continue,
            };
            *field = Some(value.trim().to_owned());
        }
    }
    Some((key?, secret?, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_is_read_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=B\n# no\n[other]\naws_access_key_id=C\n\
                    aws_secret_access_key = D=\naws_session_token = E\n[half]\naws_access_key_id=F\n";
        std::fs::write(&path, text).unwrap();
        let read = |profile| read_profile(&path, profile);
        assert_eq!(read("default"), Some(("A".to_owned(), "B".to_owned(), None)));
        assert_eq!(read("other"), Some(("C".to_owned(), "D=".to_owned(), Some("E".to_owned()))));
        assert_eq!((read("half"), read("none")), (None, None));
    }

    #[test]
    fn address_is_signed_for_listed_buckets_only() {
        let mut settings = DownloadSettings {
            s3_buckets: vec!["models".to_owned()],
            s3_access_key_id: Some(Secret::new("AKIDEXAMPLE")),
            s3_secret_access_key: Some(Secret::new("wJalrXUtnFEMI")),
            ..DownloadSettings::default()
        };
        let object = S3Object::parse("models/q4/a b.gguf").unwrap();
        let url = object.presign(&settings).unwrap();
        assert_eq!(
            (url.host_str(), url.path()),
            (Some("models.s3.us-east-1.amazonaws.com"), "/q4/a%20b.gguf")
        );
        assert!(url.query().unwrap().contains("X-Amz-Signature="), "{url}");
        assert!(!url.as_str().contains("wJalrXUtnFEMI"), "{url}");
        settings.s3_endpoint = Some("http://127.0.0.1:9000".to_owned());
        assert!(object.presign(&settings).unwrap().as_str().starts_with("http://127.0.0.1:9000/models/q4/"));
        let other = S3Object::parse("other/a.gguf").unwrap().presign(&settings).unwrap_err();
        assert!(other.message.contains("downloads.s3_buckets"), "{other}");
    }
}
