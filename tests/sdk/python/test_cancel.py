"""A client that goes away stops its run: no tokens are generated for nobody."""

from itertools import islice

from gateway import ENDLESS, text_of, wait_until_cancelled


def test_closing_the_stream_cancels_the_run(ask, client):
    stream = ask("Tell me a story.", stream=True, **ENDLESS)
    request_id = stream.response.headers["x-request-id"]

    assert len(list(islice(stream, 3))) == 3
    stream.close()

    run = wait_until_cancelled(client, request_id)
    assert 0 < run["usage"]["completion_tokens"] < ENDLESS["max_tokens"]


def test_the_model_answers_on_after_a_cancelled_run(ask, client):
    with ask("Tell me a story.", stream=True, **ENDLESS) as stream:
        next(stream)
    wait_until_cancelled(client, stream.response.headers["x-request-id"])

    assert "Paris" in text_of(ask("What is the capital of France?"))


def test_cancelling_one_stream_leaves_its_neighbour_alone(ask, client):
    neighbour = ask("Tell me a story.", stream=True, max_tokens=100)
    with ask("Tell me a story.", stream=True, **ENDLESS) as stream:
        next(stream)
    wait_until_cancelled(client, stream.response.headers["x-request-id"])

    told = "".join(chunk.choices[0].delta.content or "" for chunk in neighbour)
    assert told == text_of(ask("Tell me a story.", max_tokens=100))
