"""A run that failed says why, whatever else goes wrong on the way out."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from flows.run.session import Session, check_writable
from flows.run.settings import RunSettings
from flows.run.stages import RunStages
from qsm_core.errors import ConfigurationError, StageError


def _fail(_run: RunStages) -> None:
    raise StageError("stage lora failed: the disk is full")


def test_a_cost_that_cannot_be_written_does_not_hide_why_a_run_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def full(folder: Path, _cost: Any, _page: Any) -> None:
        asked.append(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    one = SimpleNamespace(stages=("corpus",), jobs=())
    monkeypatch.setattr("flows.run.session.run_cost", lambda _handles, _jobs: one)
    monkeypatch.setattr("flows.run.session.show_cost", full)
    values = {"store": str(tmp_path / "store"), "results": str(tmp_path / "results"), "name": "one"}
    with disable_run_logger():
        session = Session(RunSettings(**values))
        with pytest.raises(StageError, match="the disk is full"):
            session.run(_fail)
    assert asked == [tmp_path / "results" / "one"]


def test_results_that_could_not_be_written_are_refused(tmp_path: Path) -> None:
    check_writable(RunSettings(results=str(tmp_path / "new" / "results")))
    assert list((tmp_path / "new" / "results").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigurationError, match=r"results = .*file.* cannot be written .Not a dir"
    ):
        check_writable(RunSettings(results=str(tmp_path / "file" / "results")))
