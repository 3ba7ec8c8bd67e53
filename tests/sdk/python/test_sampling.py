"""The parameters that decide what is generated and when it ends."""

import pytest

from gateway import text_of

STORY = "Tell me a story."

# A prompt, and settings, under which the model has something to choose from at every token.
CHOICE = {"temperature": 1, "max_tokens": 60, "extra_body": {"ignore_eos": True}}


@pytest.fixture
def story(ask) -> str:
    return text_of(ask(STORY, max_tokens=60))


def test_temperature_zero_always_says_the_same(ask, story):
    assert text_of(ask(STORY, max_tokens=60)) == story


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("tokens", [1, 5])
def test_the_limit_on_tokens_is_exact(ask, limit, tokens):
    completion = ask(STORY, **{limit: tokens})

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == tokens


def test_ignore_eos_goes_on_to_the_limit(ask):
    completion = ask("Hello", max_tokens=100, extra_body={"ignore_eos": True})

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 100


def stop_strings(story: str) -> list[str]:
    """A word, and a slice that pays no heed to where words or tokens begin and end."""
    words = story.split()
    middle = len(story) // 2
    return [words[len(words) // 3], story[middle : middle + 12]]


@pytest.mark.parametrize("which", [0, 1], ids=["a word", "a slice across words"])
@pytest.mark.parametrize("as_list", [False, True], ids=["as a string", "in a list"])
def test_stop_ends_the_answer_before_the_stop_string(ask, story, which, as_list):
    stop = stop_strings(story)[which]
    completion = ask(STORY, max_tokens=60, stop=["never said", stop] if as_list else stop)

    assert text_of(completion) == story[: story.index(stop)]
    assert completion.choices[0].finish_reason == "stop"


def test_the_earliest_of_several_stop_strings_wins(ask, story):
    word, slice_ = stop_strings(story)
    first = min(story.index(word), story.index(slice_))

    assert text_of(ask(STORY, max_tokens=60, stop=[slice_, word])) == story[:first]


def test_a_seed_gives_the_same_text_again(ask):
    first, second = (text_of(ask("Say hello in Greek", seed=42, **CHOICE)) for _ in range(2))

    assert first == second


def test_other_seeds_give_other_texts(ask):
    texts = {text_of(ask("Say hello in Greek", seed=seed, **CHOICE)) for seed in range(1, 5)}

    assert len(texts) > 1


@pytest.mark.parametrize("only_the_best", [{"top_k": 1}, {"min_p": 1.0}], ids=["top_k", "min_p"])
def test_keeping_only_the_best_token_is_greedy_at_any_temperature(ask, story, only_the_best):
    completion = ask(STORY, temperature=2, max_tokens=60, extra_body=only_the_best)

    assert text_of(completion) == story
