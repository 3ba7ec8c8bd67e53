//! The files of a download: resolved from its source, with their places in the model folder.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hearth_domain::{JobErrorCode, Secret};
use reqwest::{Client, RequestBuilder, Url};

use super::{
    address::{address_file, s3_file},
    clients::{Clients, is_private},
    error::DownloadError,
    hub::{Hub, HubFile, parse_base},
    name::FileName,
    options::DownloadOptions,
    part,
    pick::{Wanted, is_projector, pick, projector_of},
    registry::{ModelBlob, find_blobs, is_sha256},
    registry_auth::RegistryAuth,
    source::{RegistryName, Source},
};
use crate::model_files::id_in_folder;

/// Folder of files that were copied from elsewhere on the node.
const LOCAL_FOLDER: &str = "local";

/// The files of a download.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The files, in order.
    pub files: Vec<PlannedFile>,
}

/// A file to download.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    /// Its name, for messages.
    pub name: String,
    /// Its place.
    pub target: PathBuf,
    /// Its size, if the source reports it.
    pub size: Option<u64>,
    /// Its SHA-256 in hexadecimal, if the source lists it.
    pub sha256: Option<String>,
    /// True for a file that isn't a part of the model, with which it sees images.
    pub is_projector: bool,
    /// Its origin.
    pub(super) origin: Origin,
}

/// The origin of a file.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// An HTTP server.
    Remote(Remote),
    /// A file of the node.
    Path(PathBuf),
}

/// A file on an HTTP server.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) http: Client,
    pub(super) url: Url,
    pub(super) auth: RemoteAuth,
    /// The server, for messages.
    pub(super) server: String,
    /// The thing that it lacks if it answers 404, for messages.
    pub(super) thing: String,
    /// True if the file must begin as GGUF files do: no list has said that it is one.
    pub(super) is_checked: bool,
}

/// The credentials of requests for a file.
#[derive(Debug, Clone)]
pub(super) enum RemoteAuth {
    /// A bearer token, or none.
    Token(Option<Secret>),
    /// The credentials of a registry.
    Registry(Arc<RegistryAuth>),
}

impl RemoteAuth {
    /// Adds them to a request.
    pub(super) async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, DownloadError> {
        match self {
            Self::Token(Some(token)) => Ok(request.bearer_auth(token.expose())),
            Self::Token(None) => Ok(request),
            Self::Registry(auth) => auth.authorize(request).await,
        }
    }
}

impl Plan {
    /// The id that the model will have in the folder `models`. It waits for the disk.
    #[must_use]
    pub fn model(&self, models: &Path) -> String {
        self.files.first().map(|file| id_in_folder(models, &file.target)).unwrap_or_default()
    }

    /// Bytes of all files, if they are known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).try_fold(0_u64, |sum, size| Some(sum.saturating_add(size?)))
    }
}

impl PlannedFile {
    /// True if the file is in its place: only a complete one has its final name. A SHA-256 that the source lists is compared, since
    /// another file may have the same name and size.
    pub(super) async fn is_complete(&self) -> bool {
        let (target, size, sha256) = (self.target.clone(), self.size, self.sha256.clone());
        let check = move || {
            let has_size = target
                .metadata()
                .is_ok_and(|data| data.is_file() && size.is_none_or(|size| size == data.len()));
            has_size
                && sha256.is_none_or(|sha256| part::sha256_of(&target).is_ok_and(|actual| actual == sha256))
        };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }
}

/// The caller's wishes beside the source.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The file of the source.
    pub file: Option<String>,
    /// The SHA-256 that it must have.
    pub sha256: Option<String>,
    /// The caller's token.
    pub token: Option<Secret>,
}

impl Wishes {
    /// Checks the wishes without the source.
    ///
    /// # Errors
    /// The name leads out of the model folder, or the SHA-256 is none.
    pub fn check(&self) -> Result<(), DownloadError> {
        self.file_name()?;
        match &self.sha256 {
            Some(hex) if !is_sha256(hex) => {
                Err(DownloadError::invalid_source("sha256 must be 64 hexadecimal digits"))
            }
            _ => Ok(()),
        }
    }

    /// The name of the file, if the caller names one.
    pub(super) fn file_name(&self) -> Result<Option<FileName>, DownloadError> {
        let name = self.file.as_deref().map(str::parse::<FileName>).transpose();
        name.map_err(|error| DownloadError::invalid_source(format!("file: {error}")))
    }
}

/// Resolves a source to its files.
///
/// # Errors
/// The source can't be reached or has no such file, or its address isn't allowed.
pub(super) async fn resolve(
    source: &Source,
    wishes: &Wishes,
    options: &DownloadOptions,
    clients: &Clients,
) -> Result<Plan, DownloadError> {
    wishes.check()?;
    let files = match source {
        Source::Hub(_) => hub_files(source, wishes, options, clients).await?,
        Source::Registry(name) => registry_files(name, wishes, options, clients).await?,
        Source::S3(object) => vec![s3_file(object, wishes, options, clients).await?],
        Source::Address(url) => vec![address_file(url, wishes, options, clients).await?],
        Source::Path(path) => vec![local_file(path, wishes, options)?],
    };
    let mut plan = Plan { files };
    let mut model_files = plan.files.iter_mut().filter(|file| !file.is_projector);
    if let (Some(sha256), Some(file), None) = (&wishes.sha256, model_files.next(), model_files.next()) {
        let sha256 = sha256.to_ascii_lowercase();
        if let Some(listed) = file.sha256.as_ref().filter(|listed| **listed != sha256) {
            let message =
                format!("the source lists another file than was requested: sha256 {listed}, not {sha256}");
            return Err(DownloadError::new(JobErrorCode::ChecksumMismatch, message));
        }
        file.sha256 = Some(sha256);
    }
    Ok(plan)
}

async fn hub_files(
    source: &Source,
    wishes: &Wishes,
    options: &DownloadOptions,
    clients: &Clients,
) -> Result<Vec<PlannedFile>, DownloadError> {
    let Source::Hub(source) = source else { return Ok(Vec::new()) };
    let token = wishes.token.clone().or_else(|| options.hub_token.clone());
    let hub = Hub { http: clients.operators()?, base: parse_base(&options.hub_url)?, token };
    let named = wishes.file_name()?;
    let wanted = match (named.as_ref().or(source.file.as_ref()), &source.quantisation) {
        (Some(file), _) => Wanted::File(file),
        (None, Some(quantisation)) => Wanted::Quantisation(quantisation),
        (None, None) => Wanted::Usual,
    };
    let listed = hub.files(&source.repo).await?;
    let mut files = pick(&listed, wanted, &source.repo)?;
    if options.settings.projectors {
        files.extend(projector_of(&files, &listed));
    }
    let folder = source.repo.folder_in(&options.models);
    let first = files.first().map(|file| file.name.clone());
    let is_first = |file: &HubFile| first.as_ref() == Some(&file.name);
    let planned = files.into_iter().map(|file| {
        Ok(PlannedFile {
            name: file.name.last().to_owned(),
            target: folder.join(file.name.as_str()),
            size: Some(file.size),
            is_projector: is_projector(file.name.last()) && !is_first(&file),
            sha256: file.sha256,
            origin: Origin::Remote(Remote {
                http: hub.http.clone(),
                url: hub.file_url(&source.repo, &file.name)?,
                auth: RemoteAuth::Token(hub.token.clone()),
                server: "the hub".to_owned(),
                thing: format!("repository {}", source.repo.as_str()),
                is_checked: false,
            }),
        })
    });
    planned.collect()
}

async fn registry_files(
    name: &RegistryName,
    wishes: &Wishes,
    options: &DownloadOptions,
    clients: &Clients,
) -> Result<Vec<PlannedFile>, DownloadError> {
    let default = parse_base(&options.settings.registry)?;
    let token = wishes.token.clone();
    let (auth, base) = match &name.host {
        None => (RegistryAuth::new(clients.operators()?, &default, None, token), default.clone()),
        Some(host) => {
            // A registry of a private network has no TLS, if the settings allow its address. Every other one has.
            let plain = parse_base(&format!("http://{host}"))?;
            let base = match options.settings.private_addresses && is_private(&plain) {
                true => plain,
                false => parse_base(&format!("https://{host}"))?,
            };
            clients.check(&base)?;
            (RegistryAuth::new(clients.callers()?, &base, Some(clients.clone()), token), base)
        }
    };
    let blobs = find_blobs(&auth, &base, name).await?;
    let auth = Arc::new(auth);
    let (folder, file) = name.file(default.host_str().unwrap_or("registry"));
    let planned = |blob: ModelBlob, file: String, is_projector| PlannedFile {
        target: options.models.join(&folder).join(&file),
        name: file,
        size: Some(blob.size),
        sha256: Some(blob.sha256),
        is_projector,
        origin: Origin::Remote(Remote {
            http: auth.http.clone(),
            url: blob.url,
            auth: RemoteAuth::Registry(Arc::clone(&auth)),
            server: "the registry".to_owned(),
            thing: format!("model {}:{}", name.repository, name.tag),
            is_checked: true,
        }),
    };
    let projector = blobs.projector.filter(|_| options.settings.projectors);
    let projector = projector.map(|blob| planned(blob, format!("mmproj-{file}"), true));
    Ok([planned(blobs.model, file.clone(), false)].into_iter().chain(projector).collect())
}

/// A file of the node, in one of the folders that the settings allow.
fn local_file(path: &Path, wishes: &Wishes, options: &DownloadOptions) -> Result<PlannedFile, DownloadError> {
    let folders = &options.settings.local_folders;
    let allowed = "jobs copy files of the folders in the setting `downloads.local_folders` only";
    let refused = || DownloadError::invalid_source(format!("{} isn't copied: {allowed}", path.display()));
    // Nothing is said of files outside of the folders, whether they exist or not.
    let real = path.canonicalize().map_err(|_| refused())?;
    let is_allowed = |folder: &PathBuf| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
    if !folders.iter().any(is_allowed) {
        return Err(refused());
    }
    let data = real.metadata().map_err(|_| refused())?;
    let name = match wishes.file_name()? {
        Some(name) => name,
        None => {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.parse().map_err(|error| DownloadError::invalid_source(format!("{name:?}: {error}")))?
        }
    };
    if !data.is_file() {
        return Err(refused());
    }
    Ok(PlannedFile {
        target: options.models.join(LOCAL_FOLDER).join(name.last()),
        name: name.last().to_owned(),
        size: Some(data.len()),
        sha256: None,
        is_projector: false,
        origin: Origin::Path(real),
    })
}
