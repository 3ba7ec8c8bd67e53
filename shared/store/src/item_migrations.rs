//! Migrations of items: each step rewrites the items of one shape to the next version, or back.
//!
//! A program reads earlier shapes, so no step has to run before it starts; a migration makes old items new ones, and a revert lets an
//! earlier program read the table. A step can be repeated, and stopped at any item: each is rewritten by itself, under the
//! condition that it still has the version from which it is rewritten.

use crate::{
    Store, StoreError, Table,
    database::{Condition, Item, Write},
    runs::shapes,
};

/// A step between two versions of a shape.
#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    is_for: fn(&Item) -> bool,
    from: u32,
    to: u32,
    up: fn(&Item) -> Result<Item, StoreError>,
    down: fn(&Item) -> Result<Item, StoreError>,
}

/// The steps, the oldest first.
const STEPS: [Step; 2] = [
    Step {
        name: "run records as one attribute",
        is_for: shapes::is_record,
        from: 1,
        to: 2,
        up: shapes::to_version_2,
        down: shapes::to_version_1,
    },
    Step {
        name: "run records as bytes",
        is_for: shapes::is_record,
        from: 2,
        to: 3,
        up: shapes::to_version_3,
        down: shapes::from_version_3,
    },
];

/// Options of a migration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MigrationOptions {
    /// Undo the steps, the newest first, so that an earlier version of the program can read the items.
    pub reverts: bool,
    /// Count the items, and change none.
    pub is_dry_run: bool,
    /// Stop after so many changed items; `None` for all.
    pub max_count: Option<u64>,
}

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// The step's name.
    pub name: &'static str,
    /// Versions before and after it.
    pub versions: (u32, u32),
    /// Items that were changed; in a dry run, those that have the version before it now.
    pub changed_count: u64,
    /// Items that have the version after it already, or that of a later step.
    pub done_count: u64,
    /// Items that can't be read, which stay as they are.
    pub unreadable_count: u64,
    /// True if the step stopped at the limit.
    pub is_stopped: bool,
}

impl Store {
    /// Rewrites the items of earlier shapes to the present ones, or back. It can be repeated, and stopped at any time.
    ///
    /// # Errors
    /// If the table can't be read or written.
    pub async fn migrate_items(&self, options: MigrationOptions) -> Result<Vec<StepReport>, StoreError> {
        migrate(&self.table, options).await
    }
}

/// Reads the whole table once for each step, and rewrites the items.
///
/// # Errors
/// If the table can't be read or written. The items before stay rewritten; the migration can be repeated.
async fn migrate(table: &Table, options: MigrationOptions) -> Result<Vec<StepReport>, StoreError> {
    let mut steps = STEPS.to_vec();
    if options.reverts {
        steps.reverse();
    }
    let (mut reports, mut left) = (Vec::new(), options.max_count);
    for step in &steps {
        let report = carry_out(table, step, options, left).await?;
        left = left.map(|left| left.saturating_sub(report.changed_count));
        let is_stopped = report.is_stopped;
        reports.push(report);
        if is_stopped {
            break;
        }
    }
    Ok(reports)
}

async fn carry_out(
    table: &Table,
    step: &Step,
    options: MigrationOptions,
    max_count: Option<u64>,
) -> Result<StepReport, StoreError> {
    let (from, to, rewrite) = match options.reverts {
        false => (step.from, step.to, step.up),
        true => (step.to, step.from, step.down),
    };
    let mut report = StepReport {
        name: step.name,
        versions: (from, to),
        changed_count: 0,
        done_count: 0,
        unreadable_count: 0,
        is_stopped: false,
    };
    let mut after = None;
    loop {
        let page = table.0.scan(after.as_ref()).await?;
        for item in page.items.iter().filter(|item| (step.is_for)(item)) {
            let is_done = if options.reverts { item.version <= to } else { item.version >= to };
            report.done_count += u64::from(is_done);
            if item.version != from {
                continue;
            }
            if max_count.is_some_and(|max_count| report.changed_count >= max_count) {
                report.is_stopped = true;
                return Ok(report);
            }
            let Ok(rewritten) = rewrite(item).inspect_err(|error| {
                tracing::warn!(pk = item.key.pk, %error, "an item can't be migrated; it stays as it is");
            }) else {
                report.unreadable_count += 1;
                continue;
            };
            report.changed_count += u64::from(options.is_dry_run || replace(table, rewritten, from).await?);
        }
        match page.next {
            Some(next) => after = Some(next.key),
            None => return Ok(report),
        }
    }
}

/// Replaces an item that still has the version `from`. Returns whether it had.
async fn replace(table: &Table, item: Item, from: u32) -> Result<bool, StoreError> {
    match table.write_in_order(vec![Write::Put(item, Condition::VersionEquals(from))]).await {
        // A process has written it meanwhile, or it has expired.
        Err(StoreError::Conflict) => Ok(false),
        result => result.map(|()| true),
    }
}
