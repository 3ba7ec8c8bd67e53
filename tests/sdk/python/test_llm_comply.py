"""llm-comply: its cases for three dialects, each a test, and those that can't pass, each with the reason."""

import dataclasses
from importlib.resources import files

import llm_comply
import pytest
from llm_comply.tests import get_tests

BLIND = "the small model reads text only, and says so"
NOT_COMPACTED = "conversations aren't compacted here; the path is that of a response, which takes no POST"

#: What fails, and why. A case that passes all the same is a failure too.
FAILS = {
    "chat-image-input": BLIND,
    "image-input": BLIND,
    "anth-image-input": BLIND,
    "compact-response": NOT_COMPACTED,
    "compact-missing-model": NOT_COMPACTED,
}

#: By format: the schemas that answers are held against, and how the key is sent.
FORMATS = {
    "openai-chat": ("openai_chat.json", {}),
    "open-responses": ("openresponses.json", {}),
    "anthropic": (
        "anthropic.json",
        {
            "auth_header": "x-api-key",
            "use_bearer_prefix": False,
            "extra_headers": {"anthropic-version": "2023-06-01"},
        },
    ),
}


@pytest.fixture(scope="module")
def runners(gateway, model):
    """A runner for each format."""

    def runner(schemas, options):
        config = llm_comply.ComplianceConfig(
            base_url=f"{gateway.url}/v1", api_key=gateway.token, model=model, **options
        )
        spec = llm_comply.SpecLoader(str(files(llm_comply) / "specs" / schemas))
        return llm_comply.TestRunner(config, [], spec)

    return {name: runner(*how) for name, how in FORMATS.items()}


def parameters(name, case):
    fails = FAILS.get(case.id)
    marks = [pytest.mark.xfail(reason=fails, strict=True)] if fails else []
    return pytest.param(name, case, id=case.id, marks=marks)


CASES = [parameters(name, case) for name in FORMATS for case in get_tests(name)]


def greedy(case):
    """The case, at temperature 0: it names none, and a small model that chooses freely may never end."""
    return dataclasses.replace(
        case, build_request=lambda config: {**case.build_request(config), "temperature": 0}
    )


@pytest.mark.parametrize(("format", "case"), CASES)
def test_case(runners, format, case):
    result = runners[format].run_one(greedy(case))

    if result.status == llm_comply.TestStatus.SKIPPED:
        pytest.skip(result.errors[0])
    assert result.errors == []


def test_what_fails_is_still_a_case():
    assert FAILS.keys() <= {case.id for case in CASES}
