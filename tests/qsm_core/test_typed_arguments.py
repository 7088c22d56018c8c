from __future__ import annotations

import subprocess
import sys

import pytest

from qsm_core.typed_arguments import refuse_empty_arguments


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["check", ""], "an argument is empty: ''"),
        (["check", "clips", "--audio-root", " "], "--audio-root is empty: ' '"),
        (["list", "--root="], "--root is empty: '--root='"),
        (["-o", ""], "-o is empty"),
    ],
)
def test_an_empty_argument_is_refused(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        refuse_empty_arguments(arguments)
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_other_arguments_are_taken() -> None:
    refuse_empty_arguments([])
    refuse_empty_arguments(["check", "my clips", "--kind", "auto", "--for=a=", "x="])


@pytest.mark.parametrize(
    "command", [("qsm_core.data", "check", ""), ("qsm_core.store", "list", "--root", "")]
)
def test_commands_look_before_they_work(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "is empty" in done.stderr
