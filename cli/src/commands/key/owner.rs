//! The flags that name the owner of a key.

/// The owner of a key.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub(crate) struct Owner {
    /// Your own key
    #[arg(long)]
    pub(super) user: bool,
    /// The organisation's key
    #[arg(long)]
    organisation: bool,
    /// The key of this team of the organisation, by its name or id
    #[arg(long, value_name = "TEAM")]
    pub(super) team: Option<String>,
    /// The key of the gateway's operator, as without a flag
    #[arg(long)]
    operator: bool,
}

impl Owner {
    pub(crate) fn is_operator(&self) -> bool {
        self.operator || !(self.user || self.organisation || self.team.is_some())
    }
}
