//! The stores that an export reads and an import writes: a data folder's, or those of a cloud stack.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use hearth_store::{Names, Store};

use crate::{
    context::{Context, ContextFlags},
    settings::SettingsFlags,
};

/// The names of the stores. Without any, the data folder of the settings.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Stores {
    /// The data folder of a gateway, which must be stopped
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The DynamoDB table of a cloud stack, with the AWS environment's credentials
    #[arg(long, value_name = "NAME", requires = "bucket", conflicts_with = "data")]
    pub(super) table: Option<String>,
    /// The stack's bucket
    #[arg(long, value_name = "NAME", requires = "table")]
    pub(super) bucket: Option<String>,
    /// The stack's secret that all keys are derived from; for --secrets
    #[arg(long, value_name = "ARN", requires = "table")]
    pub(super) secret: Option<String>,
    /// The stack's secret with the keys of providers; for --secrets
    #[arg(long, value_name = "ARN", requires = "table")]
    pub(super) provider_keys: Option<String>,
}

impl Stores {
    pub(super) fn flags(&self) -> ContextFlags {
        SettingsFlags::with_data(self.data.clone()).into()
    }

    /// Opens them; a data folder is created only if `create` is set. `secrets`: the secrets will be read or written.
    pub(super) async fn open(&self, context: &Context, secrets: bool, create: bool) -> Result<Store> {
        match self.names(secrets)? {
            Some(names) => in_cloud(names).await,
            None => in_folder(&context.settings.data, create),
        }
    }

    /// The names in the cloud; `None` for a data folder.
    pub(super) fn names(&self, secrets: bool) -> Result<Option<Names>> {
        let (Some(table), Some(bucket)) = (self.table.clone(), self.bucket.clone()) else { return Ok(None) };
        if secrets && (self.secret.is_none() || self.provider_keys.is_none()) {
            bail!(
                "with --table, --secrets needs --secret and --provider-keys, the stack's outputs SecretArn and ProviderKeysArn"
            );
        }
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        let (secret, provider_keys) = (name(&self.secret), name(&self.provider_keys));
        Ok(Some(Names { table, bucket, secret, provider_keys, kms_key: String::new() }))
    }
}

#[cfg(feature = "aws")]
async fn in_cloud(names: Names) -> Result<Store> {
    let clients = hearth_store::Clients::for_commands().await?;
    // The stack has it; a wrong name or region must not create one.
    clients.check_table(&names.table).await?;
    Ok(Store::new(clients, names))
}

#[cfg(not(feature = "aws"))]
async fn in_cloud(_: Names) -> Result<Store> {
    Err(crate::commands::offline::without_aws())
}

#[cfg(feature = "engine")]
fn in_folder(data: &Path, create: bool) -> Result<Store> {
    if !create && !hearth_store::home::is_data_folder(data) {
        bail!("{} is no data folder of a gateway; name it with --data", data.display());
    }
    Ok(hearth_store::home::open(data, hearth_settings::Durability::Fsync)?)
}

#[cfg(not(feature = "engine"))]
fn in_folder(_: &Path, _: bool) -> Result<Store> {
    Err(crate::commands::without_engine::unavailable("a data folder"))
}
