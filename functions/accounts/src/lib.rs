//! `/v1/users`: API tokens.

#![warn(missing_docs)]

mod routes;

use axum::Router;
use hearth_domain::Action;
use hearth_http::{
    AppState, Routes, finish, routes,
    serve::{audited, guarded, open},
};

use routes::{
    access_keys, admin, audit, consents, erasures, invites, limits, logins, member_tokens, members,
    organisations, provider_keys, sign_in, signing_keys, teams, tokens, usage, users, webhooks,
};

/// Returns the routes, with their documentation.
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(tokens::create, tokens::list))
        .routes(routes!(tokens::rename, tokens::revoke))
        .routes(routes!(tokens::rotate))
        .routes(routes!(access_keys::create, access_keys::list))
        .routes(routes!(access_keys::revoke));
    guarded(routes, state, Action::ManageTokens)
        .merge(audit_routes(state))
        .merge(organisation_routes(state))
        .merge(admin_routes(state))
        .merge(login_routes(state))
        .merge(user_routes(state))
        .merge(limit_routes(state))
        .merge(provider_key_routes(state))
        .merge(webhook_routes(state))
}

/// Sign-in, and everything about logins.
fn login_routes(state: &AppState) -> Routes {
    let login = Routes::new().routes(routes!(logins::login));
    let refresh = Routes::new().routes(routes!(logins::refresh));
    let by_token = Routes::new().routes(routes!(sign_in::by_token));
    let options = Routes::new().routes(routes!(sign_in::options));
    let keys = Routes::new().routes(routes!(signing_keys::jwks));
    let own = Routes::new()
        .routes(routes!(logins::logout))
        .routes(routes!(logins::list))
        .routes(routes!(logins::end));
    let admin = Routes::new().routes(routes!(signing_keys::list)).routes(routes!(signing_keys::rotate));
    open(audited(login, state, "login"), "the password is the credential")
        .merge(open(audited(refresh, state, "refresh_login"), "the refresh token is the credential"))
        .merge(open(audited(by_token, state, "login_by_token"), "the ID token is the credential"))
        .merge(open(options, "a client needs them to sign in"))
        .merge(open(keys, "public keys verify and sign nothing"))
        .merge(guarded(own, state, Action::ManageAccount))
        .merge(guarded(admin, state, Action::Administer))
}

/// Users: registration, invitations, profiles, passwords, consents and erasures.
fn user_routes(state: &AppState) -> Routes {
    let register = Routes::new().routes(routes!(users::register));
    let reset = Routes::new().routes(routes!(users::reset_password));
    let report = Routes::new().routes(routes!(erasures::get));
    let own = Routes::new()
        .routes(routes!(users::get, users::change, erasures::erase_me))
        .routes(routes!(users::set_sign_in))
        .routes(routes!(users::change_password))
        .routes(routes!(invites::accept))
        .routes(routes!(consents::give, consents::list));
    let manage = Routes::new()
        .routes(routes!(users::create))
        .routes(routes!(users::create_password_reset))
        .routes(routes!(invites::create, invites::list))
        .routes(routes!(invites::revoke));
    let administer = Routes::new().routes(routes!(erasures::erase));
    open(audited(register, state, "register_user"), "the code of the invitation is the credential")
        .merge(open(audited(reset, state, "reset_password"), "the code is the credential"))
        .merge(open(report, "the user's credentials have ended; the id is known only to them"))
        .merge(guarded(own, state, Action::ManageAccount))
        .merge(guarded(manage, state, Action::ManageMembers))
        .merge(guarded(administer, state, Action::Administer))
}

/// Organisations, their members and their teams.
fn organisation_routes(state: &AppState) -> Routes {
    let own = Routes::new().routes(routes!(organisations::list)).routes(routes!(members::leave));
    let read = Routes::new()
        .routes(routes!(organisations::get))
        .routes(routes!(members::list))
        .routes(routes!(members::get))
        .routes(routes!(teams::list))
        .routes(routes!(teams::get));
    let manage_members = Routes::new()
        .routes(routes!(members::change, members::remove))
        .routes(routes!(member_tokens::list))
        .routes(routes!(member_tokens::revoke))
        .routes(routes!(member_tokens::list_access_keys))
        .routes(routes!(member_tokens::revoke_access_key))
        .routes(routes!(teams::create))
        .routes(routes!(teams::rename, teams::delete))
        .routes(routes!(teams::add_member, teams::remove_member));
    let manage = Routes::new().routes(routes!(organisations::change, organisations::delete));
    let create = Routes::new().routes(routes!(organisations::create));
    guarded(own, state, Action::ManageAccount)
        .merge(guarded(read, state, Action::ReadOrganisation))
        .merge(guarded(manage_members, state, Action::ManageMembers))
        .merge(guarded(manage, state, Action::ManageOrganisation))
        .merge(guarded(create, state, Action::Administer))
}

/// Organisations, users and tokens of the whole gateway.
fn admin_routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(admin::list_organisations))
        .routes(routes!(admin::get_organisation, admin::change_organisation, admin::delete_organisation))
        .routes(routes!(admin::put_member, admin::remove_member))
        .routes(routes!(admin::list_users))
        .routes(routes!(admin::get_user, admin::change_user))
        .routes(routes!(admin::list_tokens))
        .routes(routes!(admin::revoke_token));
    guarded(routes, state, Action::Administer)
}

/// Limits and usage.
fn limit_routes(state: &AppState) -> Routes {
    let read = Routes::new().routes(routes!(usage::get)).routes(routes!(limits::list));
    let manage = Routes::new().routes(routes!(limits::get, limits::set, limits::remove));
    guarded(read, state, Action::ReadUsage).merge(guarded(manage, state, Action::ManageMembers))
}

/// Stored keys of providers. The check of one is in the function `generate`, which alone may decrypt them.
fn provider_key_routes(state: &AppState) -> Routes {
    let own = Routes::new()
        .routes(routes!(provider_keys::create_own, provider_keys::list_own))
        .routes(routes!(provider_keys::change_own, provider_keys::delete_own));
    let organisation = Routes::new()
        .routes(routes!(provider_keys::create_of_organisation, provider_keys::list_of_organisation))
        .routes(routes!(provider_keys::change_of_organisation, provider_keys::delete_of_organisation));
    guarded(own, state, Action::ManageKeys).merge(guarded(
        organisation,
        state,
        Action::ManageOrganisationKeys,
    ))
}

/// Webhooks, and the log of their deliveries.
fn webhook_routes(state: &AppState) -> Routes {
    let routes = Routes::new()
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::get, webhooks::update, webhooks::delete))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::pause))
        .routes(routes!(webhooks::resume))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(webhooks::replay_range));
    guarded(routes, state, Action::ManageWebhooks)
}

/// The audit log.
fn audit_routes(state: &AppState) -> Routes {
    let routes = Routes::new().routes(routes!(audit::list)).routes(routes!(audit::verify));
    guarded(routes, state, Action::ReadAudit)
}

/// Returns the function's router.
pub fn router(state: AppState) -> Router {
    finish(routes(&state), state)
}
