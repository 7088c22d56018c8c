import json

from qsm_core.models.text.cached import CachedLLM
from qsm_core.models.text.protocol import Answer


class Counting:
    """Never says the same twice; a line of its answers may hold any sign."""

    at_once = 2

    def __init__(self):
        self.calls = 0

    def answers(self, prompt, seeds):
        self.calls += 1
        text = f"answer {self.calls} to\u2028"
        return [
            Answer(f"{text}{seed}\n\ud800", "was cut off" if seed > 1 else "") for seed in seeds
        ]


def test_a_cached_answer_is_not_requested_again(tmp_path):
    path, llm = tmp_path / "llm.jsonl", Counting()
    before = CachedLLM(llm, path)
    assert before.at_once == 2
    first = before.answers("ask", [1, 2])
    with path.open("ab") as file:
        file.write(b'{"to": "half a line')
    after = CachedLLM(llm, path)
    again = after.answers("ask", [1, 2])
    assert [one.text[:12] for one in again] == [one.text[:12] for one in first]
    assert [one.fault for one in again] == [one.fault for one in first] == ["", "was cut off"]
    assert llm.calls == 1
    after.answers("ask", [3])
    after.answers("ask other", [1, 2])
    assert llm.calls == 3
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [event["prompt"] for event in events if "prompt" in event] == ["ask", "ask other"]
    assert [event["seeds"] for event in events if "seeds" in event] == [[1, 2], [3], [1, 2]]
