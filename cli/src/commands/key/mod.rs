//! `hearth key`: the keys of providers, and the master key that encrypts them.
//!
//! - `input`: reads a key or another credential.
//! - `operator`: the keys of the gateway's operator.
//! - `stored`: the keys of users, teams and organisations.
//! - `master`: the master key of a data folder, and the key of KMS of a stack.

mod input;
mod master;
mod operator;
mod owner;
mod stored;

use crate::{
    client::{connection::Connection, gateway_client::GatewayClient},
    context::Context,
};
use owner::Owner;

/// Set, list, check and remove the keys of providers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth key set openai                  # the operator's; asks for the key, which is not shown
  hearth key set openai --user           # your own: your requests use it before any other
  hearth key set groq --organisation < key.txt
  hearth key set groq --team platform < key.txt
  hearth key set mine --user --base-url https://llm.example.org/v1
  hearth key set google --user --kind service_account < key-file.json
  hearth key list
  hearth key list --user
  hearth key verify cred_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth key remove openai
  hearth key remove cred_01J9ZX5V2QH8N4T6W0C3M7K1RB
  hearth key rotate-master               # while the gateway is stopped

Without --user, --organisation and --team a key is the operator's, for the whole gateway. A request uses the user's key, else a \
team's, else the organisation's, else the operator's. A key is stored encrypted, and never shown again.")]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Commands for keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Store a provider's key, read from standard input
    Set(Box<input::Set>),
    /// Show the providers, and whose key each uses; with --user or --organisation the stored keys
    List {
        #[command(flatten)]
        owner: Owner,
    },
    /// Check a stored key at its provider
    Verify {
        /// The key's id, as `list --user` or `list --organisation` shows it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Remove a key
    Remove {
        /// The provider, for the operator's key; the key's id for another one
        #[arg(value_name = "PROVIDER|ID")]
        key: String,
    },
    /// Replace the master key of a data folder, or wrap the keys of a table by another key of KMS
    RotateMaster(master::Rotate),
    /// Remove the secrets that a lost master key has locked
    Reset(master::Reset),
}

impl Key {
    /// Runs the command.
    ///
    /// # Errors
    /// No key, no gateway, or an error of the gateway or the store.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let json = context.connection.json;
        match self.command {
            KeyCommand::RotateMaster(rotate) => return rotate.run(context).await,
            KeyCommand::Reset(reset) => return reset.run(context).await,
            _ => {}
        }
        let gateway = GatewayClient::new(&context.connection)?;
        match self.command {
            KeyCommand::Set(set) if set.owner.is_operator() => operator::set(&gateway, &set, json).await,
            KeyCommand::Set(set) => stored::set(&gateway, &set, json).await,
            KeyCommand::List { owner } if owner.is_operator() => operator::list(&gateway, json).await,
            KeyCommand::List { owner } => stored::list(&gateway, &owner, json).await,
            KeyCommand::Verify { id } => stored::verify(&gateway, &id, json).await,
            KeyCommand::Remove { key } if stored::is_id(&key) => stored::remove(&gateway, &key, json).await,
            KeyCommand::Remove { key } => operator::remove(&gateway, &key, json).await,
            KeyCommand::RotateMaster(_) | KeyCommand::Reset(_) => Ok(()),
        }
    }
}
