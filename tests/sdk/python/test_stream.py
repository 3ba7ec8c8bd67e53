"""Chat completions that come in chunks."""

import json

import pytest

from gateway import counts, finish_reasons, joined, text_of, user

STORY = "Tell me a story."

# Answers whose characters have two, three and four bytes, each byte a token of its own.
MULTIBYTE = {
    "Say hello in Greek.": "Γειά σου!",
    "Say hello in Japanese.": "こんにちは!",
    "Say hello with an emoji.": "Hello! 👋",
}


@pytest.mark.parametrize("prompt", ["Hello", "What is the capital of France?", STORY])
def test_the_chunks_add_up_to_the_answer(ask, prompt):
    assert joined(ask(prompt, stream=True)) == text_of(ask(prompt))


def test_the_text_comes_in_many_chunks(ask):
    with_text = [chunk for chunk in ask(STORY, stream=True, max_tokens=40) if joined([chunk])]

    assert len(with_text) > 10


def test_every_chunk_has_the_same_envelope(ask, model):
    chunks = list(ask("Hello", stream=True))

    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {model}
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.created for chunk in chunks}) == 1


def test_the_first_chunk_alone_says_the_role(ask):
    chunks = list(ask("Hello", stream=True))

    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(choice.delta.role is None for chunk in chunks[1:] for choice in chunk.choices)


def test_the_last_chunk_says_why_it_ended(ask):
    chunks = list(ask("Hello", stream=True))

    assert finish_reasons(chunks) == ["stop"]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_cut_by_the_limit_says_length(ask):
    assert finish_reasons(ask(STORY, stream=True, max_tokens=3)) == ["length"]


def test_usage_comes_last_when_asked_for(ask):
    *before, last = ask("Hello", stream=True, stream_options={"include_usage": True})

    assert last.choices == []
    assert counts(last.usage) == counts(ask("Hello").usage)
    assert all(chunk.usage is None for chunk in before)
    assert finish_reasons(before) == ["stop"]


def test_usage_is_left_out_when_not_asked_for(ask):
    chunks = list(ask("Hello", stream=True))

    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


def test_no_part_of_a_stop_string_gets_out(ask):
    story = text_of(ask(STORY, max_tokens=60))
    stop = story[len(story) // 2 :][:12]

    chunks = list(ask(STORY, max_tokens=60, stop=stop, stream=True))

    assert joined(chunks) == story[: story.index(stop)]
    assert finish_reasons(chunks) == ["stop"]


def test_on_the_wire_it_is_server_sent_events_up_to_done(client, model):
    with client.chat.completions.with_streaming_response.create(
        model=model, messages=user("Hello"), stream=True
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"]
        data = [line for line in response.iter_lines() if line.startswith("data:")]

    assert data[-1] == "data: [DONE]"
    assert data.count("data: [DONE]") == 1
    assert all(json.loads(line.removeprefix("data:")) for line in data[:-1])


@pytest.mark.parametrize("prompt, answer", MULTIBYTE.items())
def test_characters_of_several_bytes_are_never_split(ask, prompt, answer):
    chunks = list(ask(prompt, stream=True))

    assert all("\ufffd" not in joined([chunk]) for chunk in chunks)
    assert joined(chunks) == answer


@pytest.mark.parametrize("tokens", range(1, 8))
def test_a_limit_within_a_character_leaves_no_broken_character(ask, tokens):
    """Half a character at the end is dropped; it is not replaced by U+FFFD."""
    cut = ask("Say hello in Japanese.", stream=True, max_tokens=tokens)

    assert joined(cut) == "こんにちは"[: tokens // 3]
