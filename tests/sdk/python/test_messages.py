"""Anthropic's SDK asks the same gateway."""

import anthropic
import pytest

from gateway import user

#: The SDK has no parameter for it any more, and the API does.
GREEDY = {"extra_body": {"temperature": 0}}

WEATHER = {
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def messages(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0, timeout=60) as client:
        yield client.messages


def test_a_message_is_answered(messages, model):
    message = messages.create(model=model, max_tokens=40, messages=user("What is the capital of France?"))
    assert "Paris" in message.content[0].text
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 0
    assert message.usage.output_tokens > 0


def test_instructions_and_the_limit_are_kept(messages, model):
    message = messages.create(
        model=model, max_tokens=3, system="You are kind.", messages=user("Tell me a story."), **GREEDY
    )
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 3


def test_a_stream_is_the_same_answer(messages, model):
    asked = {"model": model, "max_tokens": 40, "messages": user("What is the capital of Japan?"), **GREEDY}
    whole = messages.create(**asked)
    with messages.stream(**asked) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason


def test_a_tool_is_called_and_its_result_is_told(messages, model):
    conversation = user("What is the weather in Paris?")
    asked = {"model": model, "max_tokens": 60, "tools": [WEATHER], **GREEDY}
    message = messages.create(messages=conversation, **asked)
    call = next(block for block in message.content if block.type == "tool_use")
    assert (message.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 21 degrees"}
    conversation += [{"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    answer = messages.create(messages=conversation, **asked)
    assert answer.content[0].text


def test_a_call_is_streamed(messages, model):
    with messages.stream(
        model=model, max_tokens=60, tools=[WEATHER], tool_choice={"type": "any"}, messages=user("Hello!")
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"
    assert isinstance(final.content[-1].input["city"], str)


def test_tokens_are_counted(messages, model):
    short = messages.count_tokens(model=model, messages=user("Hello!")).input_tokens
    long = messages.count_tokens(model=model, messages=user("Hello! " * 100)).input_tokens
    assert 0 < short < long


def test_errors_have_the_types_of_the_sdk(gateway, messages, model):
    with pytest.raises(anthropic.NotFoundError):
        messages.create(model="no-such-model", max_tokens=1, messages=user("Hi"))
    with pytest.raises(anthropic.BadRequestError) as refused:
        messages.create(model=model, max_tokens=1, messages=user("Hi"), extra_body={"temperature": 9})
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    stranger = anthropic.Anthropic(base_url=gateway.url, api_key="hth_no", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model=model, max_tokens=1, messages=user("Hi"))
