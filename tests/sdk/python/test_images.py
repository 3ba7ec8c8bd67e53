"""Images, drawn by a vendor that is played here."""

import base64
import os
import urllib.request

import openai
import pytest

from vendor import PIXEL, Vendor

MODEL = "played:gpt-image-1"


@pytest.fixture(scope="module")
def vendor():
    address = os.environ.get("HEARTH_PLAYED_VENDOR")
    if not address:
        pytest.skip("HEARTH_PLAYED_VENDOR is not set")
    with Vendor(address) as vendor:
        yield vendor


def test_images_are_drawn(client, vendor):
    answer = client.images.generate(
        model=MODEL,
        prompt="a fox",
        n=2,
        size="1024x1536",
        quality="high",
        output_format="png",
        background="transparent",
        moderation="low",
    )
    assert [base64.b64decode(image.b64_json) for image in answer.data] == [PIXEL, PIXEL]
    assert answer.data[0].revised_prompt == "a fox, in detail"
    assert (answer.output_format, answer.size, answer.background) == ("png", "1024x1536", "transparent")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (8, 90, 98)
    asked = vendor.asked[-1]
    assert (asked["model"], asked["n"], asked["size"], asked["moderation"]) == ("gpt-image-1", 2, "1024x1536", "low")


@pytest.mark.parametrize("asked", [{"model": "played:dall-e-3"}, {"model": MODEL, "response_format": "url"}])
def test_a_link_opens_the_image_without_a_token(client, vendor, asked):
    answer = client.images.generate(prompt="a fox", **asked)
    assert answer.data[0].b64_json is None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(answer.data[0].url, timeout=60) as file:
        assert (file.headers["content-type"], file.read()) == ("image/png", PIXEL)


def test_a_streamed_image_is_one_event(client, vendor):
    events = list(client.images.generate(model=MODEL, prompt="a fox", stream=True))
    assert [event.type for event in events] == ["image_generation.completed"]
    assert base64.b64decode(events[0].b64_json) == PIXEL
    assert events[0].usage.total_tokens == 98


@pytest.mark.parametrize("count", [1, 2])
def test_images_are_changed(client, vendor, count):
    shown = [("fox.png", PIXEL, "image/png")] * count
    answer = client.images.edit(
        model=MODEL,
        image=shown[0] if count == 1 else shown,
        mask=("mask.png", PIXEL, "image/png"),
        prompt="in the rain",
        n=2,
        size="1024x1024",
        input_fidelity="high",
    )
    assert [base64.b64decode(image.b64_json) for image in answer.data] == [PIXEL, PIXEL]
    asked = vendor.asked[-1]
    assert (asked["model"], asked["prompt"], asked["n"]) == ("gpt-image-1", "in the rain", "2")
    assert (asked["size"], asked["input_fidelity"], asked["mask"]) == ("1024x1024", "high", PIXEL)
    assert (asked["image"] if count == 1 else asked["image[]"]) == (PIXEL if count == 1 else [PIXEL, PIXEL])


def test_a_changed_image_streams_as_one_event(client, vendor):
    events = list(client.images.edit(model=MODEL, image=PIXEL, prompt="in the rain", stream=True))
    assert [event.type for event in events] == ["image_edit.completed"]


async def test_the_asynchronous_client_has_them_too(async_client, vendor):
    answer = await async_client.images.generate(model=MODEL, prompt="a fox")
    assert base64.b64decode(answer.data[0].b64_json) == PIXEL


def test_errors_have_the_types_of_the_sdk(client, vendor):
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model=MODEL, prompt="forbidden")
    assert "rejected" in str(refused.value)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model=MODEL, prompt="a fox", size="large")
    assert refused.value.param == "size"
    with pytest.raises(openai.NotFoundError):
        client.images.generate(model="no-such-model", prompt="a fox")
