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


def test_the_list_of_batches_is_read_page_by_page(client, model):
    made = []
    for _ in range(3):
        file = upload(client, lines(model, 1))
        made.append(
            client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h").id
        )
    page = client.batches.list(limit=2)
    assert ([batch.id for batch in page.data], page.has_more) == (made[:0:-1], True)
    assert client.batches.list(limit=2, after=made[1]).data[0].id == made[0]
    ids = [batch.id for batch in client.batches.list(limit=1)]
    assert ids[:3] == made[::-1]
    assert len(ids) == len(set(ids))


def test_a_batch_for_each_endpoint(client, model, embedding_model):
    hello = [{"role": "user", "content": "Hello!"}]
    bodies = {
        "/v1/responses": {"model": model, "input": "Hello!", "max_output_tokens": 16},
        "/v1/completions": {"model": model, "prompt": "Hello!", "max_tokens": 4},
        "/v1/embeddings": {"model": embedding_model, "input": "Hello!"},
        "/v1/messages": {"model": model, "max_tokens": 8, "messages": hello},
    }
    objects = {"/v1/responses": "response", "/v1/completions": "text_completion", "/v1/embeddings": "list"}
    for endpoint, body in bodies.items():
        line = {"custom_id": "one", "method": "POST", "url": endpoint, "body": body}
        file = upload(client, json.dumps(line).encode())
        batch = client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")
        batch = ended(client, batch)
        assert (batch.status, batch.endpoint, batch.request_counts.completed) == ("completed", endpoint, 1), batch
        result = json.loads(client.files.content(batch.output_file_id).text)
        answer = result["response"]["body"]
        assert answer.get("object", answer.get("type")) == objects.get(endpoint, "message")


def test_results_are_deleted_when_the_client_says(client, model):
    file = upload(client, lines(model, 1))
    expiry = {"anchor": "created_at", "seconds": 3600}
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        output_expires_after=expiry,
    )
    batch = ended(client, batch)
    results = client.files.retrieve(batch.output_file_id)
    assert (results.purpose, results.expires_at) == ("batch_output", results.created_at + 3600)
    client.files.delete(results.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(batch.output_file_id)


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


def test_a_cancelled_batch_of_messages_has_a_result_for_each_request(batches, model):
    params = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello!"}]}
    batch = batches.create(requests=[{"custom_id": f"m{n}", "params": params} for n in range(1000)])
    with pytest.raises(anthropic.ConflictError):
        batches.delete(batch.id)
    cancelled = batches.cancel(batch.id)
    assert cancelled.processing_status in {"canceling", "ended"}
    assert cancelled.cancel_initiated_at is not None
    batch = until(lambda: batches.retrieve(batch.id), lambda batch: batch.processing_status == "ended")
    counts = batch.request_counts
    assert counts.canceled > 0
    assert counts.succeeded + counts.canceled == 1000
    results = [entry.result.type for entry in batches.results(batch.id)]
    assert results.count("canceled") == counts.canceled
    assert results.count("succeeded") == counts.succeeded


def test_an_unknown_batch_of_messages_is_an_error_of_the_sdk(batches):
    for call in (batches.retrieve, batches.cancel, batches.delete, batches.results):
        with pytest.raises(anthropic.NotFoundError):
            call("msgbatch_01JDB4T6ZW3Q8N5XKM2C7V9RHF")
