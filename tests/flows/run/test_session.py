"""A run that failed says why, whatever else goes wrong on the way out."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from flows.run.session import Session
from flows.speech.parameters import parse_parameters
from flows.speech.study import Study
from qsm_core.errors import StageError


def _fail(_study: Study) -> None:
    raise StageError("stage lora failed: the disk is full")


def test_a_cost_that_cannot_be_written_does_not_hide_why_a_run_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def full(folder: Path, _cost: Any) -> None:
        asked.append(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    one = SimpleNamespace(stages=("corpus",), jobs=())
    monkeypatch.setattr("flows.run.session.run_cost", lambda _handles, _jobs: one)
    monkeypatch.setattr("flows.run.session.report_cost", full)
    values = {"store": str(tmp_path / "store"), "results": str(tmp_path / "results"), "name": "one"}
    with disable_run_logger():
        session = Session(parse_parameters(values))
        with pytest.raises(StageError, match="the disk is full"):
            session.run(_fail, [])
    assert asked == [tmp_path / "results" / "one"]
