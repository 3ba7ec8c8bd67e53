"""The same behaviour through the asynchronous client."""

import asyncio

import pytest
from openai import AuthenticationError, BadRequestError, NotFoundError

from gateway import ENDLESS, finish_reasons, joined, text_of, user, wait_until_cancelled


async def collect(stream) -> list:
    return [chunk async for chunk in stream]


async def test_models_are_listed_and_retrieved(async_client, model):
    assert model in [entry.id async for entry in async_client.models.list()]
    assert (await async_client.models.retrieve(model)).id == model


async def test_a_question_is_answered(ask_async):
    completion = await ask_async("What is the capital of France?")

    assert "Paris" in text_of(completion)
    assert completion.choices[0].finish_reason == "stop"


async def test_the_chunks_add_up_to_the_answer(ask_async):
    chunks = await collect(await ask_async("Tell me a story.", stream=True))

    assert chunks[0].choices[0].delta.role == "assistant"
    assert joined(chunks) == text_of(await ask_async("Tell me a story."))
    assert finish_reasons(chunks) == ["stop"]


async def test_usage_comes_last_when_asked_for(ask_async):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *before, last = await collect(await ask_async("Hello", **options))

    assert last.choices == [] and last.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in before)


async def test_the_request_id_is_in_the_response_headers(async_client, model):
    raw = await async_client.chat.completions.with_raw_response.create(
        model=model, messages=user("Hello")
    )

    assert raw.headers["x-request-id"]


async def test_closing_the_stream_cancels_the_run(ask_async, client):
    stream = await ask_async("Tell me a story.", stream=True, **ENDLESS)
    for _ in range(3):
        await anext(stream)
    await stream.close()

    run = await asyncio.to_thread(
        wait_until_cancelled, client, stream.response.headers["x-request-id"]
    )
    assert 0 < run["usage"]["completion_tokens"] < ENDLESS["max_tokens"]
    assert "Paris" in text_of(await ask_async("What is the capital of France?"))


async def test_cancelling_the_task_that_reads_cancels_the_run(ask_async, client):
    stream = await ask_async("Tell me a story.", stream=True, **ENDLESS)
    reading = asyncio.Event()

    async def read():
        async with stream:
            async for _ in stream:
                reading.set()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    run = await asyncio.to_thread(
        wait_until_cancelled, client, stream.response.headers["x-request-id"]
    )
    assert run["usage"]["completion_tokens"] < ENDLESS["max_tokens"]


async def test_ten_streams_at_once_all_complete(ask_async):
    async def answer():
        return await collect(await ask_async("What is the capital of France?", stream=True))

    streams = await asyncio.gather(*(answer() for _ in range(10)))

    alone = text_of(await ask_async("What is the capital of France?"))
    assert [joined(chunks) for chunks in streams] == [alone] * 10
    assert [finish_reasons(chunks) for chunks in streams] == [["stop"]] * 10


async def test_a_wrong_key_is_refused(gateway):
    async with gateway.async_client(api_key="hth_wrong") as stranger:
        with pytest.raises(AuthenticationError) as caught:
            await stranger.models.list()

    assert caught.value.code == "unauthorized"


async def test_an_unknown_model_is_not_found(async_client):
    with pytest.raises(NotFoundError) as caught:
        await async_client.chat.completions.create(model="no-such-model", messages=user("Hello"))

    assert caught.value.code == "model_not_found"


async def test_a_bad_parameter_is_named(ask_async):
    with pytest.raises(BadRequestError) as caught:
        await ask_async("Hello", stream=True, max_tokens=0)

    assert caught.value.param == "max_tokens"
