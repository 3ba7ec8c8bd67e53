//! Commands in a chat, such as `/help`.

/// The text that `/help` prints.
pub(super) const HELP: &str = "\
/model ID   go on with another model, the conversation so far included
/model      show which model answers
/reset      forget the conversation
/session ID go on in another session; /session new begins one
/session    show the session
/again      generate the latest answer of the session again
/exit       end the chat; so does Ctrl-D
Ctrl-C      stop the answer";

/// A line of a chat.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// An empty line.
    Nothing,
    /// A message for the model.
    Message,
    Exit,
    Reset,
    Regenerate,
    ShowSession,
    Session(&'a str),
    Help,
    ShowModel,
    Model(&'a str),
    /// One word that looks like an unknown command.
    Unknown(&'a str),
}

impl<'a> Command<'a> {
    /// Parses a line. At a terminal a mistyped command is not sent to the model; a line of a pipe may be any text.
    pub(super) fn parse(line: &'a str, at_terminal: bool) -> Self {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (first, rest.trim()) {
            ("", _) => Self::Nothing,
            ("/exit" | "/quit" | "/bye", "") => Self::Exit,
            ("/reset" | "/clear", "") => Self::Reset,
            ("/help" | "/?", "") => Self::Help,
            ("/again" | "/regenerate", "") => Self::Regenerate,
            ("/session", "") => Self::ShowSession,
            ("/session", name) if !name.contains(char::is_whitespace) => Self::Session(name),
            ("/model", "") => Self::ShowModel,
            ("/model", name) if !name.contains(char::is_whitespace) => Self::Model(name),
            (word, "") if at_terminal && is_word(word) => Self::Unknown(word),
            _ => Self::Message,
        }
    }
}

fn is_word(text: &str) -> bool {
    text.strip_prefix('/')
        .is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_as_commands_or_messages() {
        for (line, command) in [
            ("  ", Command::Nothing),
            ("hello", Command::Message),
            (" /exit ", Command::Exit),
            ("/bye", Command::Exit),
            ("/clear", Command::Reset),
            ("/help", Command::Help),
            ("/model", Command::ShowModel),
            ("/model openai:gpt-5", Command::Model("openai:gpt-5")),
            ("/model of a car, please", Command::Message),
            ("/session", Command::ShowSession),
            ("/session new", Command::Session("new")),
            ("/session of the court, please", Command::Message),
            ("/again", Command::Regenerate),
            ("/hlep", Command::Unknown("/hlep")),
            ("/etc/passwd", Command::Message),
            ("/etc is a folder?", Command::Message),
        ] {
            assert_eq!(Command::parse(line, true), command, "{line:?}");
        }
        assert_eq!(Command::parse("/hlep", false), Command::Message);
    }
}
