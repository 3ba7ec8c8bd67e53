"""Fixtures: the gateway named by the environment, a client of each kind, and a way to ask."""

import os

import pytest
import pytest_asyncio

from gateway import Gateway, user


def pytest_configure(config):
    """Stops the run at once, with one line, when the environment does not name a gateway."""
    if config.option.help or config.option.collectonly:
        return
    try:
        Gateway.from_environment()
    except RuntimeError as reason:
        raise pytest.UsageError(str(reason)) from None


@pytest.fixture(scope="session")
def gateway() -> Gateway:
    return Gateway.from_environment()


@pytest.fixture(scope="session")
def model(gateway) -> str:
    return gateway.model


@pytest.fixture(scope="session")
def embedding_model() -> str:
    return os.environ.get("HEARTH_EMBEDDING_MODEL") or pytest.skip("HEARTH_EMBEDDING_MODEL is not set")


@pytest.fixture(scope="session")
def client(gateway):
    with gateway.client() as client:
        yield client


@pytest_asyncio.fixture
async def async_client(gateway):
    async with gateway.async_client() as client:
        yield client


@pytest.fixture
def ask(client, model):
    """`ask("Hello", stop=["."])`: one user message, greedy unless the test says otherwise."""

    def ask(prompt, **parameters):
        parameters = {"temperature": 0, **parameters}
        return client.chat.completions.create(model=model, messages=user(prompt), **parameters)

    return ask


@pytest.fixture
def ask_async(async_client, model):
    """As `ask`, on the asynchronous client."""

    async def ask(prompt, **parameters):
        parameters = {"temperature": 0, **parameters}
        return await async_client.chat.completions.create(
            model=model, messages=user(prompt), **parameters
        )

    return ask
