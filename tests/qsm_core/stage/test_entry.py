"""A stage runs alone from a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.support.toys import REPOSITORY


def run_module(toys, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(toys.parent), str(REPOSITORY)])
    return subprocess.run(
        [sys.executable, "-m", f"{toys.name}.count", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_entry_runs_alone(toys, tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"config": {"n": 4}, "out": str(tmp_path / "out")}))
    done = run_module(toys, "--spec", str(spec))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 4
    assert (tmp_path / "out" / "n.txt").read_text() == "4"
    done = run_module(toys, "--spec", str(spec))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    spec.write_text(json.dumps({"config": {"n": 4}, "out": str(tmp_path / "other")}))
    done = run_module(toys, "--spec", str(spec), "--summary", str(tmp_path / "summary.json"))
    assert done.stdout == ""
    assert json.loads((tmp_path / "summary.json").read_text())["n"] == 4


def test_a_wrong_file_is_reported_without_a_traceback(toys, tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"conf": {}, "config": {}}))
    done = run_module(toys, "--spec", str(spec))
    assert done.returncode == 2
    assert "out: is missing" in done.stderr
    assert "conf: there is no such field" in done.stderr
    assert "Traceback" not in done.stderr
    done = run_module(toys, "--spec", str(tmp_path / "none.json"))
    assert "none.json does not say how to run a stage" in done.stderr
