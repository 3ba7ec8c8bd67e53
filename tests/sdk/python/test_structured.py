"""Answers of a given form."""

import json
from enum import Enum
from typing import Literal

import pytest
from openai import BadRequestError
from pydantic import BaseModel

from gateway import text_of, user

ADA = "Give me JSON with name and age for Ada."


class Person(BaseModel):
    name: str
    age: int


class Mood(str, Enum):
    good = "good"
    bad = "bad"


class Verdict(BaseModel):
    sure: bool
    answer: Literal["yes", "no"]
    mood: Mood


def schema_of(kind: type[BaseModel]) -> dict:
    schema = {**kind.model_json_schema(), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def test_parse_gives_an_object_of_the_class(client, model):
    completion = client.chat.completions.parse(
        model=model, messages=user(ADA), temperature=0, response_format=Person
    )

    assert completion.choices[0].message.parsed == Person(name="Ada", age=36)


@pytest.mark.parametrize("seed", range(3))
def test_the_form_holds_whatever_is_asked(client, model, seed):
    completion = client.chat.completions.parse(
        model=model,
        messages=user("Tell me a story."),
        temperature=2,
        seed=seed,
        response_format=Verdict,
    )

    assert isinstance(completion.choices[0].message.parsed, Verdict)


def test_the_stream_helper_parses_as_it_goes(client, model):
    ask = {"model": model, "messages": user(ADA), "temperature": 0}
    with client.chat.completions.stream(**ask, response_format=Person) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        message = stream.get_final_completion().choices[0].message

    assert len(deltas) > 1
    assert message.parsed == Person(name="Ada", age=36)


def test_a_schema_may_be_given_as_it_is(ask):
    text = text_of(ask(ADA, response_format=schema_of(Person)))

    assert json.loads(text) == {"name": "Ada", "age": 36}


def test_the_properties_come_in_the_order_of_the_schema(ask):
    text = text_of(ask("Hello!", response_format=schema_of(Verdict), max_tokens=200))

    assert list(json.loads(text)) == ["sure", "answer", "mood"]


def test_a_json_object_is_one(ask):
    text = text_of(ask(ADA, response_format={"type": "json_object"}, max_tokens=400))

    assert isinstance(json.loads(text), dict)


def test_text_is_what_it_is_without_a_form(ask):
    assert text_of(ask("Hello", response_format={"type": "text"})) == text_of(ask("Hello"))


BAD_FORMATS = [
    ({"type": "xml"}, "response_format.type"),
    ({"type": "json_schema"}, "response_format.json_schema"),
    (
        {"type": "json_schema", "json_schema": {"name": "s", "schema": []}},
        "response_format.json_schema.schema",
    ),
]


@pytest.mark.parametrize(("format", "param"), BAD_FORMATS, ids=str)
def test_a_bad_form_is_named(ask, format, param):
    with pytest.raises(BadRequestError) as caught:
        ask("Hello", response_format=format)

    assert caught.value.param == param
