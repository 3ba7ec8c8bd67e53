"""Google's SDK asks the same gateway."""

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

GREEDY = {"temperature": 0}

#: What the test model says of the weather that the function below gives.
SUNNY = "It is sunny and 21 degrees in Paris."


class Person(BaseModel):
    name: str
    age: int


def get_weather(city: str) -> dict:
    """Get the weather for a city"""
    return {"temperature": 21, "condition": "sunny"}


def client_of(gateway, token: str) -> genai.Client:
    options = types.HttpOptions(base_url=gateway.url, timeout=60_000)
    return genai.Client(api_key=token, http_options=options)


@pytest.fixture
def google(gateway):
    return client_of(gateway, gateway.token)


def declared() -> types.Tool:
    """The function by its declaration, so that the SDK doesn't run it."""
    city = types.Schema(type="STRING")
    parameters = types.Schema(type="OBJECT", properties={"city": city}, required=["city"])
    function = types.FunctionDeclaration(
        name="get_weather", description="Get the weather for a city", parameters=parameters
    )
    return types.Tool(function_declarations=[function])


def test_a_text_is_generated(google, model):
    answer = google.models.generate_content(
        model=model,
        contents="What is the capital of France?",
        config={"system_instruction": "You are kind.", "max_output_tokens": 40, **GREEDY},
    )
    assert "Paris" in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version == model
    usage = answer.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0


def test_a_stream_is_the_same_answer(google, model):
    asked = {"model": model, "contents": "What is the capital of Japan?", "config": GREEDY}
    whole = google.models.generate_content(**asked)
    chunks = list(google.models.generate_content_stream(**asked))
    assert len(chunks) > 2
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.candidates_token_count == whole.usage_metadata.candidates_token_count


async def test_the_asynchronous_client_streams_too(google, model):
    stream = await google.aio.models.generate_content_stream(
        model=model, contents="What is the capital of France?", config=GREEDY
    )
    text = "".join([chunk.text or "" async for chunk in stream])
    assert "Paris" in text


def test_the_limit_is_kept(google, model):
    config = {"max_output_tokens": 3, **GREEDY}
    answer = google.models.generate_content(model=model, contents="Tell me a story.", config=config)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.usage_metadata.candidates_token_count == 3


def test_every_setting_is_taken(google, model):
    config = types.GenerateContentConfig(
        temperature=1.0,
        top_p=0.9,
        top_k=40,
        seed=7,
        max_output_tokens=10,
        stop_sequences=["nowhere"],
        presence_penalty=0.1,
        frequency_penalty=0.1,
        candidate_count=1,
        thinking_config=types.ThinkingConfig(thinking_budget=0),
        safety_settings=[
            types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")
        ],
        tools=[types.Tool(google_search=types.GoogleSearch())],
    )
    first, second = (
        google.models.generate_content(model=model, contents="Hello!", config=config) for _ in range(2)
    )
    assert first.text == second.text


def test_a_chat_goes_on(google, model):
    chat = google.chats.create(model=model, config=GREEDY)
    assert "Paris" in chat.send_message("What is the capital of France?").text
    pieces = [chunk.text or "" for chunk in chat.send_message_stream("What is the capital of Japan?")]
    assert "".join(pieces)
    history = chat.get_history()
    assert [content.role for content in history[:3]] == ["user", "model", "user"]
    assert chat.send_message("Thank you!").text


def test_a_function_is_called_by_the_sdk(google, model):
    answer = google.models.generate_content(
        model=model,
        contents="What is the weather in Paris?",
        config=types.GenerateContentConfig(tools=[get_weather], **GREEDY),
    )
    assert answer.text == SUNNY
    assert len(answer.automatic_function_calling_history) == 3


def test_a_call_is_told_and_its_result_taken(google, model):
    config = types.GenerateContentConfig(tools=[declared()], **GREEDY)
    question = types.Content(role="user", parts=[types.Part(text="What is the weather in Paris?")])
    chunks = list(
        google.models.generate_content_stream(model=model, contents=[question], config=config)
    )
    [call] = [call for chunk in chunks for call in chunk.function_calls or []]
    assert (call.name, call.args) == ("get_weather", {"city": "Paris"})
    said = [chunk.candidates[0].content for chunk in chunks]
    result = types.Part.from_function_response(
        name="get_weather", response={"temperature": 21, "condition": "sunny"}
    )
    contents = [question, *said, types.Content(role="user", parts=[result])]
    answer = google.models.generate_content(model=model, contents=contents, config=config)
    assert answer.text == SUNNY


def test_a_call_can_be_forced(google, model):
    calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["get_weather"])
    config = types.GenerateContentConfig(
        tools=[declared()], tool_config=types.ToolConfig(function_calling_config=calling), **GREEDY
    )
    answer = google.models.generate_content(model=model, contents="Hello!", config=config)
    assert answer.function_calls[0].name == "get_weather"


@pytest.mark.parametrize("form", [{"response_schema": Person}, {"response_json_schema": Person.model_json_schema()}])
def test_an_answer_has_the_form_of_its_schema(google, model, form):
    answer = google.models.generate_content(
        model=model,
        contents="Give me JSON with name and age for Ada.",
        config={"response_mime_type": "application/json", **form, **GREEDY},
    )
    assert Person.model_validate_json(answer.text) == Person(name="Ada", age=36)


def test_tokens_are_counted(google, model):
    short = google.models.count_tokens(model=model, contents="Hello!").total_tokens
    long = google.models.count_tokens(model=model, contents="Hello! " * 100).total_tokens
    assert 0 < short < long


def test_models_are_listed_page_by_page(google, model):
    names = [listed.name for listed in google.models.list(config={"page_size": 1})]
    assert f"models/{model}" in names
    assert len(names) == len(set(names)) > 1
    assert google.models.get(model=model).input_token_limit > 0


def test_texts_are_embedded(google, embedding_model):
    answer = google.models.embed_content(model=embedding_model, contents=["a cat", "a dog"])
    assert [len(embedding.values) > 0 for embedding in answer.embeddings] == [True, True]


def test_errors_have_the_classes_and_the_status_of_the_sdk(gateway, google, model):
    with pytest.raises(errors.ClientError) as missing:
        google.models.generate_content(model="no-such-model", contents="Hi")
    assert (missing.value.code, missing.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as refused:
        google.models.generate_content(model=model, contents="Hi", config={"temperature": 9})
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert "generationConfig.temperature" in refused.value.message
    other = client_of(gateway, "hth_no")
    with pytest.raises(errors.ClientError) as stranger:
        list(other.models.generate_content_stream(model=model, contents="Hi"))
    assert (stranger.value.code, stranger.value.status) == (401, "UNAUTHENTICATED")
