"""What a stage takes is that of the stage, not of those before it in the same process."""

from __future__ import annotations

import subprocess
import sys

from qsm_core.stage.usage import Usage

_MIB = 2**20


def test_the_peak_of_an_earlier_stage_does_not_count():
    usage = Usage()
    large = bytearray(300 * _MIB)
    large[::4096] = b"x" * len(large[::4096])
    first = usage.reading()
    del large
    second = Usage().reading()
    assert second["peak_memory_mib"] < first["peak_memory_mib"] - 200
    assert first["gpu_peak_mib"] is None
    assert "CPU" in first["device"]


def test_what_the_stage_starts_counts():
    usage = Usage()
    code = "x = bytearray(1500 * 2**20); x[::4096] = b'x' * len(x[::4096])"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert usage.reading()["peak_memory_mib"] > 1400


def test_time_on_the_cpu_is_that_since_the_beginning():
    usage = Usage()
    assert sum(range(3_000_000)) > 0
    assert 0.0 < usage.reading()["cpu_seconds"] < 60.0
