"""Tools: the model asks for a call, the program makes it, the model goes on."""

import json

import pytest
from openai import BadRequestError

from gateway import finish_reasons, joined, user

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather for a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
STRICT = {
    "type": "function",
    "function": {
        **WEATHER["function"],
        "strict": True,
        "parameters": {**WEATHER["function"]["parameters"], "additionalProperties": False},
    },
}
IN_PARIS = "What is the weather in Paris?"
IN_TWO_CITIES = "What is the weather in Paris and London?"
RESULT = '{"temperature":21,"condition":"sunny"}'


def cities(tool_calls) -> list[str]:
    return [json.loads(call.function.arguments)["city"] for call in tool_calls]


def result(call, content=RESULT) -> dict:
    return {"role": "tool", "tool_call_id": call.id, "content": content}


def test_a_tool_is_called(ask):
    choice = ask(IN_PARIS, tools=[WEATHER]).choices[0]

    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert call.id
    assert cities([call]) == ["Paris"]


def test_the_result_is_used(client, model):
    messages = user(IN_PARIS)
    ask = {"model": model, "temperature": 0, "tools": [WEATHER]}
    message = client.chat.completions.create(messages=messages, **ask).choices[0].message
    # As programs do: the message goes back as the object that the SDK gave.
    messages += [message, result(message.tool_calls[0])]

    answer = client.chat.completions.create(messages=messages, **ask).choices[0]

    assert answer.message.content == "It is sunny and 21 degrees in Paris."
    assert answer.message.tool_calls is None
    assert answer.finish_reason == "stop"


def test_several_calls_at_once_and_their_results(client, model):
    messages = user(IN_TWO_CITIES)
    ask = {"model": model, "temperature": 0, "tools": [WEATHER]}
    message = client.chat.completions.create(messages=messages, **ask).choices[0].message

    assert len({call.id for call in message.tool_calls}) == 2
    messages.append(message)
    for degrees, call in zip((11, 17), message.tool_calls):
        messages.append(result(call, json.dumps({"temperature": degrees})))
    answer = client.chat.completions.create(messages=messages, **ask).choices[0]

    assert answer.finish_reason == "stop"
    assert answer.message.content


def test_one_call_where_several_are_not_wanted(ask):
    message = ask(IN_TWO_CITIES, tools=[WEATHER], parallel_tool_calls=False).choices[0].message

    assert len(message.tool_calls) == 1


def test_the_chunks_of_a_call_add_up(ask):
    chunks = list(ask(IN_PARIS, tools=[WEATHER], stream=True))

    deltas = [
        delta
        for chunk in chunks
        for choice in chunk.choices
        for delta in choice.delta.tool_calls or []
    ]
    first, *rest = deltas
    assert (first.index, first.type, first.function.name) == (0, "function", "get_weather")
    assert first.id and all(delta.id is None for delta in rest)
    arguments = "".join(delta.function.arguments or "" for delta in deltas)
    assert json.loads(arguments) == {"city": "Paris"}
    assert joined(chunks) == ""
    assert finish_reasons(chunks) == ["tool_calls"]


def test_the_stream_helper_puts_a_call_together(client, model):
    ask = {"model": model, "messages": user(IN_PARIS), "temperature": 0, "tools": [STRICT]}
    with client.chat.completions.stream(**ask) as stream:
        kinds = {event.type for event in stream}
        message = stream.get_final_completion().choices[0].message

    assert "tool_calls.function.arguments.done" in kinds
    assert message.content is None
    assert message.tool_calls[0].function.parsed_arguments == {"city": "Paris"}


def test_the_stream_helper_puts_a_text_together(client, model):
    ask = {"model": model, "messages": user("Hello!"), "temperature": 0, "tools": [STRICT]}
    with client.chat.completions.stream(**ask) as stream:
        told = "".join(event.delta for event in stream if event.type == "content.delta")
        message = stream.get_final_completion().choices[0].message

    assert told == message.content == "Hello! How can I help you today?"
    assert not message.tool_calls


@pytest.mark.parametrize(
    "choice",
    ["required", {"type": "function", "function": {"name": "get_weather"}}],
    ids=["required", "named"],
)
def test_a_call_can_be_demanded(ask, choice):
    message = ask("Hello!", tools=[WEATHER], tool_choice=choice, max_tokens=200).choices[0].message

    assert [call.function.name for call in message.tool_calls] == ["get_weather"] * len(
        message.tool_calls
    )
    assert all(isinstance(city, str) for city in cities(message.tool_calls))


def test_a_call_can_be_ruled_out(ask):
    message = ask(IN_PARIS, tools=[WEATHER], tool_choice="none").choices[0].message

    assert message.content and message.tool_calls is None


BAD_TOOLS = {
    "a name with a space": (
        [{"type": "function", "function": {"name": "no name"}}],
        "tools[0].function.name",
    ),
    "a name twice": ([WEATHER, WEATHER], "tools[1].function.name"),
    "parameters that are no schema": (
        [{"type": "function", "function": {"name": "f", "parameters": []}}],
        "tools[0].function.parameters",
    ),
    "too many": (
        [{"type": "function", "function": {"name": f"f{number}"}} for number in range(2049)],
        "tools",
    ),
}


@pytest.mark.parametrize(("tools", "param"), BAD_TOOLS.values(), ids=BAD_TOOLS.keys())
def test_a_bad_tool_is_named(ask, tools, param):
    with pytest.raises(BadRequestError) as caught:
        ask("Hello", tools=tools)

    assert caught.value.param == param


def test_a_result_without_its_call_is_named(client, model):
    messages = [*user(IN_PARIS), {"role": "tool", "tool_call_id": "call_1", "content": RESULT}]
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(model=model, messages=messages)

    assert caught.value.param == "messages[1].tool_call_id"


def test_the_older_form_is_refused(ask):
    with pytest.raises(BadRequestError) as caught:
        ask("Hello", functions=[{"name": "f", "parameters": {}}])

    assert caught.value.param == "functions"
    assert "tools" in caught.value.message
