"""Errors: the SDK raises the class that its users catch, and the body says what to change."""

import pytest
from openai import APIStatusError, AuthenticationError, BadRequestError, NotFoundError, Omit

from gateway import PROMPT_TOO_LONG, user


def assert_envelope(error: APIStatusError, status: int, code: str, type_: str) -> None:
    """Every error has this envelope, on every route."""
    envelope = error.response.json()["error"]

    assert error.status_code == status
    assert (error.code, error.type) == (code, type_)
    assert {"code", "type", "message", "param", "request_id"} <= envelope.keys()
    assert envelope["message"]
    assert envelope["request_id"] == error.request_id
    assert error.request_id
    assert envelope["retryable"] is False


def chat(client, **body):
    """Sends a body as it stands, past the checks that the SDK makes on this side."""
    return client.post("/chat/completions", body=body, cast_to=object)


WRONG_KEYS = {
    "of no kind": "wrong",
    "of another vendor": "sk-0123456789",
    "with a bad checksum": "hth_" + "0" * 49,
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS.keys())
def test_a_wrong_key_is_refused(gateway, key):
    with gateway.client(api_key=key) as stranger:
        with pytest.raises(AuthenticationError) as caught:
            stranger.models.list()

    assert_envelope(caught.value, 401, "unauthorized", "authentication_error")


def test_a_missing_key_is_refused(client, model):
    with pytest.raises(AuthenticationError) as caught:
        client.chat.completions.create(
            model=model, messages=user("Hello"), extra_headers={"Authorization": Omit()}
        )

    assert_envelope(caught.value, 401, "unauthorized", "authentication_error")


def test_the_key_may_come_as_x_api_key(gateway, client, model):
    headers = {"Authorization": Omit(), "X-API-Key": gateway.token}

    assert model in [entry.id for entry in client.models.list(extra_headers=headers)]


@pytest.mark.parametrize("stream", [False, True], ids=["in one piece", "as a stream"])
def test_an_unknown_model_is_not_found(client, stream):
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(
            model="no-such-model", messages=user("Hello"), stream=stream
        )

    assert_envelope(caught.value, 404, "model_not_found", "invalid_request_error")
    assert caught.value.param == "model"


def test_an_unknown_route_is_not_found(client):
    with pytest.raises(NotFoundError) as caught:
        client.get("/no/such/route", cast_to=object)

    assert_envelope(caught.value, 404, "not_found", "invalid_request_error")


BAD_PARAMETERS = [
    ({"temperature": 3}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 1.5}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_completion_tokens": 0}, "max_completion_tokens"),
    ({"stream": "yes"}, "stream"),
    ({"messages": []}, "messages"),
    ({"messages": "Hello"}, "messages"),
]


@pytest.mark.parametrize(("change", "param"), BAD_PARAMETERS, ids=str)
def test_a_bad_parameter_is_named(client, model, change, param):
    with pytest.raises(BadRequestError) as caught:
        chat(client, **{"model": model, "messages": user("Hello"), **change})

    assert_envelope(caught.value, 400, "invalid_request", "invalid_request_error")
    assert caught.value.param == param


def test_a_missing_field_is_named(client, model):
    with pytest.raises(BadRequestError) as caught:
        chat(client, model=model)

    assert_envelope(caught.value, 400, "invalid_request", "invalid_request_error")
    assert caught.value.param == "messages"


BAD_MESSAGES = {
    "an unknown role": {"role": "wizard", "content": "Hello"},
    "no role": {"content": "Hello"},
    "content of a wrong type": {"role": "user", "content": 42},
    "an unknown kind of part": {"role": "user", "content": [{"type": "smell", "smell": "pine"}]},
}


@pytest.mark.parametrize("message", BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
def test_a_bad_message_is_named_by_its_place(client, model, message):
    with pytest.raises(BadRequestError) as caught:
        chat(client, model=model, messages=[*user("Hello"), message])

    assert_envelope(caught.value, 400, "invalid_request", "invalid_request_error")
    assert caught.value.param.startswith("messages[1]")


def test_an_error_before_the_first_chunk_is_an_ordinary_error(ask):
    with pytest.raises(BadRequestError) as caught:
        ask("Hello", temperature=3, stream=True)

    assert caught.value.response.headers["content-type"].startswith("application/json")
    assert caught.value.param == "temperature"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"Hello"', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_a_bad_request(client, body):
    with pytest.raises(BadRequestError) as caught:
        client.post(
            "/chat/completions",
            content=body,
            cast_to=object,
            options={"headers": {"Content-Type": "application/json"}},
        )

    assert_envelope(caught.value, 400, "invalid_request", "invalid_request_error")


@pytest.mark.parametrize("stream", [False, True], ids=["in one piece", "as a stream"])
def test_a_prompt_longer_than_the_context_is_refused(ask, stream):
    with pytest.raises(BadRequestError) as caught:
        ask(PROMPT_TOO_LONG, stream=stream)

    assert_envelope(caught.value, 400, "context_length_exceeded", "invalid_request_error")


def test_a_refused_request_leaves_the_connection_usable(client, model, ask):
    for _ in range(3):
        with pytest.raises(BadRequestError):
            ask("Hello", temperature=3)

    assert model in [entry.id for entry in client.models.list()]
