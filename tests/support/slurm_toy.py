"""A flow with one toy stage that counts, on a SLURM cluster, in a process that can be killed.

    python -m tests.support.slurm_toy STORE PACKAGE PROFILE N SECONDS

It prints a line for each event of the stage, and at last what the stage returned.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.pipeline import ROOT, PrefectService
from tests.support.server_records import wait_for
from tests.support.slurm import Slurm
from tests.support.toys import Toys


@dataclass(frozen=True)
class ToyRun:
    """A running or ended process of the flow."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def told(self) -> str:
        """What it printed so far."""
        return (self.folder / "told.txt").read_text()

    @property
    def steps(self) -> int:
        """How far the stage has counted, while it runs."""
        for path in self.folder.glob("store/work/count/*/resume/state.json"):
            try:
                return int(json.loads(path.read_text())["step"])
            except (FileNotFoundError, json.JSONDecodeError):  # it is being written
                return 0
        return 0

    @property
    def attempts(self) -> int:
        """How many processes have begun to count."""
        log = self.folder / "attempts.txt"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def wait_for(self, text: str, timeout_s: float = 60.0) -> None:
        """Wait until it has printed a text."""
        wait_for(lambda: text in self.told or self._ended(), f"{text!r} in its output", timeout_s)
        if text not in self.told:
            raise AssertionError(f"it ended without {text!r}:\n{self.told}")

    def wait_for_step(self, step: int) -> None:
        """Wait until the stage has counted so far."""
        wait_for(lambda: self.steps >= step or self._ended(), f"step {step}", 120)
        if self.steps < step:
            raise AssertionError(f"it ended before step {step}:\n{self.told}")

    def wait_for_attempt(self, attempt: int) -> float:
        """Wait until a stage has begun so often; return the seconds."""
        return wait_for(
            lambda: self.attempts >= attempt or self._ended(), f"attempt {attempt}", 120
        )

    def result(self, timeout_s: float = 240.0) -> dict[str, Any]:
        """Return what the stage returned.

        Raises:
            AssertionError: The flow failed; holds what it printed.
        """
        code = self.process.wait(timeout=timeout_s)
        if code != 0:
            raise AssertionError(f"exit {code}:\n{self.told}")
        return dict(json.loads(self.told.splitlines()[-1]))

    def failure(self, timeout_s: float = 120.0) -> str:
        """Return what a failed flow printed."""
        if self.process.wait(timeout=timeout_s) == 0:
            raise AssertionError(f"it did not fail:\n{self.told}")
        return self.told

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the flow's process with SIGKILL, and nothing else."""
        self.process.kill()
        self.process.wait(timeout=30)

    def _ended(self) -> bool:
        return self.process.poll() is not None


@dataclass(frozen=True)
class ToyCluster:
    """What a run of the flow needs; each test has its own folder."""

    slurm: Slurm
    service: PrefectService
    toys: Toys
    folder: Path

    def start(
        self, *, n: int, seconds: float = 0.2, environment: Mapping[str, str] = {}, **profile: str
    ) -> ToyRun:
        """Start the flow.

        Args:
            n: Steps.
            seconds: Length of one.
            environment: Of its process.
            profile: Lines of the cluster profile to change.
        """
        path = self.slurm.write_profile(self.folder / "profile.yaml", **profile)
        command = [sys.executable, "-m", __name__, str(self.folder), self.toys.name, str(path)]
        with (self.folder / "told.txt").open("wb") as told:
            process = subprocess.Popen(
                [*command, str(n), str(seconds)],
                env={
                    **self.service.environment,
                    **self.slurm.environment,
                    "PYTHONPATH": os.pathsep.join([str(self.toys.parent), str(ROOT)]),
                    **environment,
                },
                cwd=ROOT,
                stdout=told,
                stderr=subprocess.STDOUT,
            )
        return ToyRun(process, self.folder)


def main(folder: str, package: str, profile: str, n: str, seconds: str) -> None:
    """Run the flow."""
    from prefect import flow

    from qsm_core.store.spec import StageDefinition
    from qsm_core.store.store import Store
    from tasks.events import StageEvent
    from tasks.slurm.pools import slurm_profile
    from tasks.stage import StageRunner

    def show(event: StageEvent) -> None:
        print(event.kind, event.message, flush=True)

    @flow(name="slurm-toy")
    def count() -> dict[str, Any]:
        store = Path(folder) / "store"
        definition = StageDefinition("count", 1, f"{package}.count", ("numpy",))
        runtime = {"seconds": float(seconds), "log": f"{folder}/attempts.txt"}
        with StageRunner(Store(store), slurm_profile(profile, store), on_event=show) as runner:
            handle = runner.submit(
                definition, name="counted", config={"n": int(n)}, runtime=runtime
            )
            return dict(handle.result().summary)

    print(json.dumps(count()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
