"""Several answers to one request, and how likely the model held their tokens."""

import pytest
from openai import BadRequestError

from gateway import text_of

STORY = "Tell me a story."
# The model knows its stories by heart: without cuts it may err.
DRAWN = {"temperature": 2, "seed": 7, "max_tokens": 40, "top_p": 1, "extra_body": {"top_k": 0, "min_p": 0}}
FRANCE = "What is the capital of France?"


def texts(completion) -> list[str]:
    return [choice.message.content for choice in completion.choices]


def test_as_many_answers_as_asked_for(ask):
    completion = ask(STORY, n=4, **DRAWN)

    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert len(set(texts(completion))) > 1
    assert all(choice.finish_reason for choice in completion.choices)
    assert completion.usage.completion_tokens > 40


def test_at_temperature_zero_they_are_all_the_same(ask):
    assert set(texts(ask(FRANCE, n=3))) == {text_of(ask(FRANCE))}


def test_the_chunks_of_each_answer_add_up(ask):
    # At temperature 0: a prompt that is kept computes less, which may differ in the last bit of a draw.
    whole = texts(ask(FRANCE, n=3))
    told, ends = ["", "", ""], []
    for chunk in ask(FRANCE, n=3, stream=True):
        for choice in chunk.choices:
            told[choice.index] += choice.delta.content or ""
            ends += [choice.index] if choice.finish_reason else []

    assert told == whole
    assert sorted(ends) == [0, 1, 2]


def test_the_stream_helper_keeps_them_apart(client, model):
    # The helper takes an answer that was cut at `max_tokens` for an error.
    ask = {"model": model, "messages": [{"role": "user", "content": FRANCE}], "n": 3, "temperature": 0}
    with client.chat.completions.stream(**ask) as stream:
        told = stream.get_final_completion()

    assert texts(told) == texts(client.chat.completions.create(**ask))


def test_each_token_tells_how_likely_it_was(ask):
    choice = ask(FRANCE, logprobs=True, top_logprobs=3).choices[0]

    tokens = choice.logprobs.content
    assert bytes(byte for token in tokens for byte in token.bytes).decode() == choice.message.content
    for token in tokens:
        likelihoods = [top.logprob for top in token.top_logprobs]
        assert len(likelihoods) == 3
        assert likelihoods == sorted(likelihoods, reverse=True)
        assert token.logprob == likelihoods[0] <= 0
    assert choice.logprobs.refusal is None


def test_the_chunks_tell_it_too(ask):
    whole = ask(FRANCE, logprobs=True).choices[0].logprobs.content
    streamed = [
        token
        for chunk in ask(FRANCE, logprobs=True, stream=True)
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content
    ]

    assert [token.token for token in streamed] == [token.token for token in whole]
    assert all(token.top_logprobs == [] for token in streamed)


def test_it_is_left_out_unless_asked_for(ask):
    assert ask("Hello").choices[0].logprobs is None


def test_a_banned_token_never_comes(ask):
    # The test model ends its turns with token 2.
    completion = ask("Hello", max_tokens=100, logit_bias={"2": -100})

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 100


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 33}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"2": 101}}, "logit_bias"),
        ({"logit_bias": {"word": 1}}, "logit_bias"),
    ],
    ids=str,
)
def test_what_cannot_be_is_named(ask, change, param):
    with pytest.raises(BadRequestError) as caught:
        ask("Hello", **change)

    assert caught.value.param == param
