"""Runs of a flow with one toy stage, on a SLURM cluster, that a test can follow and disturb."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.pipeline import ROOT, PrefectService
from tests.support.server_records import Server, wait_for
from tests.support.slurm import Slurm
from tests.support.toys import Toys

FLOW = "tests.support.slurm_toy_flow"
# What a user may have in the environment of a run. None of it may be written anywhere.
SECRETS = {
    "HF_TOKEN": "hf_marker-of-a-secret-token",
    "QSM_OPTIMIZER_API_KEY": "marker-of-a-secret-optimizer",
    "PREFECT_API_AUTH_STRING": "somebody:marker-of-a-secret-password",
}
_POOL = "toys"


def holds_secret(text: str) -> bool:
    """Say whether a text holds one of the secrets."""
    return any(secret.rpartition(":")[2] in text for secret in SECRETS.values())


@dataclass(frozen=True)
class ToyRun:
    """A running or ended process of the flow, or of the worker that runs it."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def output(self) -> str:
        """What it printed so far."""
        return (self.folder / "output.txt").read_text()

    @property
    def flow_run_id(self) -> str:
        """The id of the flow run, once it has begun."""
        self.wait_for("id=")
        return self.output.split("id=")[1].split()[0]

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

    @property
    def first_step(self) -> int:
        """The step from which the last process has gone on."""
        return int((self.folder / "attempts.txt").read_text().splitlines()[-1].split()[1])

    @property
    def stage_log(self) -> str:
        """What a stage in a process of its own has printed."""
        (path,) = self.folder.glob("store/work/count/*/process/log.txt")
        return path.read_text()

    @property
    def stage_is_a_process_of_its_own(self) -> bool:
        """Whether the process that counts is no worker of Dask."""
        pid = int((self.folder / "attempts.txt").read_text().splitlines()[-1].split()[0])
        return "qsm_core.stage.child_process" in psutil.Process(pid).cmdline()

    def wait_for(self, text: str, timeout_s: float = 240.0) -> None:
        """Wait until it has printed a text."""
        wait_for(lambda: text in self.output or self._ended(), f"{text!r} in its output", timeout_s)
        if text not in self.output:
            raise AssertionError(f"it ended without {text!r}:\n{self.output}")

    def wait_for_step(self, step: int) -> None:
        """Wait until the stage has counted so far."""
        wait_for(lambda: self.steps >= step or self._ended(), f"step {step}", 240)
        if self.steps < step:
            raise AssertionError(f"it ended before step {step}:\n{self.output}")

    def wait_for_attempt(self, attempt: int) -> float:
        """Wait until a stage has begun so often; return the seconds."""
        return wait_for(
            lambda: self.attempts >= attempt or self._ended(), f"attempt {attempt}", 240
        )

    def result(self, timeout_s: float = 240.0) -> dict[str, Any]:
        """Return what the stage returned.

        Raises:
            AssertionError: The flow failed; holds what it printed.
        """
        code = self.process.wait(timeout=timeout_s)
        if code != 0:
            raise AssertionError(f"exit {code}:\n{self.output}")
        return dict(json.loads(self.output.splitlines()[-1]))

    def failure(self, timeout_s: float = 240.0) -> str:
        """Return what a failed flow printed."""
        if self.process.wait(timeout=timeout_s) == 0:
            raise AssertionError(f"it did not fail:\n{self.output}")
        return self.output

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
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to the server, to SLURM and to the toys."""
        return {
            **self.service.environment,
            **self.slurm.environment,
            **SECRETS,
            "PYTHONPATH": os.pathsep.join([str(self.toys.parent), str(ROOT)]),
        }

    @property
    def private_folders(self) -> list[Path]:
        """The folders that hold the certificates and secrets of runs."""
        return list(self.folder.glob("store/slurm/qsm-*.*"))

    def files_with_secrets(self) -> list[Path]:
        """Return the files of the test that hold a secret, besides those in private folders."""
        private = self.private_folders
        return [
            path
            for path in self.folder.rglob("*")
            if path.is_file()
            and not any(path.is_relative_to(one) for one in private)
            and holds_secret(path.read_bytes().decode(errors="replace"))
        ]

    @property
    def server(self) -> Server:
        """What Prefect knows."""
        return Server(self.service.api_url)

    def start(
        self, *, n: int, seconds: float = 0.2, environment: Mapping[str, str] = {}, **profile: str
    ) -> ToyRun:
        """Start the flow as from a terminal.

        Args:
            n: Steps.
            seconds: Length of one.
            environment: Of its process.
            profile: Lines of the cluster profile to change.
        """
        path = self.slurm.write_profile(self.folder / "profile.yaml", **profile)
        words = [FLOW, str(self.folder), self.toys.name, str(path), str(n), str(seconds)]
        return self._run(words, {**self.environment, **environment})

    @contextmanager
    def deployed(self, *, n: int, seconds: float = 0.2) -> Iterator[tuple[ToyRun, str]]:
        """Start a worker and a run of a deployment; gives both, the run by its id."""
        path = self.slurm.write_profile(self.folder / "profile.yaml")
        words = ["prefect", "worker", "start", "--pool", _POOL, "--type", "process"]
        worker = self._run(words, {**self.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"})
        try:
            wait_for(self._has_pool, "the worker", 240)
            flow = self.server.ask("flows/", {"name": "slurm-toy"})["id"]
            made = {"name": "toy", "flow_id": flow, "work_pool_name": _POOL}
            made["entrypoint"] = f"{FLOW}.count_on_slurm"
            deployment = self.server.ask("deployments/", made)["id"]
            values = {"folder": str(self.folder), "package": self.toys.name, "profile": str(path)}
            body = {"parameters": {**values, "n": n, "seconds": seconds}}
            body["state"] = {"type": "SCHEDULED"}
            run = self.server.ask(f"deployments/{deployment}/create_flow_run", body)
            yield worker, str(run["id"])
        finally:
            worker.process.terminate()
            worker.process.wait(timeout=60)

    def cancel(self, flow_run_id: str) -> None:
        """Cancel a flow run as the UI does."""
        state = {"type": "CANCELLING", "name": "Cancelling"}
        answer = self.server.ask(f"flow_runs/{flow_run_id}/set_state", {"state": state})
        if answer["status"] != "ACCEPT":
            raise RuntimeError(f"the server does not cancel the run: {answer}")

    def _has_pool(self) -> bool:
        return any(one["name"] == _POOL for one in self.server.ask("work_pools/filter", {}))

    def _run(self, words: list[str], environment: Mapping[str, str]) -> ToyRun:
        with (self.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                env=environment,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return ToyRun(process, self.folder)

    def end(self) -> None:
        """End what a test that failed has left, so that the next one finds an empty queue."""
        left = [process for process in self.started if process.poll() is None]
        for process in left:
            process.kill()
            process.wait()
        if left:
            for job_id, _, _ in self.slurm.queue():
                self.slurm.command("scancel", job_id)
