//! Output of the commands for users.

use hearth_wire::native::{
    administration::{AdminUserDetails, AdminUserList},
    users::{CreatedCode, UserBody},
};

use crate::client::{table::Table, terminal};

/// Prints a user's own profile.
///
/// # Errors
/// The output can't be written.
pub(crate) fn print_own(user: &UserBody, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(user);
    }
    let mut table = Table::new(["FIELD", "VALUE"]);
    table.push(["id".to_owned(), user.id.clone()]);
    table.push(["name".to_owned(), user.name.clone()]);
    table.push(["email".to_owned(), user.email.clone().unwrap_or_else(|| "none".to_owned())]);
    for member in &user.memberships {
        table.push([format!("{} of", member.role.as_str()), member.organisation.clone()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

/// Prints a user, as an operator sees them.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_user(details: &AdminUserDetails, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(details);
    }
    let user = &details.user;
    let mut table = Table::new(["FIELD", "VALUE"]);
    table.push(["id".to_owned(), user.id.clone()]);
    table.push(["name".to_owned(), user.name.clone()]);
    table.push(["email".to_owned(), user.email.clone().unwrap_or_else(|| "none".to_owned())]);
    table.push(["created".to_owned(), user.created_at.clone()]);
    if let Some(at) = &user.disabled_at {
        table.push(["disabled".to_owned(), at.clone()]);
    }
    for member in &details.organisations {
        table.push([format!("{} of", member.role.as_str()), member.organisation.clone()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

/// Prints a table of users.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_list(list: AdminUserList, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(&list);
    }
    let mut table = Table::new(["ID", "NAME", "EMAIL", "CREATED", "STATE"]);
    for user in list.users {
        let state = if user.disabled_at.is_some() { "disabled" } else { "enabled" };
        table.push([user.id, user.name, user.email.unwrap_or_default(), user.created_at, state.to_owned()]);
    }
    Ok(terminal::print(&table.fitted(terminal::columns()))?)
}

/// Prints a code by which a user sets another password.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_reset_code(code: &CreatedCode, json: bool) -> anyhow::Result<()> {
    print_code(code, "The user sets another password with it: `hearth user password --code CODE`.", json)
}

/// Prints a code by which the operator registers.
///
/// # Errors
/// The output can't be written.
pub(super) fn print_bootstrap_code(code: &CreatedCode, json: bool) -> anyhow::Result<()> {
    print_code(
        code,
        "The operator registers with it: `hearth invite accept --register`, or POST /v1/users/register.",
        json,
    )
}

fn print_code(code: &CreatedCode, usage: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return terminal::print_json(code);
    }
    terminal::note(&format!("This code is shown only this once, and ends at {}. {usage}", code.expires_at));
    Ok(terminal::print_line(&code.code)?)
}
