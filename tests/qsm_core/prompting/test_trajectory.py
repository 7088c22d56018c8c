import json

import pytest

from qsm_core.errors import DataError
from qsm_core.prompting.trajectory import Trajectory


def test_events_are_appended_and_read_back_with_the_same_numbers(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    first = Trajectory(path)
    first.append("scored", {"score": 0.1 + 0.2, "text": "¿habla? 语音"})
    first.append("asked", {"iteration": 1})
    before = path.read_bytes()
    second = Trajectory(path)
    assert list(second.events("scored")) == list(first.events("scored"))
    assert next(second.events("scored"))["score"] == 0.1 + 0.2
    second.append("scored", {"score": 1})
    assert path.read_bytes().startswith(before)
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == [
        "scored",
        "asked",
        "scored",
    ]


def test_a_line_cut_anywhere_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    trajectory = Trajectory(path)
    trajectory.append("scored", {"number": 0})
    whole = path.read_bytes()
    trajectory.append("scored", {"number": 1, "text": "语音"})
    content = path.read_bytes()
    for length in range(len(whole), len(content)):
        path.write_bytes(content[:length])
        assert [event["number"] for event in Trajectory(path).events("scored")] == [0]
        assert path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    path.write_text('{"event": "asked"}\n{"even\n{"event": "asked"}\n')
    with pytest.raises(DataError, match="line 2"):
        Trajectory(path)
