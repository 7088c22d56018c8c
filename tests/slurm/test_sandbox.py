"""The SLURM for a person who has no cluster."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.workers.slurm.profile_loader import load_profile
from tests.support.pipeline import ROOT
from tests.support.slurm import Slurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_it_tells_how_to_use_it_and_stops_on_ctrl_c(slurm: Slurm) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.slurm"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    configuration = Path(lines[2].strip().removeprefix("export SLURM_CONF="))
    profile = lines[3].split()[-1]
    assert configuration != slurm.folder / "slurm.conf"
    assert set(load_profile(profile).resources) == {"cpu", "gpu"}
    listed = subprocess.run(
        ["sinfo", "--noheader", "--format=%P %a"],
        env={"SLURM_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cpu* up" in listed.stdout
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    process.stdout.close()
    assert not configuration.exists()
