//! `hearth chat`: a conversation.

mod command;
pub(super) mod input;
mod session;
mod turn;

use hearth_domain::{Message, Role};
use hearth_providers::config::LOCAL;
use hearth_wire::native::route::RouteBody;

use super::sampling::Sampling;
use crate::{
    client::{
        connection::Connection,
        error::Interrupted,
        gateway_client::GatewayClient,
        interrupt,
        terminal::{self, Printer, Screen},
    },
    context::Context,
    settings::TINY_ID,
};
use command::Command;
use input::{Input, Line};

/// Talk with a model
///
/// At a terminal, Ctrl-C stops an answer and Ctrl-D ends the chat; /help lists the commands. From a pipe, each line
/// is a message, and the answers go to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hearth chat
  hearth chat --model Qwen3-0.6B-Q8_0 --system 'Answer in one sentence.'
  hearth chat --model openai:gpt-5-mini
  hearth chat --session new                      # the gateway stores it; its id continues it later
  hearth chat --session sess_01JZ0000000000000000000000
  echo 'What is the capital of France?' | hearth chat")]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    /// Hide the reasoning of models that think before they answer
    #[arg(long)]
    pub(crate) no_thinking: bool,
    /// Continue this session, or begin one with `new`: the gateway stores its messages
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// A conversation with a model.
struct Conversation {
    gateway: GatewayClient,
    sampling: Sampling,
    json: bool,
    screen: Screen,
    /// Print the model's reasoning, dimmed, before its answer.
    thinking: bool,
    messages: Vec<Message>,
    /// The session that has the messages, if one does.
    session: Option<String>,
}

impl Chat {
    /// Takes turns until the input ends. At a terminal an error is printed and the chat continues; from a pipe it ends the
    /// chat, since the turns that follow were written for an answer that is missing.
    ///
    /// # Errors
    /// No gateway at that address, no such model, the input can't be read, or a turn of a piped chat failed.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let gateway = GatewayClient::new(&context.connection)?;
        let (sampling, json) = (self.sampling, context.connection.json);
        let thinking = !self.no_thinking;
        let (screen, messages, session) = (Screen::Stdout, Vec::new(), None);
        let mut conversation = Conversation { gateway, sampling, json, screen, thinking, messages, session };
        conversation.reset();
        // Before the user types a message that no model can answer.
        let served_by = interrupt::or_interrupted(conversation.check_model()).await?;
        if let Some(name) = &self.session {
            let open = session::open(&conversation.gateway, name, &conversation.sampling);
            let id = interrupt::or_interrupted(open).await?;
            terminal::note(&format!("session {id}; `hearth chat --session {id}` continues it"));
            conversation.session = Some(id);
        }
        let mut input = Input::open()?;
        if input.is_terminal() {
            greet(&served_by);
        }
        loop {
            let (next, line) = input.line().await?;
            input = next;
            let text = match line {
                Line::End => return Ok(()),
                Line::Text(text) => text,
            };
            let outcome = match Command::parse(&text, input.is_terminal()) {
                Command::Nothing => continue,
                Command::Exit => return Ok(()),
                Command::Message => conversation.take_turn(text).await,
                command => conversation.run_command(&command).await,
            };
            if input.is_terminal() { print_error(outcome) } else { outcome? }
        }
    }
}

/// Prints the model's name, and how to get help.
fn greet(model: &str) {
    terminal::note(&format!("{model} answers. /help lists the commands, Ctrl-D ends the chat."));
    if model == TINY_ID {
        terminal::note(
            "It is one megabyte, to see that everything works. A model to work with: \
             hearth models pull Qwen/Qwen3-0.6B-GGUF",
        );
    }
}

/// Prints the error of a turn; the next one may succeed.
fn print_error(outcome: anyhow::Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.is::<Interrupted>() => {}
        Err(error) => terminal::note(&format!("error: {error:#}")),
    }
}

impl Conversation {
    /// Removes all messages but the instructions.
    fn reset(&mut self) {
        self.messages.clear();
        if let Some(system) = &self.sampling.system {
            self.messages.push(Message::new(Role::System, system.as_str()));
        }
    }

    /// The printer of one answer, in a session and without one.
    fn printer(&self) -> Printer {
        Printer::new(self.screen.clone(), !self.json, self.thinking)
    }

    /// Asks the gateway which model would answer. This also checks its address and the token.
    ///
    /// # Errors
    /// No gateway, no permission, or no model that could answer.
    async fn check_model(&self) -> anyhow::Result<String> {
        let query = [("model", self.sampling.model.as_str())];
        let route: RouteBody = self.gateway.get(&["v1", "route"], &query).await?;
        let Some(first) = route.candidates.first() else {
            anyhow::bail!("no model can answer: {}", reasons(&route));
        };
        Ok(match first.provider.as_str() {
            LOCAL => first.model.clone(),
            provider => format!("{provider}:{}", first.model),
        })
    }

    /// Runs a command.
    async fn run_command(&mut self, command: &Command<'_>) -> anyhow::Result<()> {
        match command {
            Command::Reset => match &self.session {
                Some(session) => interrupt::or_interrupted(self.reset_in(session)).await?,
                None => self.reset(),
            },
            Command::Regenerate => match &self.session {
                Some(session) => self.regenerate_in(session).await?,
                None => terminal::note("only a session has its earlier requests; /session new begins one"),
            },
            Command::ShowSession => terminal::note(&match &self.session {
                Some(session) => format!("session {session}; `hearth chat --session {session}` continues it"),
                None => {
                    "no session: the conversation ends with this chat; /session new begins one".to_owned()
                }
            }),
            Command::Session(name) => {
                let open = session::open(&self.gateway, name, &self.sampling);
                let id = interrupt::or_interrupted(open).await?;
                terminal::note(&format!(
                    "session {id} from here on; the messages before stay where they are"
                ));
                self.session = Some(id);
            }
            Command::Help => terminal::note(command::HELP),
            Command::ShowModel => terminal::note(&format!("{} answers", self.check_model().await?)),
            Command::Model(name) => {
                let before = std::mem::replace(&mut self.sampling.model, (*name).to_owned());
                match interrupt::or_interrupted(self.check_model()).await {
                    Ok(model) => terminal::note(&format!("{model} answers from here on")),
                    Err(error) => {
                        self.sampling.model = before;
                        return Err(error);
                    }
                }
            }
            Command::Unknown(name) => {
                terminal::note(&format!("there is no command {name}; /help lists them"))
            }
            Command::Nothing | Command::Exit | Command::Message => {}
        }
        Ok(())
    }

    /// Sends `text`, prints the answer, and adds both to the conversation. A failed turn is removed, since two messages of
    /// the user would follow each other otherwise.
    async fn take_turn(&mut self, text: String) -> anyhow::Result<()> {
        if let Some(session) = &self.session {
            return self.take_turn_in(session, text).await;
        }
        self.messages.push(Message::new(Role::User, text));
        match turn::take(self).await {
            Ok(answer) => {
                self.messages.push(Message::new(Role::Assistant, answer));
                Ok(())
            }
            Err(error) => {
                self.messages.pop();
                Err(error)
            }
        }
    }
}

fn reasons(route: &RouteBody) -> String {
    if route.passed_over.is_empty() {
        return "there is none; `hearth models pull OWNER/REPO` gets one".to_owned();
    }
    let reasons = route.passed_over.iter().map(|model| format!("{} ({})", model.model, model.why));
    reasons.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
