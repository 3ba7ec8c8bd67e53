"""`llm`, the command line: the gateway is a model of its `extra-openai-models.yaml`."""

import json

import llm
import pytest
import yaml
from click.testing import CliRunner
from llm.cli import cli
from llm.default_plugins.openai_models import OpenAIEmbeddingModel
from llm.plugins import pm

CAPITAL = "What is the capital of France?"
ADA = "Give me JSON with name and age for Ada."
SUNNY = "It is sunny and 21 degrees in Paris."
#: A tool as its users write them.
WEATHER = '''
def get_weather(city: str) -> dict:
    "Get the weather for a city"
    return {"temperature": 21, "condition": "sunny"}
'''


@pytest.fixture
def home(gateway, model, tmp_path, monkeypatch):
    """A folder of its own, which knows the gateway's two dialects as the models `hearth` and `responses`."""
    known = {
        "model_name": model,
        "api_base": f"{gateway.url}/v1",
        "api_key_name": "hearth",
        "supports_schema": True,
        "supports_tools": True,
    }
    models = [{"model_id": "hearth", **known}, {"model_id": "responses", "responses": True, **known}]
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump(models))
    (tmp_path / "keys.json").write_text(json.dumps({"hearth": gateway.token}))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    return tmp_path


@pytest.fixture(params=["hearth", "responses"])
def run(home, request):
    """`run("prompt", "Hello")`: what the command writes; it must succeed."""

    def run(command, *words):
        words = [command, *(["-m", request.param, "-o", "temperature", "0"] if command == "prompt" else []), *words]
        result = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output.strip()

    return run


def test_a_prompt_is_answered_in_pieces_and_whole(run):
    streamed = run("prompt", CAPITAL)

    assert "Paris" in streamed
    assert run("prompt", CAPITAL, "--no-stream") == streamed


def test_the_tokens_are_logged(run):
    run("prompt", CAPITAL)

    (entry,) = json.loads(run("logs", "--json", "--count", "1"))
    assert entry["input_tokens"] > 0
    assert entry["output_tokens"] > 0


def test_a_conversation_goes_on(run):
    run("prompt", "My name is Ada.")

    assert "Ada" in run("prompt", "What is my name?", "--continue")


def test_a_schema_holds(run):
    told = run("prompt", ADA, "--schema", "name, age int")

    assert json.loads(told) == {"name": "Ada", "age": 36}


@pytest.mark.parametrize("way", [[], ["--no-stream"]], ids=["streamed", "whole"])
def test_a_tool_is_called_and_its_result_is_told(run, way):
    told = run("prompt", "What is the weather in Paris?", "--functions", WEATHER, *way)

    assert told == SUNNY


def test_an_error_is_told(home):
    result = CliRunner().invoke(cli, ["prompt", "-m", "hearth", "-o", "temperature", "0", "Hi", "--key", "hth_no"])

    assert result.exit_code == 1
    assert "Error" in result.output


def test_a_model_that_is_nowhere_set_up(gateway, model, home):
    words = ["openai", "endpoint", f"{gateway.url}/v1", CAPITAL, "-m", model, "--key", gateway.token]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)

    assert "Paris" in result.output


class Embeddings:
    """A plugin: llm's own class for OpenAI's embeddings, with the gateway's model."""

    def __init__(self, model):
        self.model = model

    @llm.hookimpl
    def register_embedding_models(self, register):
        register(OpenAIEmbeddingModel("embeds", self.model))


def test_a_text_is_embedded(home, gateway, embedding_model, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{gateway.url}/v1")
    plugin = Embeddings(embedding_model)
    pm.register(plugin)
    try:
        words = ["embed", "-m", "embeds", "-c", "a cat", "--key", gateway.token]
        result = CliRunner().invoke(cli, words, catch_exceptions=False)
    finally:
        pm.unregister(plugin)

    vector = json.loads(result.output)
    assert sum(number * number for number in vector) == pytest.approx(1, abs=1e-3)
