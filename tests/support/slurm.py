"""A real SLURM of one node on loopback, from Debian's packages, with all its state in one folder.

    python -m tests.support.slurm        # for a person who has no cluster; Ctrl-C stops it

munged, slurmctld and slurmd are started as root on free ports and stopped by their process ids.
There is no accounting database: jobs that have ended are read from the completion log that
slurmctld writes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from flows.terminal.loopback import free_port
from tests.support.server_records import wait_for

# A test may put programs of its own before SLURM's, which are not for looking at what it did.
_ENVIRONMENT = dict(os.environ)
DAEMONS = ("munged", "slurmctld", "slurmd")
INSTALL = "apt-get install slurm-wlm munge"

# `locked` is for an account that nobody has; `closed` takes jobs and never starts them; `tiny`
# stops a job after a minute.
_CONFIGURATION = """\
ClusterName=qsm
SlurmctldHost={node}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller_port}
SlurmdPort={node_port}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SwitchType=switch/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/ended.txt
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
KillWait=5
MinJobAge=600
EnforcePartLimits=ALL
SchedulerParameters=sched_interval=2,bf_interval=5
NodeName={node} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory_mb} State=UNKNOWN
PartitionName=cpu Nodes={node} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
PartitionName=gpu Nodes={node} MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
PartitionName=locked Nodes={node} AllowAccounts=nobody MaxTime=INFINITE State=UP
PartitionName=closed Nodes={node} MaxTime=INFINITE State=DOWN
"""
_PROFILE = """\
description: one node on loopback
interface: lo
resources:
  cpu: &job
    partition: cpu
    walltime: "00:20:00"
    cores: 1
    memory: 2G
    max_jobs: 2
    stop_margin: "00:01:00"
    resubmissions: 3
    pending_limit: "00:05:00"
    keep_idle: "00:00:05"
    subprocess: false
  gpu:
    <<: *job
    partition: gpu
"""


@dataclass(frozen=True)
class EndedJob:
    """A job of the completion log."""

    job_id: str
    name: str
    state: str
    partition: str


@dataclass(frozen=True)
class Slurm:
    """A running SLURM: its folder, its node, and how to disturb it."""

    folder: Path
    node: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads SLURM's commands here."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def command(self, *words: str) -> str:
        """Run one of SLURM's commands and return what it printed."""
        return subprocess.run(
            words,
            env={**_ENVIRONMENT, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def write_profile(self, path: Path, **changes: str) -> Path:
        """Write a cluster profile for this SLURM.

        Args:
            path: Of the file.
            changes: Lines that stand instead of others: `partition="closed"` changes that field
                of every class.
        """
        lines = []
        for line in _PROFILE.splitlines():
            field = line.strip().partition(":")[0]
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}{field}: {changes[field]}" if field in changes else line)
        path.write_text("\n".join(lines) + "\n")
        return path

    def queue(self) -> list[tuple[str, str, str]]:
        """Return id, name and state of every job that waits, runs or ends."""
        text = self.command("squeue", "--noheader", "--format=%i %j %T")
        return [(one[0], one[1], one[2]) for one in map(str.split, text.splitlines())]

    def running(self, resource: str) -> list[str]:
        """Return the ids of the running jobs of a resource class."""
        return [
            job_id
            for job_id, name, state in self.queue()
            if state == "RUNNING" and name.endswith(f"-{resource}")
        ]

    def ended(self) -> list[EndedJob]:
        """Return every job that has ended since SLURM was started."""
        path = self.folder / "ended.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [dict(w.split("=", 1) for w in line.split() if "=" in w) for line in lines]
        return [
            EndedJob(one["JobId"], one["Name"], one["JobState"], one["Partition"]) for one in found
        ]

    def submitted(self) -> int:
        """Return how many jobs there have been, ended or not."""
        return len({one.job_id for one in self.ended()} | {one[0] for one in self.queue()})

    def wait_until_empty(self, timeout_s: float = 60.0) -> float:
        """Wait until no job is left, not even one that is ending; return the seconds."""
        return wait_for(lambda: not self.queue(), "the end of every job", timeout_s)

    def set_node(self, state: str) -> None:
        """Set the state of the node: drain, down, resume. A node that works needs no resume."""
        now = self.command("sinfo", "--noheader", "--format=%T")
        if state == "resume" and not any(word in now for word in ("down", "drain")):
            return
        reason = [] if state == "resume" else ["Reason=test"]
        self.command("scontrol", "update", f"NodeName={self.node}", f"State={state}", *reason)

    def start(self) -> None:
        """Start the controller and the node, and wait until they know each other."""
        self.start_controller()
        self._daemon("slurmd", "-N", self.node)
        wait_for(self._is_up, f"the node (see {self.folder}/slurmctld.log)", timeout_s=90)

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._daemon("slurmctld")

    def stop_controller(self) -> None:
        """Stop slurmctld as its administrator would; jobs go on."""
        _end(self.folder / "slurmctld.pid")

    def _daemon(self, *words: str) -> None:
        subprocess.run(words, env={**os.environ, **self.environment}, check=True)

    def _is_up(self) -> bool:
        try:
            states = self.command("sinfo", "--noheader", "--format=%T")
        except subprocess.CalledProcessError:
            return False
        return any(word in states for word in ("idle", "mixed", "allocated"))


def missing() -> list[str]:
    """Return the programs that are needed and not installed."""
    return [name for name in (*DAEMONS, "sbatch") if shutil.which(name) is None]


@contextmanager
def running_slurm() -> Iterator[Slurm]:
    """Start a SLURM for the time of the block."""
    # Not below pytest's folder: the path of a socket has 107 letters at most.
    folder = Path(tempfile.mkdtemp(prefix="qsm-slurm-", dir="/tmp"))
    slurm = Slurm(folder, socket.gethostname().partition(".")[0])
    try:
        _configure(slurm)
        _start_munge(folder)
        slurm.start()
        yield slurm
    finally:
        _stop(slurm)
        shutil.rmtree(folder, ignore_errors=True)


def _configure(slurm: Slurm) -> None:
    key = slurm.folder / "munge.key"
    key.touch(mode=0o400)
    key.write_bytes(secrets.token_bytes(1024))
    (slurm.folder / "state").mkdir()
    (slurm.folder / "spool").mkdir()
    (slurm.folder / "slurm.conf").write_text(
        _CONFIGURATION.format(
            folder=slurm.folder,
            node=slurm.node,
            controller_port=free_port(),
            node_port=free_port(),
            cores=os.cpu_count(),
            memory_mb=int(psutil.virtual_memory().total / 2**20 * 0.85),
        )
    )


def _start_munge(folder: Path) -> None:
    options = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munged.seed",
    }
    paths = [f"--{name}={folder / file}" for name, file in options.items()]
    subprocess.run(["munged", "--force", *paths], check=True)


def _stop(slurm: Slurm) -> None:
    """End what was started, by its process ids: jobs' own processes first."""
    for name in ("slurmd", "slurmctld", "munged"):
        _end(slurm.folder / f"{name}.pid")
    mark = slurm.environment["SLURM_CONF"]
    for process in psutil.process_iter():
        try:
            if "slurmstepd" in process.name() and mark in str(process.environ()):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _end(pid_file: Path) -> None:
    """End the daemon whose process id a file holds, and wait for it."""
    if not pid_file.exists():
        return
    try:
        process = psutil.Process(int(pid_file.read_text()))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    except (psutil.NoSuchProcess, ValueError):
        return


Record = Callable[[str, object], None]


@contextmanager
def empty_queue(slurm: Slurm, record_property: Record) -> Iterator[None]:
    """Record how many jobs the block submits; it is over when none of them is left."""
    before = slurm.submitted()
    yield
    slurm.wait_until_empty()
    record_property("jobs", slurm.submitted() - before)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """One SLURM for all tests of a worker process of pytest."""
    lacking = missing()
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed: {INSTALL}")
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons of the tests run as root")
    with running_slurm() as found:
        yield found


def main() -> None:
    """Run a SLURM until Ctrl-C, with a profile for it."""
    lacking = missing()
    if lacking:
        sys.exit(f"{', '.join(lacking)} not installed: {INSTALL}")
    if os.geteuid() != 0:
        sys.exit("SLURM's daemons need root here: run this as root, or in a container")
    # However it is ended, the daemons end with it; in the background Ctrl-C would be ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with running_slurm() as slurm:
        profile = slurm.write_profile(slurm.folder / "profile.yaml")
        print("A SLURM of one node is running; in another terminal:\n")
        print(f"  export SLURM_CONF={slurm.folder / 'slurm.conf'}")
        print(f"  python -m flows.complete_pipeline --cluster {profile}\n")
        print("Ctrl-C stops it.", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("stopping")


if __name__ == "__main__":
    main()
