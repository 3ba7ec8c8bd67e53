//! Output of the token commands.

use hearth_domain::Scope;
use hearth_wire::native::tokens::{CreatedToken, TokenBody, TokenList};
use serde_json::json;

use crate::client::{table::Table, terminal};

/// Prints a new token on a line of its own, with a note on standard error.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_created(created: &CreatedToken, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(created);
    }
    let TokenBody { id, name, scopes, .. } = &created.record;
    // On standard error, so that `TOKEN=$(hearth token create ci)` gets the token alone.
    terminal::note(&format!(
        "The token {name:?} ({id}) with {} is shown only this once; store it where secrets belong:",
        described_scopes(scopes)
    ));
    Ok(terminal::print_line(&created.token)?)
}

/// Prints a table of tokens.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_list(list: &TokenList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(list);
    }
    if list.tokens.is_empty() {
        terminal::note("there are no tokens; create one with `hearth token create NAME`");
        return Ok(());
    }
    Ok(terminal::print(&table(&list.tokens).fitted(terminal::columns()))?)
}

/// Prints the new name of a token.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_renamed(token: &TokenBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(token);
    }
    Ok(terminal::print_line(&format!("{} is named {:?}", token.id, token.name))?)
}

/// Prints that a token is revoked.
///
/// # Errors
/// The output can't be written.
pub(crate) fn print_revoked(id: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&json!({"id": id, "revoked": true}));
    }
    Ok(terminal::print_line(&format!("{id} is revoked"))?)
}

pub(super) fn table(tokens: &[TokenBody]) -> Table<8> {
    let mut table = Table::new(["ID", "NAME", "PREFIX", "SCOPES", "MODELS", "CREATED", "LAST USED", "STATE"]);
    for token in tokens {
        let state = state(token.revoked_at.as_deref(), token.expires_at.as_deref());
        let models = token.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(","));
        let last_used = last_use(token.last_used_at.as_deref());
        let scopes = if has_all(&token.scopes) { "all".to_owned() } else { listed(&token.scopes, ",") };
        let TokenBody { id, name, prefix, created_at, .. } = token.clone();
        table.push([id, name, prefix, scopes, models, date(&created_at), last_used, state]);
    }
    table
}

/// The scopes of a token, in a sentence.
fn described_scopes(scopes: &[Scope]) -> String {
    match scopes {
        _ if has_all(scopes) => "every scope".to_owned(),
        [scope] => format!("the scope {}", scope.as_str()),
        _ => format!("the scopes {}", listed(scopes, ", ")),
    }
}

fn has_all(scopes: &[Scope]) -> bool {
    Scope::ALL.iter().all(|scope| scopes.contains(scope))
}

fn listed(scopes: &[Scope], separator: &str) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(separator)
}

/// The state of a token or an access key, in a few words.
pub(crate) fn state(revoked_at: Option<&str>, expires_at: Option<&str>) -> String {
    match (revoked_at, expires_at) {
        (Some(at), _) => format!("revoked {}", date(at)),
        (None, Some(at)) => format!("until {}", date(at)),
        (None, None) => "active".to_owned(),
    }
}

/// The date of the last use, or `never`.
pub(crate) fn last_use(at: Option<&str>) -> String {
    at.map_or_else(|| "never".to_owned(), date)
}

/// The date of an ISO 8601 time, in UTC as in the API.
pub(crate) fn date(time: &str) -> String {
    time.get(..10).unwrap_or(time).to_owned()
}
