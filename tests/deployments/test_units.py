"""The units of systemd, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TEAM = Path(__file__).parents[2] / "deployments" / "team"
UNITS = sorted(TEAM.glob("*.service"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path) -> None:
    program = tmp_path / "prefect"  # of the checkout, whose place differs
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = unit.read_text()
    assert "/opt/qsm/.venv/bin/prefect" in text
    copy = tmp_path / unit.name
    copy.write_text(text.replace("/opt/qsm/.venv/bin/prefect", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    mine = [line for line in done.stderr.splitlines() if unit.name in line]
    assert mine == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_no_secret_and_no_open_file(unit: Path) -> None:
    text = unit.read_text()
    assert "UMask=0027" in text
    assert "EnvironmentFile=/etc/qsm/" in text
    assert "AUTH_STRING" not in text


def test_both_units_are_there() -> None:
    assert [unit.stem for unit in UNITS] == ["qsm-server", "qsm-worker"]
