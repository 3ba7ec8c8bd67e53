"""Many clients at once: each gets its own answer, and gets all of it."""

from concurrent.futures import ThreadPoolExecutor

from gateway import finish_reasons, joined, text_of

PROMPTS = [
    "Hello",
    "What is the capital of France?",
    "What is the capital of Japan?",
    "Who are you?",
    "Tell me a story.",
] * 2


def test_ten_streams_at_once_each_get_their_own_answer(ask):
    alone = {prompt: text_of(ask(prompt)) for prompt in set(PROMPTS)}

    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        streams = list(pool.map(lambda prompt: list(ask(prompt, stream=True)), PROMPTS))

    assert [joined(chunks) for chunks in streams] == [alone[prompt] for prompt in PROMPTS]
    assert [finish_reasons(chunks) for chunks in streams] == [["stop"]] * len(PROMPTS)
