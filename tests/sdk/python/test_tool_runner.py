"""The tool runner of Anthropic's SDK, as it comes.

Since version 2 it asks for a conversation that the server keeps (`thread`), and sends the whole conversation once it is
told that there is none. The suite runs with an older version too.
"""

import pytest
from anthropic import Anthropic, BadRequestError, beta_tool

QUESTION = "What is the weather in Paris?"


@pytest.fixture
def anthropic(gateway):
    with Anthropic(base_url=gateway.url, api_key=gateway.token, max_retries=0, timeout=60) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_goes_on_to_the_answer(anthropic, model, stream):
    cities = []

    @beta_tool
    def get_weather(city: str) -> str:
        """Get the weather for a city"""
        cities.append(city)
        return "sunny, 21 degrees"

    runner = anthropic.beta.messages.tool_runner(
        model=model,
        max_tokens=100,
        messages=[{"role": "user", "content": QUESTION}],
        tools=[get_weather],
        stream=stream,
        # Version 2's runner has no temperature of its own.
        extra_body={"temperature": 0},
    )
    message = runner.until_done()
    assert len(cities) >= 1
    assert message.stop_reason == "end_turn"
    assert message.content[0].type == "text"


def test_an_unknown_thread_is_refused(anthropic, model):
    thread = {"type": "continue", "previous_message_id": "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    with pytest.raises(BadRequestError) as refused:
        anthropic.messages.create(
            model=model,
            max_tokens=10,
            messages=[{"role": "user", "content": "And now?"}],
            extra_body={"thread": thread},
        )
    details = refused.value.body["error"]["details"]
    assert details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
