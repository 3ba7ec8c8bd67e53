"""Webhooks: the library of Standard Webhooks verifies the events of the gateway. It needs the setting webhooks.private_addresses."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()
        self.server.arrived.release()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.received, server.arrived = [], threading.Semaphore(0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(gateway):
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.token}"}, timeout=60) as api:
        yield api


@pytest.fixture
def webhook(api, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    created = api.post("/v1/webhooks", json={"events": ["run.*"], "url": url})
    if created.status_code == 400 and "private_addresses" in created.text:
        pytest.skip("the gateway doesn't allow webhooks at private addresses")
    assert created.status_code == 201, created.text
    yield created.json()
    assert api.delete(f"/v1/webhooks/{created.json()['id']}").status_code == 204


def wait(receiver):
    assert receiver.arrived.acquire(timeout=30), "no event arrived"
    return receiver.received[-1]


def test_event_of_a_run_is_verified(ask, receiver, webhook):
    ask("What is the capital of France?")
    headers, body = wait(receiver)
    event = Webhook(webhook["secret"]).verify(body, headers)
    assert event["type"] == "run.completed"
    assert event == json.loads(body)


def test_changed_event_and_other_secret_are_refused(api, receiver, webhook):
    api.post(f"/v1/webhooks/{webhook['id']}/test").raise_for_status()
    headers, body = wait(receiver)
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook["secret"]).verify(body.replace(b"webhook.test", b"webhook.best"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(body, headers)


def test_both_secrets_verify_during_a_rotation(api, receiver, webhook):
    rotated = api.post(f"/v1/webhooks/{webhook['id']}/rotate", json={"overlap_seconds": 600}).json()
    api.post(f"/v1/webhooks/{webhook['id']}/test").raise_for_status()
    headers, body = wait(receiver)
    for secret in (webhook["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"


def test_events_of_a_batch_and_of_a_job_are_verified(api, client, model, receiver):
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    created = api.post("/v1/webhooks", json={"events": ["batch.*", "job.completed"], "url": url})
    if created.status_code == 400:
        pytest.skip("the gateway doesn't allow webhooks at private addresses")
    webhook = created.json()
    body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello!"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    events = {}
    for _ in range(2):
        headers, body = wait(receiver)
        event = Webhook(webhook["secret"]).verify(body, headers)
        events[event["type"]] = event
    assert api.delete(f"/v1/webhooks/{webhook['id']}").status_code == 204
    assert events["batch.completed"]["data"]["id"] == batch.id
    assert events["batch.completed"]["data"]["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    assert events["job.completed"]["data"]["kind"] == "batch"


def test_the_webhook_of_a_job_has_a_secret_of_its_own(api, receiver):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    webhook = {"url": f"http://127.0.0.1:{receiver.server_port}/hook", "secret": secret}
    job = {"kind": "generate", "input": {"input": {"prompt": "Hello!"}, "parameters": {"max_tokens": 4}}}
    submitted = api.post("/v1/jobs", json={**job, "webhook": webhook})
    if submitted.status_code == 400:
        pytest.skip("the gateway doesn't allow webhooks at private addresses")
    headers, body = wait(receiver)
    event = Webhook(secret).verify(body, headers)
    assert (event["type"], event["data"]["id"]) == ("job.completed", submitted.json()["id"])
