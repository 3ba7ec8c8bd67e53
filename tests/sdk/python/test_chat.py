"""Chat completions that come in one piece."""

import time

import pytest

from gateway import text_of

HOUR_S = 3600


def test_a_question_is_answered(ask):
    completion = ask("What is the capital of France?")

    message = completion.choices[0].message
    assert message.role == "assistant"
    assert "Paris" in message.content
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].index == 0
    assert len(completion.choices) == 1


def test_the_envelope_is_that_of_openai(ask, model):
    completion = ask("Hello")

    assert completion.object == "chat.completion"
    assert completion.model == model
    assert completion.id
    assert abs(time.time() - completion.created) < HOUR_S


def test_each_completion_has_its_own_id(ask):
    assert ask("Hello").id != ask("Hello").id


def test_usage_adds_up(ask):
    usage = ask("Hello").usage

    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_conversation_with_a_system_prompt_is_continued(client, model):
    completion = client.chat.completions.create(
        model=model,
        temperature=0,
        messages=[
            {"role": "system", "content": "You are a small test model."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello! How can I help you today?"},
            {"role": "user", "content": "What is the capital of France?"},
        ],
    )

    assert "Paris" in text_of(completion)


def test_earlier_turns_are_part_of_the_prompt(client, model, ask):
    alone = ask("Hello", max_tokens=1)
    after_a_turn = client.chat.completions.create(
        model=model,
        max_tokens=1,
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello! How can I help you today?"},
            {"role": "user", "content": "Hello"},
        ],
    )

    assert after_a_turn.usage.prompt_tokens > alone.usage.prompt_tokens


def test_content_may_be_a_list_of_text_parts(ask):
    parts = [
        {"type": "text", "text": "What is the capital"},
        {"type": "text", "text": " of France?"},
    ]

    assert "Paris" in text_of(ask(parts))


def test_a_field_that_the_gateway_does_not_know_is_ignored(ask):
    completion = ask("Hello", extra_body={"no_such_field": {"at": ["all"]}})

    assert completion.choices[0].finish_reason == "stop"


def test_the_request_id_is_in_the_response_headers(client, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Hello"}]
    )

    assert raw.headers["x-request-id"]
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().choices[0].message.content


def test_each_request_has_its_own_request_id(client):
    first, second = (client.models.with_raw_response.list() for _ in range(2))

    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize("prompt", ["Γειά σου, κόσμε", "こんにちは", "👋🏽 Hello"])
def test_a_multi_byte_prompt_is_read(ask, prompt):
    assert ask(prompt, max_tokens=8).usage.completion_tokens > 0
