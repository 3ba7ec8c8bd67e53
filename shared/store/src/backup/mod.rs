//! Export and import of everything that users have stored: a file that any implementation of the store can read.
//!
//! The file is JSON Lines ([`entry`]): a header, the items with their objects before them, secrets if they are wanted, and an
//! end with the counts. Each line has a checksum. What can be computed or fetched again is left out: cached answers, lists of
//! models, the events of runs, which expire after an hour.
//!
//! An import reads the whole file before it writes anything. If it is interrupted while it writes, the same import continues.

mod entry;
mod export;
mod import;
#[cfg(test)]
mod tests;

use std::io;

use crate::{StoreError, database::Key};

pub use export::{Exported, export};
pub use import::{Imported, Options, import};

/// The version of the format. It is increased with each change that earlier versions of the program can't read.
const FORMAT: u32 = 1;
/// Items that aren't the users', by the beginning of their partition key.
const LEFT_OUT: [&str; 9] =
    ["CACHE#", "CACHED#", "DISCOVERY#", "IMPORT", "NODECODE#", "PROBE", "RELAY#", "SCHEMA", "SOCKET"];
/// The same in the partition of a run, by the beginning of the sort key: events, and the mark that cancels it.
const LEFT_OUT_OF_RUNS: [&str; 3] = ["E#", "CANCEL", "FOLLOWED"];

/// The same in the partition of a node: its state, and the runs and calls that it fetches.
const LEFT_OUT_OF_NODES: [&str; 4] = ["CALL#", "RUN#", "STATE", "STATUS"];

/// Numbers of exported things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Items of the table.
    pub items: u64,
    /// Objects of the bucket.
    pub objects: u64,
    /// Secrets.
    pub secrets: u64,
}

/// A reason why an export or an import failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read or written.
    #[error("the export can't be read or written: {0}")]
    File(#[from] io::Error),
    /// A line is damaged, or the file is no export.
    #[error("line {line} of the export {problem}; use another copy of the file, or export again")]
    Damaged {
        /// Its number, from 1.
        line: u64,
        /// The problem of the line.
        problem: &'static str,
    },
    /// The file has no end: the export was interrupted, or the file was cut.
    #[error("the export is cut off after line {0}; use another copy of the file, or export again")]
    Unfinished(u64),
    /// The file has another format.
    #[error("the file is no export of Hearth; if it is compressed, decompress it first")]
    NotAnExport,
    /// The file has no line.
    #[error("the export is empty; use another copy of the file, or export again")]
    Empty,
    /// A newer version wrote the file.
    #[error(
        "the export was written by a newer version of hearth (format {format}, schema {schema}); import it with that version"
    )]
    Newer {
        /// The file's format.
        format: u32,
        /// The version of its items.
        schema: u32,
    },
    /// A secret to export isn't there.
    #[error(
        "there is no secret {0}; the stack's outputs SecretArn and ProviderKeysArn have the names of its secrets"
    )]
    NoSecret(String),
    /// The store has items of users already.
    #[error(
        "the store isn't empty: it has {0}; import into a new one, or use --merge to add what is missing and keep what is \
         there"
    )]
    NotEmpty(String),
    /// An import of another file was interrupted.
    #[error("the import of another export ({0}) was interrupted: repeat that one first, or use --merge")]
    OtherImport(String),
}

/// Returns whether an item is exported.
fn is_exported(key: &Key) -> bool {
    let begins =
        |text: &str, beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    let left_out = if key.pk.starts_with("RUN#") {
        begins(&key.sk, &LEFT_OUT_OF_RUNS)
    } else if key.pk.starts_with("NODE#") {
        begins(&key.sk, &LEFT_OUT_OF_NODES)
    } else {
        begins(&key.pk, &LEFT_OUT)
    };
    !left_out
}
