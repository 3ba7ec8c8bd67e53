//! A download in this process, without a node: for the command line.

use tokio_util::sync::CancellationToken;

use super::{
    DownloadError, DownloadOptions, Meter, Plan, Wishes, clients::Clients, fetch::fetch, hub::parse_base,
    part::Part, plan::resolve, source::Source, work::check_space,
};

/// A download without a node.
#[derive(Debug, Clone)]
pub struct OnceRequest {
    /// The source.
    pub source: String,
    /// The caller's wishes beside it.
    pub wishes: Wishes,
}

/// The result of a download without a node.
#[derive(Debug, Clone)]
pub struct Downloaded {
    /// The files.
    pub plan: Plan,
    /// The canonical source.
    pub source: String,
    /// True if something was transferred; false if all files were there.
    pub has_transferred: bool,
}

/// Downloads the files of a source that aren't there. `on_plan` is called with the files and the bytes that are there before the
/// transfer, which `meter` then counts.
///
/// # Errors
/// As the states of a job that fails.
pub async fn download_once(
    request: &OnceRequest,
    options: &DownloadOptions,
    meter: &Meter,
    on_plan: impl FnOnce(&Plan),
) -> Result<Downloaded, DownloadError> {
    let hub = parse_base(&options.hub_url)?;
    let clients = Clients::new(&hub, options.settings.private_addresses);
    let source = Source::parse(&request.source, hub.host_str().unwrap_or_default())?;
    let plan = resolve(&source, &request.wishes, options, &clients).await?;
    let mut result = Downloaded { plan, source: source.to_string(), has_transferred: false };
    let (mut before, mut on_plan) = (0, Some(on_plan));
    for file in &result.plan.files {
        if file.is_complete().await {
            before += file.size.unwrap_or_default();
            continue;
        }
        result.has_transferred = true;
        let mut part = Part::open(&file.target, file.size, file.sha256.is_some())?;
        meter.set(before + part.done());
        let fetched = async {
            let folder = file.target.parent().unwrap_or(&file.target);
            if let (Some(size), Some(free)) = (file.size, crate::storage::free_bytes(folder)) {
                check_space(folder, size.saturating_sub(part.done()), free)?;
            }
            if let Some(on_plan) = on_plan.take() {
                on_plan(&result.plan);
            }
            fetch(file, &mut part, options, (meter, before), &CancellationToken::new()).await
        };
        if let Err(error) = fetched.await {
            part.discard_after(&error);
            return Err(error);
        }
        part.verify(file.sha256.as_deref())?;
        part.finish(&file.target)?;
        before += part.done();
    }
    Ok(result)
}
