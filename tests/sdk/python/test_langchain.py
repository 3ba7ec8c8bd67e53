"""LangChain's own tests of chat models, each of its clients for this API asking the gateway."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

from gateway import Gateway

#: As many tokens as the small model may take to end a JSON text. At temperature 0 it would never end
#: some: it knows no jokes. So it chooses freely, and the seed makes that repeatable.
ASKED = {"max_tokens": 800, "temperature": 2, "max_retries": 0, "timeout": 60}
import os
SEED = {"seed": int(os.environ.get("SEED","2"))}


# LangChain keeps one asynchronous client for all tests, so they need one event loop.
@pytest.mark.asyncio(loop_scope="session")
class Suite(ChatModelIntegrationTests):
    """What the gateway and the small model are said to do; the rest is on."""

    @property
    def standard_chat_model_params(self) -> dict:
        return {}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return Gateway.from_environment().model


def openai(**options) -> dict:
    gateway = Gateway.from_environment()
    return {"base_url": f"{gateway.url}/v1", "api_key": gateway.token, "model": gateway.model, **ASKED, **options}


class TestChatCompletions(Suite):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict:
        return openai(stream_usage=True, **SEED)


class TestResponses(Suite):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict:
        return openai(use_responses_api=True, extra_body=SEED)


class TestMessages(Suite):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict:
        gateway = Gateway.from_environment()
        options = {"model_kwargs": {"extra_body": SEED}}
        return {"base_url": gateway.url, "api_key": gateway.token, "model": gateway.model, **ASKED, **options}


class TestEmbeddings(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def needs_a_model(self, embedding_model) -> None:
        self.model_name = embedding_model

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict:
        gateway = Gateway.from_environment()
        # Texts are sent as they are, not as the tokens of OpenAI's models.
        options = {"check_embedding_ctx_length": False, "max_retries": 0}
        return {"base_url": f"{gateway.url}/v1", "api_key": gateway.token, "model": self.model_name, **options}
