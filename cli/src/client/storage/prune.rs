//! `hearth storage prune`.

use bytesize::ByteSize;
use hearth_node::storage::{
    self, Plan, Policy, RemoveError,
    policy::{self, Reason, Removal},
};
use serde_json::json;

use super::{Contents, InUse, ModelFolder, ago};
use crate::client::terminal;

/// What is to go.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// Show what would go, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove the least recently used models until the folder takes no more, such as 20GB
    #[arg(long, value_name = "SIZE")]
    pub max_bytes: Option<ByteSize>,
    /// Remove models that weren't used for so many days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: Option<u32>,
}

impl Prune {
    /// Removes what the policy says: that of the flags, or the settings' where there are none.
    pub(super) fn run(&self, folder: &ModelFolder, in_use: &InUse, as_json: bool) -> anyhow::Result<()> {
        let policy = self.policy(folder)?;
        if !self.dry_run {
            refuse_blindly(folder, in_use)?;
        }
        let contents = Contents::look(folder, in_use);
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
            self.tell(&plan, &failures, &contents, in_use)?;
        }
        told(&failures)
    }

    fn policy(&self, folder: &ModelFolder) -> anyhow::Result<Policy> {
        let flags = Policy { max_bytes: self.max_bytes.map(|size| size.as_u64()), keep_days: self.keep_days };
        let policy = if flags.is_unbounded() { folder.policy } else { flags };
        anyhow::ensure!(
            !policy.is_unbounded(),
            "nothing says what is to go: give --max-bytes or --keep-days, \
             or set storage.max_bytes or storage.keep_days"
        );
        Ok(policy)
    }

    fn tell(
        &self,
        plan: &Plan,
        failures: &[RemoveError],
        contents: &Contents,
        in_use: &InUse,
    ) -> anyhow::Result<()> {
        if let Some(why) = in_use.unknown() {
            terminal::note(&format!("Which models are in memory isn't known: {why}"));
        }
        for removal in &plan.removals {
            let Removal { id, bytes, .. } = removal;
            let goes = match failures.iter().any(|failure| failure.id == *id) {
                true => "could not remove all of",
                false if self.dry_run => "would remove",
                false => "removed",
            };
            let line = format!("{goes} {id} ({}): {}", ByteSize(*bytes), reason(removal, contents));
            terminal::print_line(&line)?;
        }
        let (before, after) = (ByteSize(plan.bytes_before), ByteSize(plan.bytes_after));
        let summary = match plan.removals.len() {
            0 => format!("nothing has to go; the models take {before}"),
            _ if !failures.is_empty() => format!("the models took {before}"),
            _ if self.dry_run => format!("the models take {before}, and would take {after}"),
            _ => format!("the models took {before}, and take {after}"),
        };
        terminal::print_line(&summary)?;
        if plan.over_limit > 0 {
            let over = ByteSize(plan.over_limit);
            terminal::note(&format!("That is {over} over the limit, and what is left stays in any case."));
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

/// A gateway that runs on this very folder has to be asked: it may have any model in memory.
fn refuse_blindly(folder: &ModelFolder, in_use: &InUse) -> anyhow::Result<()> {
    in_use.unknown().map_or(Ok(()), |why| folder.refuse_while_served(why))
}

fn told(failures: &[RemoveError]) -> anyhow::Result<()> {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    anyhow::ensure!(lines.is_empty(), "{}", lines.join("\n"));
    Ok(())
}
