//! Reads an export into a store.

use std::io::{self, BufRead};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::try_join_all;
use hearth_domain::{Secret, hex};
use sha2::{Digest as _, Sha256};

use super::{
    BackupError, Counts, FORMAT,
    entry::{Entries, Entry, Header, ItemEntry, ObjectEnd, ObjectHead, SecretEntry, SecretRole},
    is_exported,
};
use crate::{
    Store, StoreError, configuration,
    database::{Condition, Item, Key},
    import_mark::{self, ImportMark},
    schema,
};

/// Items that are written at a time: the home store commits them together.
const BATCH_MAX_ITEMS: usize = 64;
/// Bytes of an object, which is written whole. A larger one is never stored.
const OBJECT_MAX_BYTES: usize = 256 << 20;
/// Objects of one item, which are in memory together: a run has two.
const ITEM_MAX_OBJECTS: usize = 2;

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

/// Writes an export into `store`, whose table exists. `open` opens the file; it is read twice, first to check all of it.
///
/// # Errors
/// `NotEmpty` without `merge` if the store has items of users; `Damaged`, `Unfinished`, `Empty`, `NotAnExport` or `Newer` if
/// the file can't be imported. Nothing is written then. Else if the store can't be written: the same import continues later.
pub async fn import<R: BufRead + Send>(
    store: &Store,
    open: impl Fn() -> io::Result<R>,
    options: Options,
) -> Result<Imported, BackupError> {
    let (header, configuration) = verify(open()?)?;
    begin(store, &header, options).await?;
    let mut import = Import {
        store,
        options,
        keeps_configuration: has_other_configuration(store, configuration).await?,
        objects: Vec::new(),
        items: Vec::new(),
        result: Imported::default(),
    };
    let mut entries = Entries::new(open()?);
    loop {
        match entries.next()? {
            Entry::Header(_) => {}
            Entry::Object(head) => import.objects.push((head, Vec::new())),
            Entry::Piece(piece) => import.add_piece(&piece).ok_or_else(|| entries.damaged("has no bytes"))?,
            Entry::ObjectEnd(_) => {}
            Entry::Item(item) => {
                let item = item.into_item().ok_or_else(|| entries.damaged("has no bytes"))?;
                import.add_item(item).await?;
            }
            Entry::Secret(secret) => import.write_secret(secret).await?,
            Entry::End(_) => break,
        }
    }
    import.write_items().await?;
    store.table.delete(import_mark::key()).await?;
    store.flush().await;
    Ok(import.result)
}

/// Reads the file to its end, and checks its version, each line, each object and the counts. Returns the header and the
/// current configuration, if the file has one.
fn verify(input: impl BufRead) -> Result<(Header, Option<ItemEntry>), BackupError> {
    let mut entries = Entries::new(input);
    let Entry::Header(header) = entries.next()? else { return Err(entries.damaged("isn't the header")) };
    if header.format > FORMAT || header.schema > schema::VERSION {
        return Err(BackupError::Newer { format: header.format, schema: header.schema });
    }
    let mut counts = Counts::default();
    let mut object: Option<(Sha256, usize)> = None;
    let mut objects_of_item = 0;
    let mut configuration = None;
    loop {
        match (entries.next()?, &mut object) {
            (Entry::Object(_), None) if objects_of_item < ITEM_MAX_OBJECTS => {
                (object, objects_of_item) = (Some((Sha256::new(), 0)), objects_of_item + 1);
            }
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
            (Entry::Item(item), None) => {
                (counts.items, objects_of_item) = (counts.items + 1, 0);
                if item.is_at(&configuration::current_key()) {
                    configuration = Some(*item);
                }
            }
            (Entry::Secret(_), None) => counts.secrets += 1,
            (Entry::End(end), None) if end == counts => return Ok((header, configuration)),
            _ => return Err(entries.damaged("isn't in its place")),
        }
    }
}

/// Marks the store as being imported into, if that is allowed.
async fn begin(store: &Store, header: &Header, options: Options) -> Result<(), BackupError> {
    schema::check_version(&store.table).await?;
    match store.table.get::<ImportMark>(&import_mark::key()).await? {
        Some(mark) if mark.export == header.id => return Ok(()),
        Some(mark) if !options.merge => return Err(BackupError::OtherImport(mark.export)),
        _ => {}
    }
    if !options.merge
        && let Some(key) = first_item(store).await?
    {
        return Err(BackupError::NotEmpty(format!("{} {}", key.pk, key.sk)));
    }
    let mark = ImportMark { export: header.id.clone() };
    let mark = Item::new(import_mark::key(), import_mark::VERSION, &mark)?;
    Ok(store.table.put(mark, Condition::Always).await?)
}

/// Returns whether the store has a configuration, and another one than the file. Then its versions are kept all together:
/// those that it lacks belong to another history.
async fn has_other_configuration(store: &Store, of_file: Option<ItemEntry>) -> Result<bool, StoreError> {
    let Some(own) = store.table.get_item(&configuration::current_key()).await? else { return Ok(false) };
    Ok(of_file != Some(ItemEntry::new(&own)?))
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
    /// Set if the file's configuration is left out.
    keeps_configuration: bool,
    /// The objects of the next item.
    objects: Vec<(ObjectHead, Vec<u8>)>,
    /// Items to write next.
    items: Vec<Item>,
    result: Imported,
}

impl Import<'_> {
    fn add_piece(&mut self, piece: &str) -> Option<()> {
        let (_, bytes) = self.objects.last_mut()?;
        BASE64_STANDARD.decode_vec(piece, bytes).ok()
    }

    /// Writes the item's objects, and puts it among the items to write; neither if the store's own item is kept.
    async fn add_item(&mut self, item: Item) -> Result<(), StoreError> {
        let objects = std::mem::take(&mut self.objects);
        let is_kept = if item.key.pk == configuration::PARTITION {
            self.keeps_configuration
        } else {
            !objects.is_empty() && self.store.table.get_item(&item.key).await?.is_some()
        };
        if is_kept {
            self.result.kept += 1;
            return Ok(());
        }
        for (head, bytes) in objects {
            self.store.bucket.put(&head.key, &head.media_type, bytes).await?;
            self.result.written.objects += 1;
        }
        self.items.push(item);
        if self.items.len() == BATCH_MAX_ITEMS {
            self.write_items().await?;
        }
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
