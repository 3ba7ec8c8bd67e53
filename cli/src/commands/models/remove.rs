//! `hearth models remove`.

use std::path::Path;

use bytesize::ByteSize;
use hearth_wire::native::models::{ModelBody, ModelRemoved};

use super::local::LocalModels;
use crate::client::{connection::Connection, error::GatewayError, gateway_client::GatewayClient, terminal};

/// The model to remove.
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// The model's id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Remove it without a question
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl Remove {
    /// Removes the file through the gateway that uses the folder, or directly if none runs.
    pub(super) async fn run(self, connection: &Connection, local: &LocalModels) -> anyhow::Result<()> {
        // No gateway runs on a named folder that has no gateway's address in it.
        if local.is_named && connection.url.is_none() {
            return self.remove_from_folder(connection, local);
        }
        let gateway = GatewayClient::new(connection)?;
        let model: ModelBody = match gateway.get(&["v1", "models", &self.id], &[]).await {
            Ok(model) => model,
            Err(error) if error.is::<GatewayError>() || connection.url.is_some() => return Err(error),
            // No gateway runs.
            Err(_) => return self.remove_from_folder(connection, local),
        };
        // The gateway refuses a model without a file; there is nothing to confirm.
        let has_file = model.size_bytes.is_some();
        if has_file
            && !self.confirm(
                model.size_bytes.unwrap_or_default(),
                &path_on_this_machine(&gateway, &self.id, local),
            )?
        {
            return Ok(());
        }
        let removed: ModelRemoved = gateway.delete_json(&["v1", "models", &self.id]).await?;
        print(&removed, connection.json)
    }

    fn remove_from_folder(&self, connection: &Connection, local: &LocalModels) -> anyhow::Result<()> {
        let confirm = |bytes, path: &Path| self.confirm(bytes, &format!(", {}", path.display()));
        match local.remove(&self.id, confirm)? {
            Some(removed) => print(&removed, connection.json),
            None => Ok(()),
        }
    }

    /// Asks for confirmation, unless `--yes` is set.
    fn confirm(&self, bytes: u64, place: &str) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        anyhow::ensure!(
            terminal::stdin_is_terminal(),
            "standard input is no terminal; add --yes to remove {} without a question",
            self.id
        );
        let agreed = terminal::confirm(&format!("Remove {} ({}{place})?", self.id, ByteSize(bytes)))?;
        if !agreed {
            terminal::note("nothing was removed");
        }
        Ok(agreed)
    }
}

/// The path of the file, if the gateway is on this machine.
fn path_on_this_machine(gateway: &GatewayClient, id: &str, local: &LocalModels) -> String {
    let path = gateway.is_local().then(|| local.path_of(id)).flatten();
    path.map_or_else(String::new, |path| format!(", {}", path.display()))
}

fn print(removed: &ModelRemoved, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(removed);
    }
    let (id, freed) = (&removed.model, ByteSize(removed.freed_bytes));
    let line = match removed.link {
        true => {
            format!("removed the link {id}; the file that it led to is still there, and nothing became free")
        }
        false => format!("removed {id}; {freed} became free"),
    };
    Ok(terminal::print_line(&line)?)
}
