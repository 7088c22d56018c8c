import json

import pytest

from qsm_core.errors import DataError
from qsm_core.prompting.search.trajectory import Trajectory


def test_events_are_appended_and_read_back_with_the_same_numbers(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    first = Trajectory(path)
    first.record("scored", {"score": 0.1 + 0.2, "text": "¿habla? 语音"})
    first.record("asked", {"iteration": 1})
    assert list(Trajectory(path).events("scored")) == list(first.events("scored"))
    assert next(Trajectory(path).events("scored"))["score"] == 0.1 + 0.2
    kinds = [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()]
    assert kinds == ["scored", "asked"]


def test_what_happened_before_is_compared_and_then_written_on(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    first = Trajectory(path)
    first.record("asked", {"iteration": 1})
    first.record("scored", {"number": 0, "score": 0.3})
    before = path.read_bytes()
    second = Trajectory(path)
    assert second.upcoming("scored") is None
    assert second.upcoming("asked") == {"event": "asked", "iteration": 1}
    second.record("asked", {"iteration": 1})
    # Another machine may round otherwise; what was written stays.
    assert second.record("scored", {"number": 0, "score": 0.1 + 0.2})["score"] == 0.3
    assert path.read_bytes() == before
    assert second.upcoming("asked") is None
    second.record("asked", {"iteration": 2})
    assert path.read_bytes().startswith(before)
    assert path.read_bytes() != before


@pytest.mark.parametrize("values", [{"number": 1}, {"number": 0, "score": 0.31}, {"number": True}])
def test_another_course_of_events_is_an_error(tmp_path, values):
    path = tmp_path / "trajectory.jsonl"
    Trajectory(path).record("scored", {"number": 0, "score": 0.3})
    with pytest.raises(DataError, match=r"line 1: there .*0\.3.* now .*remove the work folder"):
        Trajectory(path).record("scored", values)


def test_a_line_cut_anywhere_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    trajectory = Trajectory(path)
    trajectory.record("scored", {"number": 0})
    whole = path.read_bytes()
    trajectory.record("scored", {"number": 1, "text": "语音"})
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
