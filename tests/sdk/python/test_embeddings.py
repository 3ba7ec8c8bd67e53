"""Embeddings. They need a model that makes them: `HEARTH_EMBEDDING_MODEL` names it."""

import math

import pytest
from openai import BadRequestError, NotFoundError

TEXTS = ["The cat sat on the mat.", "A dog barked at the moon.", "Stock prices fell sharply."]


@pytest.fixture
def embed(client, embedding_model):
    def embed(texts, **parameters):
        return client.embeddings.create(model=embedding_model, input=texts, **parameters)

    return embed


def cosine(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_each_text_has_its_vector_in_order(embed, embedding_model):
    answer = embed(TEXTS)

    assert (answer.object, answer.model) == ("list", embedding_model)
    assert [entry.index for entry in answer.data] == [0, 1, 2]
    assert {entry.object for entry in answer.data} == {"embedding"}
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    for text, entry in zip(TEXTS, answer.data):
        assert math.isclose(cosine(entry.embedding, embed(text).data[0].embedding), 1, abs_tol=1e-3)


def test_vectors_have_length_one(embed):
    for entry in embed(TEXTS).data:
        assert math.isclose(cosine(entry.embedding, entry.embedding), 1, abs_tol=1e-3)


def test_numbers_and_bytes_say_the_same(embed):
    # The SDK asks for bytes unless it is told otherwise, and gives numbers either way.
    by_bytes = embed(TEXTS[0]).data[0].embedding
    by_numbers = embed(TEXTS[0], encoding_format="float").data[0].embedding

    assert by_bytes == pytest.approx(by_numbers, abs=1e-6)


def test_a_vector_can_be_cut(embed):
    short = embed(TEXTS[0], dimensions=8).data[0].embedding

    assert len(short) == 8
    assert math.isclose(cosine(short, short), 1, abs_tol=1e-3)


def test_tokens_are_taken_too(embed):
    assert len(embed([[5, 6, 7], [8, 9]]).data) == 2
    assert len(embed([5, 6, 7]).data) == 1


@pytest.mark.parametrize(
    ("texts", "param"),
    [("", "input"), ([], "input"), (["a", ""], "input[1]"), (["a"] * 2049, "input")],
    ids=["empty", "none", "one empty", "too many"],
)
def test_what_cannot_be_embedded_is_named(client, model, texts, param):
    # Refused before a model is looked for.
    with pytest.raises(BadRequestError) as caught:
        client.embeddings.create(model=model, input=texts)

    assert caught.value.param == param


def test_a_chat_model_makes_no_embeddings(client, model):
    with pytest.raises(BadRequestError) as caught:
        client.embeddings.create(model=model, input="Hello")

    assert caught.value.param == "model"


def test_an_embedding_model_makes_no_chat(client, embedding_model):
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(
            model=embedding_model, messages=[{"role": "user", "content": "Hello"}]
        )

    assert caught.value.param == "model"


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(NotFoundError) as caught:
        client.embeddings.create(model="no-such-model", input="Hello")

    assert caught.value.code == "model_not_found"
