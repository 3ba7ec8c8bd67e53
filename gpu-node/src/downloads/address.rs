//! The file at a single address, planned: an object of S3, or the file at a caller's URL.

use hearth_domain::Secret;
use reqwest::{
    Client, StatusCode, Url,
    header::{CONTENT_RANGE, RANGE},
};
use sha2::{Digest as _, Sha256};

use super::{
    clients::{Clients, address_without_query},
    error::{DownloadError, root_cause},
    hub::status_error,
    name::FileName,
    options::DownloadOptions,
    plan::{Origin, PlannedFile, Remote, RemoteAuth, Wishes},
    range_writer::{MAGIC, no_gguf},
    s3::S3Object,
};

/// An object of S3, by a presigned address.
pub(super) async fn s3_file(
    object: &S3Object,
    wishes: &Wishes,
    options: &DownloadOptions,
    clients: &Clients,
) -> Result<PlannedFile, DownloadError> {
    let name: FileName = match wishes.file_name()? {
        Some(name) => name,
        None => object.key.parse().map_err(|error| {
            DownloadError::invalid_source(format!(
                "the key {:?} can't be a file's name: {error}; name the file by `file`",
                object.key
            ))
        })?,
    };
    let settings = options.settings.clone();
    let signed = object.clone();
    // The profile is a file.
    let url = tokio::task::spawn_blocking(move || signed.presign(&settings)).await;
    let url = url.map_err(|error| DownloadError::unreachable(error.to_string()))??;
    let http = clients.operators()?;
    let size = size_of(&http, &url, None, "S3").await.map_err(|error| object.describe(error))?;
    let folder = options.models.join("s3").join(&object.bucket);
    // A file with another name than its key's lies apart from the others.
    let folder = match wishes.file.is_some() {
        true => folder.join(&hearth_domain::hex(Sha256::digest(&object.key))[..12]),
        false => folder,
    };
    Ok(PlannedFile {
        target: folder.join(name.as_str()),
        name: name.last().to_owned(),
        size,
        sha256: None,
        is_projector: false,
        origin: Origin::Remote(Remote {
            http,
            url,
            auth: RemoteAuth::Token(None),
            server: "S3".to_owned(),
            thing: format!("object {object}"),
            is_checked: true,
        }),
    })
}

/// A file at an address that the caller names.
pub(super) async fn address_file(
    url: &Url,
    wishes: &Wishes,
    options: &DownloadOptions,
    clients: &Clients,
) -> Result<PlannedFile, DownloadError> {
    clients.check(url)?;
    let last = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    let last = last.replace("%20", " ");
    let name = match wishes.file_name()? {
        Some(name) => name,
        None => last.parse().map_err(|error| {
            DownloadError::invalid_source(format!(
                "the address' file {last:?} can't be used: {error}; name it by `file`"
            ))
        })?,
    };
    let server = url.host_str().unwrap_or("the server").to_owned();
    let size = size_of(&clients.callers()?, url, wishes.token.as_ref(), &server).await?;
    let host = server.trim_start_matches('[').trim_end_matches(']').replace(':', "_");
    // Files of one name at other paths are other files.
    let path = hearth_domain::hex(Sha256::digest(address_without_query(url)));
    let folder = options.models.join(host).join(&path[..12]);
    Ok(PlannedFile {
        target: folder.join(name.last()),
        name: name.last().to_owned(),
        size,
        sha256: None,
        is_projector: false,
        origin: Origin::Remote(Remote {
            http: clients.callers()?,
            url: url.clone(),
            auth: RemoteAuth::Token(wishes.token.clone()),
            server,
            thing: format!("file at {}", address_without_query(url)),
            is_checked: true,
        }),
    })
}

/// The size of the file at an address, if the server reports it. An address that is signed may be valid for `GET` only.
async fn size_of(
    http: &Client,
    url: &Url,
    token: Option<&Secret>,
    server: &str,
) -> Result<Option<u64>, DownloadError> {
    let mut request = http.get(url.clone()).header(RANGE, format!("bytes=0-{}", MAGIC.len() - 1));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose());
    }
    let mut response = request.send().await.map_err(|error| {
        DownloadError::unreachable(format!("{server} can't be reached: {}", root_cause(&error)))
    })?;
    let size = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
            range.and_then(|range| range.rsplit('/').next()?.parse().ok())
        }
        StatusCode::OK => response.content_length(),
        // An empty file has no first byte.
        StatusCode::RANGE_NOT_SATISFIABLE => return Ok(None),
        status => {
            let file = format!("file at {}", address_without_query(url));
            return Err(status_error(server, &file, status));
        }
    };
    // A page of an error, say, is refused before it is downloaded.
    let begin = response.chunk().await.ok().flatten().unwrap_or_default();
    if begin.len() >= MAGIC.len() && !begin.starts_with(MAGIC) {
        return Err(no_gguf());
    }
    Ok(size)
}
