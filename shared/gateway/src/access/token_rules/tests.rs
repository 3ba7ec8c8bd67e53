use hearth_domain::{Owner, UserId};

use super::*;

fn token(scopes: &[Scope], expires_at: Option<i64>) -> TokenRecord {
    let expires_at = expires_at.map(Timestamp::from_unix);
    let owner = Owner::of_record(UserId::new(), None);
    TokenRecord {
        name: "t".to_owned(),
        scopes: scopes.to_vec(),
        expires_at,
        ..TokenRecord::new(String::new(), owner)
    }
}

#[test]
fn last_full_token_is_the_one_without_a_spare() {
    let now = Timestamp::from_unix(100);
    let full = || token(&Scope::ALL, None);
    let is_last = |first: TokenRecord, others: &[TokenRecord]| {
        let tokens = [std::slice::from_ref(&first), others].concat();
        is_last_full(&first, &tokens, now)
    };
    assert!(is_last(full(), &[]));
    assert!(is_last(full(), &[token(&Scope::DEFAULT, None)]));
    assert!(is_last(full(), &[token(&Scope::ALL, Some(200))]), "the spare ends sooner");
    let commands = || TokenRecord { name: COMMANDS_TOKEN_NAME.to_owned(), ..full() };
    assert!(is_last(full(), &[commands()]), "the spare ends with the process");
    assert!(!is_last(commands(), &[]));
    assert!(is_last(full(), &[TokenRecord { revoked_at: Some(now), ..full() }]));
    let of_local_models =
        || TokenRecord { models: Some(ModelLimits::new(vec!["local".to_owned()])), ..full() };
    assert!(is_last(full(), &[of_local_models()]));
    assert!(!is_last(of_local_models(), &[]));
    assert!(is_last(token(&Scope::ALL, Some(200)), &[token(&Scope::ALL, Some(99))]));
    assert!(!is_last(full(), &[full()]));
    assert!(!is_last(token(&Scope::ALL, Some(200)), &[token(&Scope::ALL, Some(200))]));
    assert!(!is_last(token(&Scope::DEFAULT, None), &[]));
    assert!(!is_last(token(&Scope::ALL, Some(99)), &[]), "it has ended");
}

#[test]
fn no_end_outlives_every_end() {
    let at = |second| Some(Timestamp::from_unix(second));
    assert!(outlives(None, at(5)) && outlives(at(6), at(5)));
    assert!(
        !outlives(at(5), at(5)) && !outlives(at(4), at(5)) && !outlives(at(5), None) && !outlives(None, None)
    );
}

#[test]
fn new_token_has_no_more_than_its_maker() {
    let limits = |patterns: &[&str]| patterns.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let maker = |patterns: &[&str]| Caller {
        models: Some(std::sync::Arc::new(ModelLimits::new(limits(patterns)))),
        ..Caller::example()
    };
    let of = |maker: &Caller, patterns: Option<&[&str]>| {
        let models = models_for(maker, patterns.map(limits)).map_err(|error| error.code)?;
        Ok::<_, ErrorCode>(models.map(|models| models.patterns().to_vec()))
    };
    let local = maker(&["local"]);
    assert_eq!(of(&local, None), Ok(Some(limits(&["local"]))));
    assert_eq!(of(&local, Some(&["local:tiny"])), Ok(Some(limits(&["local:tiny"]))));
    assert_eq!(of(&local, Some(&["local:tiny", "openai:*"])), Err(ErrorCode::Forbidden));
    assert_eq!(of(&local, Some(&[])), Err(ErrorCode::InvalidRequest));
    assert_eq!(of(&Caller::example(), None), Ok(None));
    assert_eq!(of(&Caller::example(), Some(&["openai:*"])), Ok(Some(limits(&["openai:*"]))));
}

#[test]
fn token_of_a_login_outlives_its_access_token() {
    let end = Some(Timestamp::from_unix(Timestamp::now().unix() + 600));
    let token = Caller { expires_at: end, ..Caller::example() };
    assert_eq!(end_for(&token, None).unwrap(), end);
    assert_eq!(end_for(&token, Some(1)).unwrap_err().code, ErrorCode::Forbidden);
    let login = Caller { credential: Credential::Login(hearth_domain::LoginId::new()), ..token };
    assert_eq!(end_for(&login, None).unwrap(), None);
    assert!(end_for(&login, Some(1)).unwrap() > end);
}

#[test]
fn token_by_an_identity_provider_ends_within_thirty_days() {
    let issuer = Caller { credential: Credential::Issuer, ..Caller::example() };
    let limit = Some(Timestamp::now().plus(DAY * 31));
    let end = end_for(&issuer, None).unwrap();
    assert!(end.is_some() && end < limit);
    assert!(end_for(&issuer, Some(30)).unwrap() < limit);
    assert_eq!(end_for(&issuer, Some(31)).unwrap_err().code, ErrorCode::Forbidden);
}
