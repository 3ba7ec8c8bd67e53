//! Reads an export into a store.

use std::io::{self, BufRead};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::try_join_all;
use hearth_domain::{Secret, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    BackupError, Counts, FORMAT,
    entry::{Entries, Entry, Header, ObjectEnd, ObjectHead, SecretEntry, SecretRole},
    is_exported,
};
use crate::{
    Store, StoreError,
    database::{Condition, Item, Key, META},
    schema,
};

/// The shape of the item that marks an import which isn't finished.
const MARK_VERSION: u32 = 1;
/// Items that are written at a time: the home store commits them together.
const BATCH_MAX_ITEMS: usize = 64;
/// Bytes of an object, which is written whole. A larger one is never stored.
const OBJECT_MAX_BYTES: usize = 256 << 20;

/// Options of an import.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Import into a store that has items: those that are there already are kept.
    pub merge: bool,
    /// Store the secrets of the export in place of the store's own.
    pub secrets: bool,
}

/// The result of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Numbers of written things.
    pub written: Counts,
    /// Items that were there already, and were kept.
    pub kept: u64,
    /// Secrets of the export that weren't wanted.
    pub ignored_secrets: u64,
}

/// The item that marks an import which isn't finished.
#[derive(Serialize, Deserialize)]
struct Mark {
    export: String,
}

/// Writes an export into `store`. `open` opens the file; it is read twice, first to check all of it.
///
/// # Errors
/// `NotEmpty` without `merge` if the store has items of users; `Damaged`, `Unfinished` or `Newer` if the file can't be
/// imported. Nothing is written then. Else if the store can't be written: the same import continues later.
pub async fn import<R: BufRead + Send>(
    store: &Store,
    open: impl Fn() -> io::Result<R>,
    options: Options,
) -> Result<Imported, BackupError> {
    let header = verify(open()?)?;
    begin(store, &header, options).await?;
    let mut import = Import { store, options, object: None, items: Vec::new(), result: Imported::default() };
    let mut entries = Entries::new(open()?);
    loop {
        match entries.next()? {
            Entry::Header(_) => {}
            Entry::Object(head) => import.object = Some((head, Vec::new())),
            Entry::Piece(piece) => import.add_piece(&piece).ok_or_else(|| entries.damaged("has no bytes"))?,
            Entry::ObjectEnd(_) => import.write_object().await?,
            Entry::Item(item) => {
                let item = item.into_item().ok_or_else(|| entries.damaged("has no bytes"))?;
                import.items.push(item);
                if import.items.len() == BATCH_MAX_ITEMS {
                    import.write_items().await?;
                }
            }
            Entry::Secret(secret) => import.write_secret(secret).await?,
            Entry::End(_) => break,
        }
    }
    import.write_items().await?;
    store.table.delete(mark_key()).await?;
    store.flush().await;
    Ok(import.result)
}

/// Reads the file to its end, and checks its version, each line, each object and the counts.
fn verify(input: impl BufRead) -> Result<Header, BackupError> {
    let mut entries = Entries::new(input);
    let Entry::Header(header) = entries.next()? else { return Err(entries.damaged("isn't the header")) };
    if header.format > FORMAT || header.schema > schema::VERSION {
        return Err(BackupError::Newer { format: header.format, schema: header.schema });
    }
    let mut counts = Counts::default();
    let mut object: Option<(Sha256, usize)> = None;
    loop {
        match (entries.next()?, &mut object) {
            (Entry::Object(_), None) => object = Some((Sha256::new(), 0)),
            (Entry::Piece(piece), Some((sum, size))) => {
                let bytes = BASE64_STANDARD.decode(piece).map_err(|_| entries.damaged("has no bytes"))?;
                sum.update(&bytes);
                *size += bytes.len();
                if *size > OBJECT_MAX_BYTES {
                    return Err(entries.damaged("is of an object that is too large"));
                }
            }
            (Entry::ObjectEnd(ObjectEnd { size_bytes, sha256 }), Some((sum, size))) => {
                if hex(sum.clone().finalize()) != sha256 || *size as u64 != size_bytes {
                    return Err(entries.damaged("is the end of a damaged object"));
                }
                (object, counts.objects) = (None, counts.objects + 1);
            }
            (Entry::Item(_), None) => counts.items += 1,
            (Entry::Secret(_), None) => counts.secrets += 1,
            (Entry::End(end), None) if end == counts => return Ok(header),
            _ => return Err(entries.damaged("isn't in its place")),
        }
    }
}

/// Marks the store as being imported into, if that is allowed.
async fn begin(store: &Store, header: &Header, options: Options) -> Result<(), BackupError> {
    store.migrate().await?;
    match store.table.get::<Mark>(&mark_key()).await? {
        Some(mark) if mark.export == header.id => return Ok(()),
        Some(mark) if !options.merge => return Err(BackupError::OtherImport(mark.export)),
        _ => {}
    }
    if !options.merge
        && let Some(key) = first_item(store).await?
    {
        return Err(BackupError::NotEmpty(format!("{} {}", key.pk, key.sk)));
    }
    let mark = Item::new(mark_key(), MARK_VERSION, &Mark { export: header.id.clone() })?;
    Ok(store.table.put(mark, Condition::Always).await?)
}

/// The key of an item of a user, if there is any.
async fn first_item(store: &Store) -> Result<Option<Key>, StoreError> {
    let mut after = None;
    loop {
        let page = store.table.0.scan(after.as_ref()).await?;
        if let Some(item) = page.items.into_iter().find(|item| is_exported(&item.key)) {
            return Ok(Some(item.key));
        }
        let Some(cursor) = page.next else { return Ok(None) };
        after = Some(cursor.key);
    }
}

/// An import that writes.
struct Import<'a> {
    store: &'a Store,
    options: Options,
    /// The object that is being read.
    object: Option<(ObjectHead, Vec<u8>)>,
    /// Items to write next.
    items: Vec<Item>,
    result: Imported,
}

impl Import<'_> {
    fn add_piece(&mut self, piece: &str) -> Option<()> {
        let (_, bytes) = self.object.as_mut()?;
        BASE64_STANDARD.decode_vec(piece, bytes).ok()
    }

    async fn write_object(&mut self) -> Result<(), StoreError> {
        let Some((head, bytes)) = self.object.take() else { return Ok(()) };
        self.store.bucket.put(&head.key, &head.media_type, bytes).await?;
        self.result.written.objects += 1;
        Ok(())
    }

    async fn write_items(&mut self) -> Result<(), StoreError> {
        let writes = self.items.drain(..).map(|item| async {
            match self.store.table.put(item, Condition::Absent).await {
                Ok(()) => Ok(true),
                Err(StoreError::Conflict) => Ok(false),
                Err(error) => Err(error),
            }
        });
        let written: Vec<bool> = try_join_all(writes).await?;
        let count = written.iter().filter(|written| **written).count() as u64;
        self.result.written.items += count;
        self.result.kept += written.len() as u64 - count;
        Ok(())
    }

    async fn write_secret(&mut self, secret: SecretEntry) -> Result<(), StoreError> {
        if !self.options.secrets {
            self.result.ignored_secrets += 1;
            return Ok(());
        }
        let name = match secret.role {
            SecretRole::Gateway => &self.store.names.secret,
            SecretRole::ProviderKeys => &self.store.names.provider_keys,
        };
        self.store.secrets.put(name, &Secret::new(secret.text)).await?;
        self.result.written.secrets += 1;
        Ok(())
    }
}

fn mark_key() -> Key {
    Key::new("IMPORT", META)
}
