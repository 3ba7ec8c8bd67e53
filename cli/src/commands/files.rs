//! `hearth files`: lists, uploads, reads and deletes files through a running gateway.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use hearth_domain::Timestamp;
use hearth_wire::openai::{
    files::{FileBody, FileDeleted, FileList},
    uploads::{UploadBody, UploadPut, UploadRequest},
};
use reqwest::{
    Response,
    header::{CONTENT_LENGTH, LOCATION},
};

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient, table::Table, terminal},
    context::Context,
};

/// Files of a page.
const PAGE_COUNT: &str = "200";

/// List, upload, read and delete files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth files upload notes.pdf
  hearth files list --purpose user_data
  hearth files get file-01JDB4T6ZW3Q8N5XKM2C7V9RHF --output notes.pdf
  hearth files delete file-01JDB4T6ZW3Q8N5XKM2C7V9RHF")]
pub(crate) struct Files {
    #[command(subcommand)]
    command: FilesCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for files.
#[derive(Debug, clap::Subcommand)]
enum FilesCommand {
    /// Show the files, the newest first
    List {
        /// Only files of this purpose
        #[arg(long, value_name = "PURPOSE")]
        purpose: Option<String>,
    },
    /// Upload a file, of any size that the gateway allows
    Upload {
        /// The file
        #[arg(value_name = "FILE")]
        path: PathBuf,
        /// `assistants`, `batch`, `fine-tune`, `vision`, `user_data` or `evals`
        #[arg(long, value_name = "PURPOSE", default_value = "user_data")]
        purpose: String,
        /// Its name; without it: the file's own
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Write the bytes of a file to standard output, or to a file
    Get {
        /// The file's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// The file to write, which must not exist
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete a file
    Delete {
        /// The file's id, as `list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Files {
    /// Runs the command.
    ///
    /// # Errors
    /// No gateway, an error of the gateway, or a file that can't be read or written.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let (gateway, json) = (GatewayClient::new(&context.connection)?, context.connection.json);
        match self.command {
            FilesCommand::List { purpose } => list(&gateway, purpose.as_deref(), json).await,
            FilesCommand::Upload { path, purpose, name } => {
                let file = upload(&gateway, &path, purpose, name).await?;
                if json {
                    return terminal::print_json(&file);
                }
                terminal::print_line(&file.id)?;
                terminal::next_steps(json, &[&format!("hearth files get {} --output FILE", file.id)]);
                Ok(())
            }
            FilesCommand::Get { id, output } => get(&gateway, &id, output.as_deref()).await,
            FilesCommand::Delete { id, yes } => {
                terminal::ensure_confirmed(&format!("Delete {id}?"), yes, "nothing was deleted")?;
                let deleted: FileDeleted = gateway.delete_json(&["v1", "files", &id]).await?;
                if json {
                    return terminal::print_json(&deleted);
                }
                Ok(terminal::print_line(&format!("{} is deleted", deleted.id))?)
            }
        }
    }
}

async fn list(gateway: &GatewayClient, purpose: Option<&str>, json: bool) -> anyhow::Result<()> {
    let mut files: Vec<FileBody> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", PAGE_COUNT)];
        query.extend(purpose.map(|purpose| ("purpose", purpose)));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: FileList = gateway.get(&["v1", "files"], &query).await?;
        files.extend(page.data);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if json {
        let ids = [files.first(), files.last()].map(|file| file.map(|file| file.id.clone()));
        let [first_id, last_id] = ids;
        let object = "list".to_owned();
        let list = FileList { object, data: files, first_id, last_id, has_more: false, next_cursor: None };
        return terminal::print_json(&list);
    }
    if files.is_empty() {
        terminal::note("there are no files; upload one with `hearth files upload FILE`");
        return Ok(());
    }
    let mut table = Table::new(["ID", "NAME", "BYTES", "TYPE", "PURPOSE", "UPLOADED"]);
    for file in files {
        let name = terminal::printable(&file.filename, terminal::stdout_is_terminal()).into_owned();
        let uploaded = Timestamp::from_unix(file.created_at).to_string();
        table.push([file.id, name, file.bytes.to_string(), file.media_type, file.purpose, uploaded]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

/// Uploads a file in three steps, so that its bytes go to the gateway's bucket, wherever that is.
pub(super) async fn upload(
    gateway: &GatewayClient,
    path: &Path,
    purpose: String,
    name: Option<String>,
) -> anyhow::Result<FileBody> {
    let shown = path.display();
    let file = tokio::fs::File::open(path).await.with_context(|| format!("{shown} can't be read"))?;
    let metadata = file.metadata().await.with_context(|| format!("{shown} can't be read"))?;
    if !metadata.is_file() {
        bail!("{shown} is no file");
    }
    let own_name = || path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let request = UploadRequest {
        filename: name.unwrap_or_else(own_name),
        purpose,
        bytes: metadata.len(),
        mime_type: None,
        expires_after: None,
    };
    let upload: UploadBody = gateway.post(&["v1", "files", "uploads"], &request).await?;
    let put = upload.put.context("the gateway's answer has no request for the bytes")?;
    let spinner = terminal::spinner(format!("uploading {shown}"));
    let sent = send(gateway, put, file, metadata.len()).await;
    terminal::clear(&spinner, sent.is_err());
    sent?;
    let nothing = serde_json::json!({});
    gateway.post(&["v1", "files", "uploads", &upload.id, "complete"], &nothing).await
}

/// Sends the bytes of an upload, by the request that the gateway has signed.
async fn send(
    gateway: &GatewayClient,
    put: UploadPut,
    file: tokio::fs::File,
    bytes: u64,
) -> anyhow::Result<()> {
    let mut request = gateway.http().put(&put.url).header(CONTENT_LENGTH, bytes);
    for (name, value) in &put.headers {
        if !name.eq_ignore_ascii_case("content-length") {
            request = request.header(name, value);
        }
    }
    let response = request.body(file).send().await.context("the bytes can't be sent")?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = response.text().await.unwrap_or_default();
    bail!("the bytes were refused with status {status}: {}", body.chars().take(500).collect::<String>())
}

/// Writes the bytes of a route to a new file, or to standard output.
///
/// # Errors
/// If they can't be read, or the file exists or can't be written.
pub(super) async fn download(
    gateway: &GatewayClient,
    segments: &[&str],
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let response = content(gateway, segments).await?;
    write(response.context("the gateway has refused the request")?, output).await
}

pub(super) async fn get(gateway: &GatewayClient, id: &str, output: Option<&Path>) -> anyhow::Result<()> {
    let response = content(gateway, &["v1", "files", id, "content"]).await?;
    let Some(response) = response else {
        // The same error as of the other commands.
        let _: FileBody = gateway.get(&["v1", "files", id], &[]).await?;
        bail!("the file can't be read");
    };
    write(response, output).await
}

/// Writes the bytes of an artifact to a new file.
///
/// # Errors
/// If it can't be read, or the file exists or can't be written.
pub(super) async fn save_artifact(gateway: &GatewayClient, id: &str, output: &Path) -> anyhow::Result<()> {
    download(gateway, &["v1", "artifacts", id], Some(output)).await.context("the artifact can't be read")
}

/// Writes the bytes of a response to a new file, or to standard output.
async fn write(response: Response, output: Option<&Path>) -> anyhow::Result<()> {
    let mut pieces = response.bytes_stream();
    let mut writer: Box<dyn std::io::Write + Send> = match output {
        Some(path) => {
            let file = std::fs::File::create_new(path);
            Box::new(file.with_context(|| format!("{} can't be created", path.display()))?)
        }
        None => Box::new(std::io::stdout()),
    };
    while let Some(piece) = pieces.next().await {
        writer.write_all(&piece.context("the file broke off")?)?;
    }
    Ok(writer.flush()?)
}

/// The response with the bytes: the gateway's own, or that of its bucket. None if there are none.
async fn content(gateway: &GatewayClient, segments: &[&str]) -> anyhow::Result<Option<Response>> {
    let response = gateway.response_of(segments, &[]).await?;
    let response = match response.headers().get(LOCATION) {
        Some(link) if response.status().is_redirection() => {
            // Without the token, which isn't the bucket's.
            gateway.http().get(link.to_str()?).send().await.context("the bucket can't be reached")?
        }
        _ => response,
    };
    Ok(Some(response).filter(|response| response.status().is_success()))
}
