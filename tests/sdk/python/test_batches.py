"""Batches, as OpenAI's and Anthropic's SDKs create, watch, cancel and read them."""

import io
import json
import time

import anthropic
import openai
import pytest

SECONDS = 60


@pytest.fixture
def batches(gateway):
    url, key = gateway.url, gateway.token
    with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
        yield client.messages.batches


def lines(model, count, endpoint="/v1/chat/completions"):
    """Requests for short answers, one on each line."""
    body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello!"}]}
    requests = [{"custom_id": f"r{n}", "method": "POST", "url": endpoint, "body": body} for n in range(count)]
    return "\n".join(json.dumps(request) for request in requests).encode()


def upload(client, content):
    return client.files.create(file=("in.jsonl", io.BytesIO(content)), purpose="batch")


def until(read, has_ended):
    """Reads until the end of a batch."""
    deadline = time.monotonic() + SECONDS
    while not has_ended(batch := read()):
        assert time.monotonic() < deadline, batch
        time.sleep(0.2)
    return batch


def ended(client, batch):
    final = {"completed", "failed", "expired", "cancelled"}
    return until(lambda: client.batches.retrieve(batch.id), lambda batch: batch.status in final)


def test_a_batch_has_a_result_for_each_request(client, model):
    file = upload(client, lines(model, 5))
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"suite": "sdk"},
    )
    assert (batch.object, batch.status, batch.metadata) == ("batch", "validating", {"suite": "sdk"})
    batch = ended(client, batch)

    assert batch.status == "completed"
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (5, 5, 0)
    assert batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    results = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert sorted(result["custom_id"] for result in results) == [f"r{n}" for n in range(5)]
    for result in results:
        assert (result["response"]["status_code"], result["error"]) == (200, None)
        assert result["response"]["body"]["choices"][0]["message"]["role"] == "assistant"
    assert batch.id in [entry.id for entry in client.batches.list(limit=2)]


def test_a_wrong_file_names_its_lines(client, model):
    file = upload(client, lines(model, 1) + b"\n" + lines(model, 1))
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = ended(client, batch)

    assert batch.status == "failed"
    assert [(fault.code, fault.line) for fault in batch.errors.data] == [("duplicate_custom_id", 2)]


def test_an_unknown_file_is_an_error_of_the_sdk(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.batches.create(input_file_id="file-x", endpoint="/v1/responses", completion_window="24h")
    assert caught.value.param == "input_file_id"


def test_a_cancelled_batch_ends(client, model):
    file = upload(client, lines(model, 2000))
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    cancelled = client.batches.cancel(batch.id)
    assert cancelled.status in {"cancelling", "cancelled"}
    assert ended(client, batch).status == "cancelled"


def test_a_batch_of_messages_streams_its_results(batches, model):
    params = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello!"}]}
    requests = [{"custom_id": f"m{n}", "params": params} for n in range(3)]
    requests.append({"custom_id": "bad", "params": {**params, "temperature": 9}})
    batch = batches.create(requests=requests)
    assert (batch.type, batch.processing_status) == ("message_batch", "in_progress")
    batch = until(lambda: batches.retrieve(batch.id), lambda batch: batch.processing_status == "ended")

    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (3, 1)
    results = {entry.custom_id: entry.result for entry in batches.results(batch.id)}
    assert {results[f"m{n}"].type for n in range(3)} == {"succeeded"}
    assert results["m0"].message.role == "assistant"
    assert (results["bad"].type, results["bad"].error.error.type) == ("errored", "invalid_request_error")
    assert batch.id in [entry.id for entry in batches.list(limit=2)]
    assert batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(batch.id)
