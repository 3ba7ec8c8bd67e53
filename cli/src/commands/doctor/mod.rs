//! `hearth doctor`: checks whether this machine is ready, with advice where it isn't; or, with `--url`, whether a gateway
//! answers as it should.
//!
//! Of this machine, `machine` checks processor and memory, `gpu` GPUs, `folders` the disk and the models, and `gateway` the
//! network; `enrolment` the gateway that this machine is enrolled at; `compute` computes. `remote` checks a gateway.

#[cfg(feature = "engine")]
mod compute;
#[cfg(feature = "engine")]
mod enrolment;
mod finding;
#[cfg(feature = "engine")]
mod folders;
#[cfg(feature = "engine")]
mod gateway;
#[cfg(feature = "engine")]
mod gpu;
#[cfg(feature = "engine")]
mod machine;
mod remote;
#[cfg(feature = "engine")]
mod system;
#[cfg(feature = "engine")]
mod this_machine;

use hearth_domain::Secret;

#[cfg(not(feature = "engine"))]
use super::without_engine::this_machine;
use crate::{
    client::connection::{self, Connection},
    context::{Context, ContextFlags},
    settings::SettingsFlags,
};
#[cfg(feature = "engine")]
use this_machine::Subject;

/// Check whether this machine is ready to run models, or with --url whether a gateway works
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth doctor
  hearth doctor --model Qwen3-0.6B-Q8_0 --port 9000    # the settings of a planned `hearth up`
  hearth doctor --json | jq .healthy
  hearth doctor --url https://api.example.org          # with a token in HEARTH_TOKEN
  hearth doctor --url https://api.example.org --model openai:gpt-5-mini

With --url, one answer of at most eight tokens is requested, which a provider may charge for; the check says which model \
answered and the cost. --no-answer leaves it out.")]
pub(crate) struct Doctor {
    #[command(flatten)]
    settings: SettingsFlags,
    /// Check the gateway at this address, rather than this machine
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// An API token. In HEARTH_TOKEN it stays out of the shell's history and the process list
    #[arg(long, value_name = "TOKEN", value_parser = connection::secret)]
    token: Option<Secret>,
    /// With --url: request no answer
    #[arg(long, requires = "url")]
    no_answer: bool,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn flags(&self) -> ContextFlags {
        let connection = Connection {
            url: self.url.clone(),
            token: self.token.clone(),
            json: self.json,
            ..Connection::default()
        };
        ContextFlags { settings: self.settings.clone(), connection }
    }

    /// Examines the machine or the gateway, and prints the findings.
    ///
    /// # Errors
    /// A finding is a problem, which was printed.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.url.is_none() {
            return this_machine::examine(context).await;
        }
        let model = self.settings.model.as_ref().map(|model| model.display().to_string());
        remote::examine(&context.connection, model.as_deref(), !self.no_answer).await
    }
}
