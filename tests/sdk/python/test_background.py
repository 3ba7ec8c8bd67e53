"""Responses in the background: polled, resumed after an event, and cancelled."""

import time

import pytest
from openai import BadRequestError, NotFoundError

from gateway import CANCEL_DEADLINE_S, POLL_INTERVAL_S

STORY = "Tell me a story."


@pytest.fixture
def begin(client, model):
    """`begin(200)`: a response of exactly so many tokens, in the background."""

    def begin(tokens, **parameters):
        parameters = {"extra_body": {"ignore_eos": True}, **parameters}
        return client.responses.create(
            model=model, input=STORY, max_output_tokens=tokens, background=True, **parameters
        )

    return begin


def ended(client, response):
    deadline = time.monotonic() + CANCEL_DEADLINE_S
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline, response
        time.sleep(POLL_INTERVAL_S)
        response = client.responses.retrieve(response.id)
    return response


def test_a_background_response_is_polled_to_its_end(client, begin):
    begun = begin(100)
    assert begun.background is True
    assert begun.status in ("queued", "in_progress")
    response = ended(client, begun)
    assert (response.id, response.status, response.background) == (begun.id, "incomplete", True)
    assert response.usage.output_tokens == 100
    assert response.output_text


def test_a_background_stream_is_resumed_after_an_event(client, begin):
    first = []
    with begin(200, stream=True) as stream:
        for event in stream:
            first.append(event)
            if len(first) == 6:
                break
    id = first[0].response.id
    rest = list(client.responses.retrieve(id, stream=True, starting_after=first[-1].sequence_number))
    events = first + rest
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.output_text == text
    assert client.responses.retrieve(id).output_text == text


def test_a_background_response_is_cancelled(client, begin):
    begun = begin(3500)
    cancelled = client.responses.cancel(begun.id)
    assert (cancelled.id, cancelled.status) == (begun.id, "cancelled")
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.retrieve(begun.id).status == "cancelled"


def test_an_unknown_response_is_not_found(client):
    with pytest.raises(NotFoundError):
        client.responses.cancel("req_01J9ZX5V2QH8N4T6W0C3M7K1RB")


def test_a_background_response_that_is_not_stored_is_refused(begin):
    with pytest.raises(BadRequestError) as error:
        begin(5, store=False)
    assert error.value.param == "background"
