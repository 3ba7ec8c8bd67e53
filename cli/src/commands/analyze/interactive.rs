//! Analyses of the lines that a user types.

use serde::de::IgnoredAny;

use super::{AnalysisFlags, OutputFormat, analyze, schema};
use crate::{
    client::{
        error::{GatewayError, Interrupted},
        gateway_client::GatewayClient,
        terminal,
    },
    commands::chat::input::{Input, Line},
};

const HELP: &str = "\
/schema FILE|ID   use another schema; without a name: the default one
/template ID      use a template; without a name: none
/language NAME    write the data in another language; without a name: the model's choice
/model ID         ask another model
/format FORMAT    json, yaml, xml or table
/exit             end; so does Ctrl-D";

/// A line of the user's.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Nothing,
    Text(&'a str),
    Help,
    Exit,
    /// A flag, with its new value; none for its default.
    Set(Flag, Option<&'a str>),
    Unknown(&'a str),
}

/// A flag that can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    Schema,
    Template,
    Language,
    Model,
    Format,
}

impl<'a> Command<'a> {
    fn parse(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Nothing;
        }
        if !line.starts_with('/') {
            return Self::Text(line);
        }
        let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = Some(value.trim()).filter(|value| !value.is_empty());
        match name {
            "/help" => Self::Help,
            "/exit" | "/quit" => Self::Exit,
            "/schema" => Self::Set(Flag::Schema, value),
            "/template" => Self::Set(Flag::Template, value),
            "/language" => Self::Set(Flag::Language, value),
            "/model" => Self::Set(Flag::Model, value),
            "/format" => Self::Set(Flag::Format, value),
            _ => Self::Unknown(name),
        }
    }
}

/// Analyzes each line until the input ends. An error is printed, and the next line may succeed.
pub(super) async fn run(gateway: &GatewayClient, mut flags: AnalysisFlags, json: bool) -> anyhow::Result<()> {
    terminal::note("Each line is a text to analyze. /help lists the commands, Ctrl-D ends.");
    let mut input = Input::open()?;
    loop {
        let (next, line) = input.line().await?;
        input = next;
        let Line::Text(line) = line else { return Ok(()) };
        match Command::parse(&line) {
            Command::Nothing => {}
            Command::Exit => return Ok(()),
            Command::Help => terminal::note(HELP),
            Command::Unknown(name) => {
                terminal::note(&format!("there is no command {name}; /help lists them"))
            }
            Command::Set(flag, value) => {
                if let Err(error) = change(gateway, &mut flags, flag, value).await {
                    terminal::note(&format!("error: {error:#}"));
                }
            }
            Command::Text(text) => {
                let outcome = match flags.request(text.to_owned()) {
                    Ok(request) => analyze(gateway, request, flags.format, json).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = outcome
                    && !error.is::<Interrupted>()
                {
                    terminal::note(&format!("error: {error:#}"));
                }
            }
        }
    }
}

/// Changes a flag. A schema or a template that isn't there is refused at once, and the flag stays as it is.
async fn change(
    gateway: &GatewayClient,
    flags: &mut AnalysisFlags,
    flag: Flag,
    value: Option<&str>,
) -> anyhow::Result<()> {
    match (flag, value) {
        (Flag::Schema, Some(name)) => {
            if let (_, Some(reference)) = schema(name)? {
                ensure_stored(gateway, "schemas", &reference).await?;
            }
        }
        (Flag::Template, Some(name)) => ensure_stored(gateway, "templates", name).await?,
        _ => {}
    }
    set(flags, flag, value).map_err(anyhow::Error::msg)
}

/// Checks that a stored schema or template is there. A caller who may use it may have no permission to read it.
async fn ensure_stored(gateway: &GatewayClient, kind: &str, reference: &str) -> anyhow::Result<()> {
    let is_forbidden = |error: &anyhow::Error| {
        error.downcast_ref::<GatewayError>().is_some_and(|e| e.body.code == "forbidden")
    };
    match gateway.get::<IgnoredAny>(&["v1", kind, reference], &[]).await {
        Err(error) if !is_forbidden(&error) => Err(error),
        _ => Ok(()),
    }
}

fn set(flags: &mut AnalysisFlags, flag: Flag, value: Option<&str>) -> Result<(), String> {
    let text = value.map(str::to_owned);
    match flag {
        Flag::Schema => flags.schema = text,
        Flag::Template => flags.template = text,
        Flag::Language => flags.language = text,
        Flag::Model => flags.model = text,
        Flag::Format => {
            flags.format = <OutputFormat as clap::ValueEnum>::from_str(value.unwrap_or("json"), true)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_begin_with_a_slash() {
        for (line, command) in [
            ("  ", Command::Nothing),
            (" hello /x ", Command::Text("hello /x")),
            ("/help", Command::Help),
            ("/schema  invoice@1 ", Command::Set(Flag::Schema, Some("invoice@1"))),
            ("/schema", Command::Set(Flag::Schema, None)),
            ("/what", Command::Unknown("/what")),
        ] {
            assert_eq!(Command::parse(line), command);
        }
    }
}
