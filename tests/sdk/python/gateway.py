"""What the tests need to know about the gateway under test, and a few ways to talk to it."""

import os
import time
from dataclasses import dataclass

from openai import AsyncOpenAI, OpenAI

CANCEL_DEADLINE_S = 20
POLL_INTERVAL_S = 0.05

#: Far more than the 4,096 tokens that the test model's context holds.
PROMPT_TOO_LONG = "word " * 10_000

#: A run that only ends early if somebody stops it: it fills most of the context.
ENDLESS = {"max_tokens": 3500, "extra_body": {"ignore_eos": True}}


@dataclass(frozen=True)
class Gateway:
    """Where the gateway is, the key to it, and the model to ask."""

    url: str
    token: str
    model: str

    @classmethod
    def from_environment(cls) -> "Gateway":
        names = ("HEARTH_URL", "HEARTH_TOKEN", "HEARTH_MODEL")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise RuntimeError(f"set {', '.join(missing)} (see tests/sdk/README.md)")
        url, token, model = (os.environ[name] for name in names)
        return cls(url.rstrip("/"), token, model)

    # No retries and a short timeout, here and below: a failure must show, not be smoothed over.

    def client(self, **options) -> OpenAI:
        options = {"api_key": self.token, "max_retries": 0, "timeout": 60, **options}
        return OpenAI(base_url=f"{self.url}/v1", **options)

    def async_client(self, **options) -> AsyncOpenAI:
        options = {"api_key": self.token, "max_retries": 0, "timeout": 60, **options}
        return AsyncOpenAI(base_url=f"{self.url}/v1", **options)


def user(content) -> list[dict]:
    """A conversation of one user message."""
    return [{"role": "user", "content": content}]


def text_of(completion) -> str:
    """The answer of a completion that came in one piece."""
    return completion.choices[0].message.content


def joined(chunks) -> str:
    """The answer of a completion that came in chunks."""
    return "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices
    )


def finish_reasons(chunks) -> list[str]:
    """Every finish reason in the stream; a sound stream has exactly one."""
    return [
        choice.finish_reason
        for chunk in chunks
        for choice in chunk.choices
        if choice.finish_reason is not None
    ]


def counts(usage) -> tuple[int, int, int]:
    """The counts that depend on the texts alone; how much of them was cached may differ."""
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def wait_until_cancelled(client: OpenAI, request_id: str) -> dict:
    """Polls `GET /v1/requests/{id}` until the run is cancelled, and gives its last state."""
    deadline = time.monotonic() + CANCEL_DEADLINE_S
    while True:
        run = client.get(f"/requests/{request_id}", cast_to=object)
        if run["status"] == "cancelled":
            return run
        assert time.monotonic() < deadline, f"not cancelled after {CANCEL_DEADLINE_S} s: {run}"
        time.sleep(POLL_INTERVAL_S)
