"""What the user points at is refused by the name of its field, before anything is queued."""

from pathlib import Path

import pytest

from flows.speech.inputs import check_inputs
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError


def test_every_path_that_does_not_exist_is_reported_with_its_field(tmp_path: Path) -> None:
    here = str(tmp_path)
    nowhere = str(tmp_path / "none")
    given = {"data": here, "test_data": nowhere, "adapter": nowhere, "audio_root": nowhere}
    with pytest.raises(ConfigurationError) as caught:
        check_inputs(parse_parameters(given))
    fields = [problem.split(" = ")[0] for problem in caught.value.problems]
    assert fields == ["test_data", "audio_root", "adapter"]
    assert nowhere in caught.value.problems[0]
    check_inputs(parse_parameters({"data": here}))


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("(spk", "unterminated"), ("spk[0-9]+", "0 groups"), ("(a)(b)", "2 groups")],
)
def test_a_pattern_that_finds_no_group_is_refused(pattern: str, shown: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"group_pattern = .*{shown}.*with one group"):
        check_inputs(parse_parameters({"group_pattern": pattern}))
