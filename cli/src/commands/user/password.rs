//! Passwords and addresses, asked for at the terminal.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use anyhow::Context as _;
use hearth_domain::Secret;

/// Bytes that are read for a password at most.
const PASSWORD_MAX_BYTES: u64 = 4096;

/// Reads a new password: twice at a terminal, where it isn't shown, or one line of standard input. An argument would be visible
/// in the list of processes and in the shell's history.
///
/// # Errors
/// If nothing can be read, or the two differ.
pub(crate) fn new_password() -> anyhow::Result<Secret> {
    if !io::stdin().is_terminal() {
        let mut text = String::new();
        io::stdin()
            .take(PASSWORD_MAX_BYTES)
            .read_to_string(&mut text)
            .context("the password can't be read")?;
        let password = text.lines().next().unwrap_or_default();
        anyhow::ensure!(!password.is_empty(), "the password is empty; send it to standard input");
        return Ok(Secret::new(password));
    }
    let first = rpassword::prompt_password("Password, at least 12 characters (it is not shown): ")
        .context("the password can't be read")?;
    let second = rpassword::prompt_password("The same again: ").context("the password can't be read")?;
    anyhow::ensure!(first == second, "the two passwords differ");
    Ok(Secret::new(first))
}

/// Reads the next line of standard input, without its end. What follows is left for the next reader.
///
/// # Errors
/// If standard input can't be read.
pub(crate) fn read_secret_line() -> anyhow::Result<Secret> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(PASSWORD_MAX_BYTES)
        .read_line(&mut line)
        .context("standard input can't be read")?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// Asks for a line of text.
///
/// # Errors
/// If standard input is no terminal.
pub(crate) fn ask(question: &str) -> anyhow::Result<String> {
    anyhow::ensure!(
        io::stdin().is_terminal(),
        "name the address: standard input is no terminal to ask for it"
    );
    let mut err = io::stderr().lock();
    write!(err, "{question}")?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
