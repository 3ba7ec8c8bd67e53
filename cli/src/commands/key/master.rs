//! The key that wraps all others: the master key of a data folder, or a key of KMS.

use std::path::PathBuf;

use serde_json::json;

use crate::{client::terminal, context::Context};

/// Replace the master key of a data folder, or wrap the keys of a table by another key of KMS
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a data folder: stop the gateway first. A rotation that was cut off is continued by the same command. Make a new copy of the file \
master-key afterwards: the old one doesn't open the secrets any more, except those of older backups.

In the cloud KMS replaces the bytes of a key each year by itself. With --table and --kms-key every stored secret is wrapped by another \
key, after the stack's parameter ExistingKmsKeyArn was changed to it. Repeat the command until it wraps none, and keep the old key \
enabled until then.")]
pub(crate) struct Rotate {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The stack's table, with the AWS environment's credentials
    #[arg(long, value_name = "NAME", conflicts_with = "data", requires = "kms_key")]
    table: Option<String>,
    /// The ARN of the key of KMS
    #[arg(long, value_name = "ARN", requires = "table")]
    kms_key: Option<String>,
}

/// Remove the secrets that a lost master key has locked
#[derive(Debug, clap::Args)]
#[command(after_help = "\
If a copy of the file master-key exists, put it back instead: then nothing is lost. Otherwise stop the gateway and run this command. \
It removes the secrets that can't be decrypted, and creates a new master key where there is none. The keys of providers must be \
entered again; users, tokens and everything else stay. The gateway's own secret is among what is lost: the seals of the audit log \
can't be verified any more, and `hearth audit verify` fails until they have expired (docs/audit.md).")]
pub(crate) struct Reset {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Remove them: without this flag nothing is changed
    #[arg(long)]
    yes: bool,
}

impl Rotate {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let json = context.connection.json;
        if let (Some(table), Some(key)) = (self.table, self.kms_key) {
            return in_table(table, key, json).await;
        }
        in_folder(&self.data.unwrap_or_else(|| context.settings.data.clone()), json).await
    }
}

impl Reset {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let data = self.data.unwrap_or_else(|| context.settings.data.clone());
        anyhow::ensure!(
            self.yes,
            "this removes every secret of {} that its master key doesn't decrypt; put a copy of master-key back if there is \
             one, or add --yes",
            data.display()
        );
        reset(&data, context.connection.json).await
    }
}

#[cfg(feature = "engine")]
fn check_folder(data: &std::path::Path) -> anyhow::Result<()> {
    let is_folder = hearth_store::home::is_data_folder(data);
    anyhow::ensure!(is_folder, "{} is no data folder of a gateway; name it with --data", data.display());
    Ok(())
}

#[cfg(feature = "engine")]
async fn in_folder(data: &std::path::Path, json: bool) -> anyhow::Result<()> {
    check_folder(data)?;
    let rotation = hearth_store::home::rotate_master_key(data).await?;
    if json {
        return terminal::print_json(&json!({"master_key": rotation.key_id, "wrapped": rotation.count}));
    }
    let (id, count) = (rotation.key_id, rotation.count);
    terminal::print_line(&format!("the master key is {id} now; {count} secrets are wrapped by it"))?;
    let copy = format!("cp {} BACKUP    # a new copy of the key", data.join("master-key").display());
    terminal::next_steps(json, &[&copy]);
    Ok(())
}

#[cfg(feature = "engine")]
async fn reset(data: &std::path::Path, json: bool) -> anyhow::Result<()> {
    check_folder(data)?;
    let reset = hearth_store::home::reset_secrets(data).await?;
    if json {
        return terminal::print_json(&json!({"master_key": reset.key_id, "removed": reset.count}));
    }
    let (id, count) = (reset.key_id, reset.count);
    terminal::print_line(&format!("the master key is {id}; {count} secrets were removed"))?;
    if count > 0 {
        terminal::note(
            "the seals of the audit log from before can't be verified any more, if the gateway's secret was lost too",
        );
        terminal::next_steps(json, &["hearth key set PROVIDER"]);
    }
    Ok(())
}

#[cfg(not(feature = "engine"))]
async fn in_folder(_: &std::path::Path, _: bool) -> anyhow::Result<()> {
    Err(crate::commands::without_engine::unavailable("a data folder"))
}

#[cfg(not(feature = "engine"))]
async fn reset(_: &std::path::Path, _: bool) -> anyhow::Result<()> {
    Err(crate::commands::without_engine::unavailable("a data folder"))
}

#[cfg(feature = "aws")]
async fn in_table(table: String, kms_key: String, json: bool) -> anyhow::Result<()> {
    use hearth_store::{Clients, Names, Rewrapped, Store};

    let clients = Clients::for_commands().await?;
    clients.check_table(&table).await?;
    let store = Store::new(clients, Names { table, kms_key: kms_key.clone(), ..Names::default() });
    let Rewrapped { count, locked } = store.rewrap_all().await?;
    if json {
        return terminal::print_json(&json!({"kms_key": kms_key, "wrapped": count, "locked": locked.len()}));
    }
    terminal::print_line(&format!("{count} secrets are wrapped by {kms_key}"))?;
    anyhow::ensure!(
        locked.is_empty(),
        "{} secrets can't be decrypted: enable the key of KMS that wraps them, and run the command again",
        locked.len()
    );
    Ok(())
}

#[cfg(not(feature = "aws"))]
async fn in_table(_: String, _: String, _: bool) -> anyhow::Result<()> {
    Err(crate::commands::offline::without_aws())
}
