//! Writes an export.

use std::{collections::HashMap, io::Write};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::StreamExt as _;
use hearth_domain::{FileState, Timestamp, UserId, hex};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    BackupError, Counts, FORMAT,
    entry::{self, Entry, Header, ItemEntry, ObjectEnd, ObjectHead, SecretEntry, SecretRole},
    is_exported,
};
use crate::{
    Names, Store, StoreError,
    database::{Item, Key, META},
    files::{self, FileRecord},
    nodes::{IN_PROCESS_URL, NodeRecord},
    schema,
};

/// Bytes of an object in a line: a multiple of three, so that base64 has no padding amid it.
const PIECE_MAX_BYTES: usize = 192 << 10;

/// Number of missing objects that are named.
const MISSING_MAX_KEYS: usize = 3;

/// The result of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Counts of the file.
    pub written: Counts,
    /// Objects that items refer to, and that the bucket hasn't.
    pub missing: u64,
    /// The keys of the first of them.
    pub missing_keys: Vec<String>,
}

impl Exported {
    fn add_missing(&mut self, key: String) {
        self.missing += 1;
        if self.missing_keys.len() < MISSING_MAX_KEYS {
            self.missing_keys.push(key);
        }
    }
}

/// The fields of items that an export reads: keys and media type of an object, and a model's node.
#[derive(Deserialize)]
struct Fields {
    text_key: Option<String>,
    said_key: Option<String>,
    request_key: Option<String>,
    body_key: Option<String>,
    payload_key: Option<String>,
    id: Option<String>,
    media_type: Option<String>,
    node: Option<String>,
}

/// Writes everything that users have stored to `out`, page by page; with `secrets` the secrets too.
///
/// # Errors
/// If the store can't be read, has an unfinished import, or lacks a secret of a stack; or if `out` can't be written.
pub async fn export(
    store: &Store,
    secrets: bool,
    out: &mut (impl Write + Send),
) -> Result<Exported, BackupError> {
    store.check_import().await?;
    let (id, created_at) = (UserId::new().to_string(), Timestamp::now());
    entry::write(out, &Entry::Header(Header { format: FORMAT, schema: schema::VERSION, id, created_at }))?;
    let mut exported = Exported::default();
    let mut own_nodes = OwnNodes { store, by_key: HashMap::new() };
    let mut after = None;
    loop {
        let page = store.table.0.scan(after.as_ref()).await?;
        for item in &page.items {
            let is_expired = item.ttl.is_some_and(|ttl| ttl <= created_at.unix());
            if is_exported(&item.key) && !is_expired && !own_nodes.contain(item).await? {
                export_item(store, item, &mut exported, out).await?;
            }
        }
        after = page.next.map(|cursor| cursor.key);
        if after.is_none() {
            break;
        }
    }
    if secrets {
        export_secrets(store, &mut exported.written, out).await?;
    }
    entry::write(out, &Entry::End(exported.written))?;
    out.flush()?;
    Ok(exported)
}

/// The nodes in the process of a gateway, with their models: another gateway can't reach them, and this one registers its
/// node at each start.
struct OwnNodes<'a> {
    store: &'a Store,
    /// By a node's partition key, whether it is one.
    by_key: HashMap<String, bool>,
}

impl OwnNodes<'_> {
    /// Returns whether the item is such a node, or a model of one.
    async fn contain(&mut self, item: &Item) -> Result<bool, StoreError> {
        let key = if item.key.pk.starts_with("NODE#") {
            item.key.pk.clone()
        } else if (item.key.pk.starts_with("MODEL#") || item.key.pk.starts_with("ORGMODEL#"))
            && let Fields { node: Some(node), .. } = item.read()?
        {
            format!("NODE#{node}")
        } else {
            return Ok(false);
        };
        if let Some(is_own) = self.by_key.get(&key) {
            return Ok(*is_own);
        }
        let node = self.store.table.get::<NodeRecord>(&Key::new(&key, META)).await?;
        let is_own = node.is_some_and(|node| node.url.as_deref() == Some(IN_PROCESS_URL));
        self.by_key.insert(key, is_own);
        Ok(is_own)
    }
}

/// Writes the item's objects, and then the item.
async fn export_item(
    store: &Store,
    item: &Item,
    exported: &mut Exported,
    out: &mut (impl Write + Send),
) -> Result<(), BackupError> {
    for head in objects_of(item)? {
        let Some(mut pieces) = store.bucket.get(&head.key).await? else {
            // The bucket's rule may have deleted it.
            exported.add_missing(head.key);
            continue;
        };
        entry::write(out, &Entry::Object(head))?;
        let (mut sum, mut size_bytes, mut buffer) = (Sha256::new(), 0_u64, Vec::new());
        // The pieces of a bucket depend on the network; the lines of an export don't.
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            sum.update(&piece);
            size_bytes += piece.len() as u64;
            buffer.extend_from_slice(&piece);
            while buffer.len() >= PIECE_MAX_BYTES {
                let rest = buffer.split_off(PIECE_MAX_BYTES);
                entry::write(out, &Entry::Piece(BASE64_STANDARD.encode(&buffer)))?;
                buffer = rest;
            }
        }
        if !buffer.is_empty() {
            entry::write(out, &Entry::Piece(BASE64_STANDARD.encode(&buffer)))?;
        }
        let sha256 = hex(sum.finalize());
        entry::write(out, &Entry::ObjectEnd(ObjectEnd { size_bytes, sha256 }))?;
        exported.written.objects += 1;
    }
    entry::write(out, &Entry::Item(Box::new(ItemEntry::new(item)?)))?;
    exported.written.items += 1;
    Ok(())
}

/// The objects that an item refers to.
fn objects_of(item: &Item) -> Result<Vec<ObjectHead>, StoreError> {
    let (is_run, is_artifact) = (item.key.pk.starts_with("RUN#"), item.key.pk.starts_with("ART#"));
    if item.key.pk.starts_with("FILE#") {
        let record: FileRecord = item.read()?;
        let head = ObjectHead { key: files::object_key(record.id), media_type: record.media_type };
        return Ok(if record.state == FileState::Stored { vec![head] } else { Vec::new() });
    }
    if item.key.pk.starts_with("SESS#") || item.key.pk.starts_with("JOB#") {
        let fields = item.read::<Fields>()?;
        let key = fields.body_key.or(fields.payload_key);
        return Ok(key
            .into_iter()
            .map(|key| ObjectHead { key, media_type: "application/json".to_owned() })
            .collect());
    }
    if !is_run && !is_artifact {
        return Ok(Vec::new());
    }
    let fields: Fields = item.read()?;
    let head = |key: String, media_type: &str| ObjectHead { key, media_type: media_type.to_owned() };
    let mut objects = Vec::new();
    if is_run {
        objects.extend(fields.text_key.map(|key| head(key, "text/plain; charset=utf-8")));
        objects.extend(fields.said_key.map(|key| head(key, "application/json")));
        objects.extend(fields.request_key.map(|key| head(key, "application/json")));
    }
    if let Some((id, media_type)) = fields.id.zip(fields.media_type)
        && is_artifact
    {
        objects.push(head(format!("artifacts/{id}"), &media_type));
    }
    Ok(objects)
}

async fn export_secrets(
    store: &Store,
    counts: &mut Counts,
    out: &mut (impl Write + Send),
) -> Result<(), BackupError> {
    let names = &store.names;
    for (role, name) in
        [(SecretRole::Gateway, &names.secret), (SecretRole::ProviderKeys, &names.provider_keys)]
    {
        let secret = store.secrets.get(name).await?;
        let Some(secret) = secret else {
            // A data folder has a secret once something needs it; a stack has both from the beginning.
            if store.names == Names::at_home() {
                continue;
            }
            return Err(BackupError::NoSecret(name.clone()));
        };
        entry::write(out, &Entry::Secret(SecretEntry { role, text: secret.expose().to_owned() }))?;
        counts.secrets += 1;
    }
    Ok(())
}
