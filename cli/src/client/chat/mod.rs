//! `hearth chat`: a conversation.

mod input;
mod turn;

use hearth_domain::{Message, Role};

use super::{connection::Connection, error::Interrupted, http::Gateway, sampling::Sampling, terminal};
use input::{Input, Line};

/// Talk with a model. `/reset` forgets the conversation, `/exit` or Ctrl-D ends it, Ctrl-C stops an answer
#[derive(Debug, clap::Args)]
pub struct Chat {
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub connection: Connection,
}

/// A conversation and where it is held.
struct Conversation {
    gateway: Gateway,
    sampling: Sampling,
    json: bool,
    messages: Vec<Message>,
}

impl Chat {
    /// Takes turns until the input ends. At a terminal an error is told and the chat goes on; from a
    /// pipe it ends the chat, since the turns that follow were written for an answer that isn't there.
    ///
    /// # Errors
    /// No gateway at that address, the input can't be read, or a turn of a piped chat failed.
    pub async fn run(self) -> anyhow::Result<()> {
        let gateway = Gateway::new(&self.connection)?;
        let (sampling, json) = (self.sampling, self.connection.json);
        let mut conversation = Conversation { gateway, sampling, json, messages: Vec::new() };
        conversation.reset();
        let mut input = Input::open()?;
        if input.is_terminal() {
            terminal::note(
                "/reset forgets the conversation, /exit or Ctrl-D ends it, Ctrl-C stops an answer",
            );
        }
        loop {
            let (next, line) = input.line().await?;
            input = next;
            let text = match line {
                Line::End => return Ok(()),
                Line::Text(text) => text,
            };
            match text.trim() {
                "" => continue,
                "/exit" => return Ok(()),
                "/reset" => conversation.reset(),
                _ => {
                    let taken = conversation.take_turn(text).await;
                    if input.is_terminal() { go_on_after(taken) } else { taken? }
                }
            }
        }
    }
}

/// Tells what went wrong with a turn; the next one may go well.
fn go_on_after(turn: anyhow::Result<()>) {
    match turn {
        Ok(()) => {}
        Err(error) if error.is::<Interrupted>() => {}
        Err(error) => terminal::note(&format!("error: {error:#}")),
    }
}

impl Conversation {
    /// Forgets all but the instructions.
    fn reset(&mut self) {
        self.messages.clear();
        if let Some(system) = &self.sampling.system {
            self.messages.push(Message::new(Role::System, system.as_str()));
        }
    }

    /// Says `text`, and prints and remembers the answer. A turn that fails is forgotten: the model would
    /// otherwise be asked twice in a row.
    async fn take_turn(&mut self, text: String) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests;
