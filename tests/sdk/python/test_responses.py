"""Responses: whole, in events, and going on from one another."""

import json

import pytest
from openai import BadRequestError, NotFoundError

QUESTION = "What is the capital of France?"
IN_PARIS = "What is the weather in Paris?"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather for a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "strict": False,
}
RESULT = '{"temperature":21,"condition":"sunny"}'


@pytest.fixture
def respond(client, model):
    """`respond("Hello", store=False)`: greedy unless the test says otherwise."""

    def respond(input, **parameters):
        parameters = {"temperature": 0, **parameters}
        return client.responses.create(model=model, input=input, **parameters)

    return respond


def calls(response) -> list:
    return [item for item in response.output if item.type == "function_call"]


def test_a_question_is_answered(respond, model):
    response = respond(QUESTION, metadata={"for": "a test"})

    assert (response.object, response.status, response.model) == ("response", "completed", model)
    assert "Paris" in response.output_text
    assert response.error is None and response.incomplete_details is None
    assert response.metadata == {"for": "a test"}
    usage = response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


def test_a_cut_answer_is_incomplete(respond):
    response = respond(QUESTION, max_output_tokens=1)

    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"


def test_events_add_up_to_the_response(respond):
    events = list(respond(QUESTION, stream=True))

    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == respond(QUESTION).output_text


def test_the_sdk_puts_a_streamed_call_together(client, model):
    with client.responses.stream(
        model=model, input=IN_PARIS, tools=[WEATHER], temperature=0
    ) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()

    (call,) = calls(response)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert kinds.count("response.function_call_arguments.done") == 1


@pytest.mark.parametrize("stored", [True, False])
def test_the_result_of_a_call_is_used(respond, stored):
    first = respond(IN_PARIS, tools=[WEATHER], store=stored)
    (call,) = calls(first)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": RESULT}
    if stored:
        answer = respond([result], previous_response_id=first.id, tools=[WEATHER])
    else:
        # As programs do: the items go back as the objects that the SDK gave.
        said = [{"role": "user", "content": IN_PARIS}, *first.output, result]
        answer = respond(said, tools=[WEATHER], store=False)

    assert answer.output_text
    assert not calls(answer)


def test_a_stored_response_is_read_and_deleted(client, respond):
    response = respond(QUESTION)

    again = client.responses.retrieve(response.id)
    assert (again.output_text, again.usage) == (response.output_text, response.usage)
    client.responses.delete(response.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(response.id)
    with pytest.raises(NotFoundError) as refused:
        respond("And of Spain?", previous_response_id=response.id)
    assert refused.value.param == "previous_response_id"


def test_the_input_of_a_stored_response_is_listed(client, respond):
    first = respond([{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Paris."}, {"role": "user", "content": "Sure?"}])
    second = respond("And of Spain?", previous_response_id=first.id)

    def texts(response, **options):
        items = client.responses.input_items.list(response.id, **options)
        return [item.content[0].text for item in items]

    assert texts(first) == ["Sure?", "Paris.", QUESTION]
    # One item a page: the SDK follows the pages.
    assert texts(first, order="asc", limit=1) == [QUESTION, "Paris.", "Sure?"]
    assert texts(second, include=["message.input_image.image_url", "reasoning.encrypted_content"]) == [
        "And of Spain?"
    ]
    with pytest.raises(NotFoundError):
        client.responses.input_items.list("req_01JAY3V5Z7Q8R9T0V1W2X3Y4Z5")


def test_a_hosted_tool_is_left_out_unless_it_must_be_used(respond):
    search = {"type": "web_search"}
    assert "Paris" in respond(QUESTION, tools=[search]).output_text
    with pytest.raises(BadRequestError) as refused:
        respond(QUESTION, tools=[search], tool_choice=search)
    assert refused.value.param == "tools"


def test_a_tool_that_a_local_model_lacks_is_refused(respond):
    with pytest.raises(BadRequestError) as refused:
        respond(QUESTION, tools=[{"type": "image_generation"}])
    assert refused.value.param == "tools" and "image_generation" in str(refused.value)


def test_each_of_several_prompts_is_completed(client, model):
    prompts = [QUESTION, "Hello!"]
    whole = client.completions.create(model=model, prompt=prompts, temperature=0, max_tokens=30, echo=True)

    assert [choice.index for choice in whole.choices] == [0, 1]
    assert all(choice.text.startswith(prompt) for choice, prompt in zip(whole.choices, prompts))


def test_a_prompt_is_answered_as_before_chat(client, model):
    ask = {"model": model, "prompt": QUESTION, "temperature": 0}
    whole = client.completions.create(**ask)

    assert whole.object == "text_completion"
    assert "Paris" in whole.choices[0].text
    chunks = client.completions.create(**ask, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
