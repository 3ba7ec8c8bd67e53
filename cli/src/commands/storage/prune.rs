//! `hearth storage prune`.

use bytesize::ByteSize;
use hearth_node::storage::{
    self, Plan, Policy, RemoveError,
    policy::{self, Reason, Removal},
};
use serde_json::json;

use super::{Contents, InUse, ago};
use crate::{client::terminal, home::model_folder::ModelFolder};

/// The limits of the folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove the least recently used models until the folder has at most this size, such as 20GB
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<ByteSize>,
    /// Remove models that are unused for this many days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep_days: Option<u32>,
}

impl Prune {
    /// Removes models by the limits of the flags, or by those of the settings if no flag is set.
    pub(super) fn run(&self, folder: &ModelFolder, in_use: &InUse, as_json: bool) -> anyhow::Result<()> {
        let policy = self.policy(folder)?;
        if !self.dry_run {
            check_in_use(folder, in_use)?;
        }
        let contents = Contents::read(folder, in_use);
        let plan = policy::plan(&contents.survey.items(), contents.survey.other_bytes, &policy, contents.now);
        let failures =
            if self.dry_run { Vec::new() } else { storage::execute(&folder.path, &contents.survey, &plan) };
        if as_json {
            let failed: Vec<_> = failures.iter().map(ToString::to_string).collect();
            terminal::print_json(&json!({
                "dry_run": self.dry_run, "policy": policy, "plan": plan, "failures": failed,
                "in_use_unknown": in_use.unknown(),
            }))?;
        } else {
            self.print(&plan, &failures, &contents, in_use)?;
        }
        check_failures(&failures)
    }

    fn policy(&self, folder: &ModelFolder) -> anyhow::Result<Policy> {
        let flags = Policy { max_bytes: self.max_bytes.map(|size| size.as_u64()), keep_days: self.keep_days };
        let policy = if flags.is_unbounded() { folder.policy } else { flags };
        anyhow::ensure!(
            !policy.is_unbounded(),
            "no limit is set: add --max-bytes or --keep-days, \
             or set storage.max_bytes or storage.keep_days"
        );
        Ok(policy)
    }

    fn print(
        &self,
        plan: &Plan,
        failures: &[RemoveError],
        contents: &Contents,
        in_use: &InUse,
    ) -> anyhow::Result<()> {
        if let Some(why) = in_use.unknown() {
            terminal::note(&format!("Which models are in memory is unknown: {why}"));
        }
        for removal in &plan.removals {
            let Removal { id, bytes, .. } = removal;
            let outcome = match failures.iter().any(|failure| failure.id == *id) {
                true => "could not remove all of",
                false if self.dry_run => "would remove",
                false => "removed",
            };
            let line = format!("{outcome} {id} ({}): {}", ByteSize(*bytes), reason(removal, contents));
            terminal::print_line(&line)?;
        }
        let (before, after) = (ByteSize(plan.bytes_before), ByteSize(plan.bytes_after));
        let summary = match plan.removals.len() {
            0 => format!("nothing to remove; the models use {before}"),
            _ if !failures.is_empty() => format!("the models used {before}"),
            _ if self.dry_run => format!("the models use {before}, and would use {after}"),
            _ => format!("the models used {before}, and use {after}"),
        };
        terminal::print_line(&summary)?;
        if plan.over_limit > 0 {
            let over = ByteSize(plan.over_limit);
            terminal::note(&format!(
                "That is {over} over the limit; the models that are left are never removed."
            ));
        }
        Ok(())
    }
}

fn reason(removal: &Removal, contents: &Contents) -> String {
    let used = ago(removal.last_used, contents.now);
    match removal.reason {
        Reason::Unused => format!("last used {used}"),
        Reason::OverLimit => format!("over the limit, and last used {used}"),
    }
}

/// Refuses to remove models while a gateway runs on the folder and doesn't answer: it may have any model in memory.
fn check_in_use(folder: &ModelFolder, in_use: &InUse) -> anyhow::Result<()> {
    in_use.unknown().map_or(Ok(()), |why| folder.refuse_while_served(why))
}

fn check_failures(failures: &[RemoveError]) -> anyhow::Result<()> {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    anyhow::ensure!(lines.is_empty(), "{}", lines.join("\n"));
    Ok(())
}
