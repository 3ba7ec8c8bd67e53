//! Sign-in computes a hash whoever signs in, so its time reveals no accounts.

use hearth_domain::{MemberRole, OrganisationId, Secret, Timestamp, UserId};
use hearth_gateway::{Gateway, HttpClients, Options, Routing, accounts::logins::LoginOrigin};
use hearth_store::{
    Store,
    database::Durability,
    home,
    organisations::{MemberRecord, OrganisationRecord},
    users::UserRecord,
};
use hearth_wire::{ErrorCode, native::logins::LoginRequest};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery staple";

async fn create(store: &Store, email: &str, hash: Option<&str>, is_disabled: bool) -> UserId {
    let user = UserRecord {
        email: Some(email.to_owned()),
        password_hash: hash.map(str::to_owned),
        disabled_at: is_disabled.then(Timestamp::now),
        ..UserRecord::new(UserId::new(), "Ada")
    };
    store.users().create(&user).await.unwrap();
    let organisation = OrganisationRecord::new(OrganisationId::new(), "Foundry");
    let member = MemberRecord::new(organisation.id, user.id, MemberRole::Owner);
    store.organisations().create(&organisation, &member).await.unwrap();
    user.id
}

#[tokio::test]
async fn sign_in_computes_one_hash_whoever_signs_in() {
    let folder = TempDir::new().unwrap();
    let store = home::open(folder.path(), Durability::Os).unwrap();
    store.migrate().await.unwrap();
    // The cheapest parameters, which are replaced at a sign-in.
    let old = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA";
    let present = hearth_auth::password::hash(&Secret::new(PASSWORD)).unwrap();
    create(&store, "ada@example.org", Some(&present), false).await;
    create(&store, "disabled@example.org", Some(&present), true).await;
    create(&store, "provider@example.org", None, false).await;
    create(&store, "damaged@example.org", Some(old), false).await;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = HttpClients::new().unwrap();
    let gateway = Gateway::new(store.clone(), http, Options::default(), Routing::default());
    for (email, password, is_valid) in [
        ("ada@example.org", PASSWORD, true),
        ("ada@example.org", "wrong password", false),
        ("nobody@example.org", PASSWORD, false),
        ("disabled@example.org", PASSWORD, false),
        ("provider@example.org", PASSWORD, false),
        ("damaged@example.org", PASSWORD, false),
    ] {
        let request =
            LoginRequest { email: email.to_owned(), password: Secret::new(password), organisation: None };
        let before = gateway.passwords().computed_count();
        let result = gateway.logins().sign_in(request, LoginOrigin::default()).await;
        assert_eq!(gateway.passwords().computed_count(), before + 1, "{email}");
        match result {
            Ok(_) => assert!(is_valid, "{email}"),
            Err(error) => assert!(!is_valid && error.code == ErrorCode::Unauthorized, "{email}: {error:?}"),
        }
    }
    store.close().await;
}

#[tokio::test]
async fn hash_of_old_parameters_is_replaced_at_sign_in() {
    let folder = TempDir::new().unwrap();
    let store = home::open(folder.path(), Durability::Os).unwrap();
    store.migrate().await.unwrap();
    // PASSWORD with m=64 KiB, t=1, p=1.
    let old =
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$TUhCoV6YH8thtZpQqRp0JvQQ5ZYgiLA0LYApKDG6qtM";
    let user = create(&store, "ada@example.org", Some(old), false).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let gateway =
        Gateway::new(store.clone(), HttpClients::new().unwrap(), Options::default(), Routing::default());
    let request = || LoginRequest {
        email: "ada@example.org".to_owned(),
        password: Secret::new(PASSWORD),
        organisation: None,
    };
    gateway.logins().sign_in(request(), LoginOrigin::default()).await.unwrap();
    let stored = store.users().get(user).await.unwrap().unwrap().password_hash.unwrap();
    assert!(stored != old && !hearth_auth::password::needs_rehash(&stored), "{stored}");
    gateway.logins().sign_in(request(), LoginOrigin::default()).await.unwrap();
    assert_eq!(store.users().get(user).await.unwrap().unwrap().password_hash.unwrap(), stored);
    store.close().await;
}

#[tokio::test]
async fn attempts_of_two_processes_stay_within_one_limit() {
    let folder = TempDir::new().unwrap();
    let store = home::open(folder.path(), Durability::Os).unwrap();
    store.migrate().await.unwrap();
    let hash = hearth_auth::password::hash(&Secret::new(PASSWORD)).unwrap();
    create(&store, "ada@example.org", Some(&hash), false).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let gateways: Vec<Gateway> = (0..2)
        .map(|_| {
            let http = HttpClients::new().unwrap();
            Gateway::new(store.clone(), http, Options::default(), Routing::default())
        })
        .collect();
    let attempts = (0..40).map(|number| {
        let request = LoginRequest {
            email: "ada@example.org".to_owned(),
            password: Secret::new("wrong password"),
            organisation: None,
        };
        // Each from a network of its own.
        let address = format!("198.51.100.{number}").parse().unwrap();
        let origin = LoginOrigin { address: Some(address), ..LoginOrigin::default() };
        gateways[number % 2].logins().sign_in(request, origin)
    });
    let results = futures::future::join_all(attempts).await;
    let count = |code: ErrorCode| {
        results.iter().filter(|result| result.as_ref().is_err_and(|e| e.code == code)).count()
    };
    assert_eq!((count(ErrorCode::Unauthorized), count(ErrorCode::RateLimited)), (10, 30), "{results:?}");
    store.close().await;
}

#[tokio::test]
async fn strangers_do_not_keep_a_user_out_of_a_known_network() {
    let folder = TempDir::new().unwrap();
    let store = home::open(folder.path(), Durability::Os).unwrap();
    store.migrate().await.unwrap();
    let hash = hearth_auth::password::hash(&Secret::new(PASSWORD)).unwrap();
    create(&store, "ada@example.org", Some(&hash), false).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = HttpClients::new().unwrap();
    let gateway = Gateway::new(store.clone(), http, Options::default(), Routing::default());
    let sign_in = async |password: &str, address: &str| {
        let (email, password) = ("ada@example.org".to_owned(), Secret::new(password));
        let request = LoginRequest { email, password, organisation: None };
        let origin = LoginOrigin { address: Some(address.parse().unwrap()), ..LoginOrigin::default() };
        gateway.logins().sign_in(request, origin).await.map(drop).map_err(|error| error.code)
    };
    // Her network's first half is that of all her addresses.
    assert_eq!(sign_in(PASSWORD, "2001:db8:1:1::7").await, Ok(()));
    let mut refused = 0;
    for number in 0..20 {
        let result = sign_in("wrong password", &format!("198.51.100.{number}")).await;
        refused += usize::from(result == Err(ErrorCode::RateLimited));
    }
    assert_eq!(refused, 10);
    assert_eq!(sign_in(PASSWORD, "203.0.113.9").await, Err(ErrorCode::RateLimited), "a new network");
    assert_eq!(sign_in(PASSWORD, "2001:db8:1:1:2::9").await, Ok(()), "a known network");
    store.close().await;
}
