use super::*;

const P: &str = "p";
const M: &str = "m";

fn failure(code: ErrorCode) -> ApiError {
    ApiError::new(code, "no")
}

/// Breakers of which the circuit of [`M`] is open, since a while ago.
fn open() -> CircuitBreakers {
    let breakers = CircuitBreakers::default();
    (0..3).for_each(|_| fail(&breakers, ErrorCode::ProviderError));
    breakers
}

fn fail(breakers: &CircuitBreakers, code: ErrorCode) {
    breakers.permit(key(P, M), None, Instant::now()).finish(P, Some(&failure(code)));
}

fn state(breakers: &CircuitBreakers) -> State {
    breakers.state(P, M, Instant::now())
}

/// Lets the next probe begin now.
fn skip_interval(breakers: &CircuitBreakers) {
    let came = Instant::now();
    breakers.entries().get_mut(&key(P, M)).unwrap().circuit.probe_at(came);
}

#[tokio::test]
async fn open_circuit_refuses_where_others_can_serve_and_probes_where_none_can() {
    let breakers = open();
    assert!(breakers.try_acquire(P, M, Instant::now()).is_none());
    assert!(breakers.try_acquire(P, "other", Instant::now()).is_some());
    skip_interval(&breakers);
    let mut probe = breakers.acquire(P, M).await.unwrap();
    assert!(probe.probe.is_some());
    // The first piece of the answer closes it; the request itself goes on.
    probe.record_answer();
    assert_eq!(state(&breakers), State::Closed);
    probe.finish(P, None);
    assert!(breakers.try_acquire(P, M, Instant::now()).is_some());
    assert_eq!(breakers.open(Instant::now()), []);
}

#[tokio::test]
async fn waiting_requests_fail_after_two_failures() {
    let breakers = open();
    skip_interval(&breakers);
    let limited = || failure(ErrorCode::ProviderRateLimited).with_retry_after(Some(Duration::from_secs(45)));
    let first = breakers.acquire(P, M).await.unwrap();
    // The first waiting request is the second probe, and fails too.
    let others = (0..5).map(|_| async {
        let permit = breakers.acquire(P, M).await?;
        permit.finish(P, Some(&limited()));
        Ok::<(), ApiError>(())
    });
    let ended = async {
        tokio::task::yield_now().await;
        first.finish(P, Some(&limited()));
        skip_interval(&breakers);
    };
    let (others, ()) = tokio::join!(futures::future::join_all(others), ended);
    let errors: Vec<ApiError> = others.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 4);
    for error in errors {
        assert_eq!((error.code, error.retry_after_seconds()), (ErrorCode::ProviderRateLimited, Some(45)));
    }
    let [open] = &breakers.open(Instant::now())[..] else { panic!("one circuit is open") };
    assert!(open.state == State::Open && open.retry_after > Duration::from_secs(40), "{open:?}");
}

#[tokio::test]
async fn requests_are_sent_after_a_probe_that_recovers() {
    let breakers = open();
    skip_interval(&breakers);
    let mut probe = breakers.acquire(P, M).await.unwrap();
    let others = futures::future::join_all((0..5).map(|_| breakers.acquire(P, M)));
    let (others, ()) = tokio::join!(others, async { probe.record_answer() });
    assert!(others.iter().all(|other| other.as_ref().is_ok_and(|permit| permit.probe.is_none())));
}

#[tokio::test]
async fn probe_whose_request_is_at_fault_is_followed_by_the_next() {
    let breakers = open();
    skip_interval(&breakers);
    let probe = breakers.acquire(P, M).await.unwrap();
    let (next, ()) = tokio::join!(breakers.acquire(P, M), async {
        probe.finish(P, Some(&failure(ErrorCode::InvalidRequest)));
    });
    assert!(next.unwrap().probe.is_some());
    assert_ne!(state(&breakers), State::Closed);
}

#[tokio::test]
async fn request_waits_for_the_next_probe_rather_than_be_refused() {
    let breakers = open();
    let came = Instant::now();
    let probe = breakers.acquire(P, M).await.unwrap();
    assert!(probe.probe.is_some());
    assert!(came.elapsed() <= circuit::PROBE_INTERVAL + Duration::from_secs(1), "{:?}", came.elapsed());
}

#[test]
fn errors_of_the_request_and_disconnects_dont_count() {
    let breakers = CircuitBreakers::default();
    for code in ErrorCode::ALL.iter().filter(|code| !code.blames_provider()) {
        (0..30).for_each(|_| fail(&breakers, *code));
    }
    (0..30).for_each(|_| drop(breakers.try_acquire(P, M, Instant::now())));
    (0..30).for_each(|_| breakers.try_acquire(P, M, Instant::now()).unwrap().finish(P, None));
    assert!(breakers.entries().is_empty());
    // They don't reset the count either.
    (0..2).for_each(|_| fail(&breakers, ErrorCode::ProviderTimeout));
    fail(&breakers, ErrorCode::InvalidRequest);
    assert_eq!(state(&breakers), State::Closed);
    fail(&breakers, ErrorCode::ProviderAuth);
    assert_eq!(state(&breakers), State::Open);
}

#[test]
fn streams_that_break_off_count_in_a_row() {
    let breakers = CircuitBreakers::default();
    for _ in 0..3 {
        let mut permit = breakers.try_acquire(P, M, Instant::now()).unwrap();
        permit.record_answer();
        permit.finish(P, Some(&failure(ErrorCode::ProviderError)));
    }
    assert_eq!(state(&breakers), State::Open);
}

#[test]
fn half_open_circuit_permits_one_request_at_a_time() {
    let breakers = open();
    let later = Instant::now() + Duration::from_secs(31);
    assert_eq!(breakers.state(P, M, later), State::HalfOpen);
    let probe = breakers.try_acquire(P, M, later).unwrap();
    assert!(!breakers.permits(P, M, later) && breakers.try_acquire(P, M, later).is_none());
    drop(probe);
    let _probe = breakers.try_acquire(P, M, later).unwrap();
    // One that never ends is not waited for.
    assert!(breakers.permits(P, M, later + PROBE_TIMEOUT + Duration::from_secs(1)));
}

#[test]
fn changed_key_closes_the_circuits_of_its_provider() {
    let breakers = open();
    breakers.forget("other");
    assert_eq!(state(&breakers), State::Open);
    breakers.forget(P);
    assert_eq!(state(&breakers), State::Closed);
}

#[test]
fn number_of_circuits_is_bounded() {
    let breakers = CircuitBreakers::default();
    for number in 0..CIRCUIT_MAX_COUNT + 100 {
        let model = format!("m{number}");
        for _ in 0..3 {
            let permit = breakers.permit(key(P, &model), None, Instant::now());
            permit.finish(P, Some(&failure(ErrorCode::ProviderError)));
        }
    }
    assert!(breakers.entries().len() <= CIRCUIT_MAX_COUNT);
    let last = format!("m{}", CIRCUIT_MAX_COUNT + 99);
    assert_eq!(breakers.state(P, &last, Instant::now()), State::Open);
}
