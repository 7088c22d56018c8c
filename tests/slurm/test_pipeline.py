"""The whole pipeline as jobs: GPU stages in one partition, CPU stages in another.

The stages that a test disturbs are taken out of a copy of a finished store. When the run ends with
everything after them `Cached`, their outputs were made again with the same bits.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.pipeline import (
    STAGES,
    PrefectService,
    run_pipeline,
    start_pipeline,
)
from tests.support.server_records import Server, wait_for
from tests.support.slurm import EndedJob, Record, Slurm, empty_queue

pytestmark = [pytest.mark.server, pytest.mark.slurm, pytest.mark.slow]

GPU_STAGES = ("baseline", "lora", "eval_lora", "opro_base", "opro_lora", "eval_base_opro",
              "eval_lora_opro")  # fmt: skip
# Enough work in each stage to be stopped in the middle of it.
SIZES = {
    "train_clips": 24,
    "test_clips": 60,
    "epochs": 3,
    "opro_iterations": 3,
    "opro_candidates": 4,
    "eval_shards": 1,  # one job and one place of unfinished work for each evaluation
    "name": "run",
}


@dataclass(frozen=True)
class Cluster:
    """What a run needs beside its folder."""

    slurm: Slurm
    service: PrefectService
    model: Path
    profile: Path

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters that all runs have in common."""
        return {**SIZES, "model": self.model, "cluster": self.profile}

    @property
    def on_slurm(self) -> PrefectService:
        """The Prefect server, in an environment that leads to this SLURM."""
        environment = {**self.service.environment, **self.slurm.environment}
        return PrefectService(self.service.api_url, environment)

    def run(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run the pipeline to its end."""
        return run_pipeline(self.on_slurm, folder, **self.parameters)

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start the pipeline."""
        return start_pipeline(self.on_slurm, folder, **self.parameters)

    def states(self, folder: Path) -> dict[str, str]:
        """Return how the last attempt of each stage of the last run ended."""
        server = Server(self.service.api_url)
        runs = server.task_runs(server.flow_runs(folder / "results")[-1]["id"])
        # A lost attempt is `Crashed`; the stage itself ends with the attempt after it.
        return {run.stage: run.state for run in runs if run.state != "Crashed"}

    def crashed(self, folder: Path) -> list[str]:
        """Return the stages that lost an attempt in the last run."""
        server = Server(self.service.api_url)
        runs = server.task_runs(server.flow_runs(folder / "results")[-1]["id"])
        return [run.stage for run in runs if run.state == "Crashed"]


@pytest.fixture(scope="module")
def cluster(
    slurm: Slurm,
    prefect_service: PrefectService,
    small_model_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Cluster:
    profile = slurm.write_profile(tmp_path_factory.mktemp("profile") / "profile.yaml")
    return Cluster(slurm, prefect_service, small_model_folder, profile)


@dataclass(frozen=True)
class Finished:
    """A run that nothing disturbed, and the jobs that it took."""

    folder: Path
    jobs: list[EndedJob]


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    before = len(cluster.slurm.ended())
    done = cluster.run(folder)
    assert done.returncode == 0, done.stderr + done.stdout
    cluster.slurm.wait_until_empty()
    return Finished(folder, cluster.slurm.ended()[before:])


@pytest.fixture(autouse=True)
def _nothing_left(slurm: Slurm, record_property: Record) -> Iterator[None]:
    with empty_queue(slurm, record_property):
        yield


def _copy_without(finished: Finished, folder: Path, *stages: str) -> None:
    """Copy a finished run's store without the outputs of some stages of it."""
    shutil.copytree(finished.folder / "store", folder / "store", symlinks=True)
    outputs = (finished.folder / "store" / "outputs").resolve()
    for stage in stages:
        shown = (finished.folder / "results" / "run" / stage).resolve()
        stage_and_key = shown.relative_to(outputs).parts[:2]
        shutil.rmtree(folder.joinpath("store", "outputs", *stage_and_key))


def test_each_class_has_jobs_of_its_own(finished: Finished, record_property: Record) -> None:
    record_property("jobs of the whole run", len(finished.jobs))
    assert {job.partition for job in finished.jobs} == {"cpu", "gpu"}
    for job in finished.jobs:
        assert job.name.startswith("qsm-")
        assert job.name.endswith(f"-{job.partition}")
    # Jobs are shared by the stages of their class: fewer jobs than stages.
    assert len(finished.jobs) < len(STAGES)
    assert len({job.name for job in finished.jobs}) == 2


def test_a_second_run_submits_nothing(finished: Finished, cluster: Cluster) -> None:
    before = cluster.slurm.submitted()
    done = cluster.run(finished.folder)
    assert done.returncode == 0, done.stderr
    assert cluster.slurm.submitted() == before
    assert cluster.states(finished.folder) == dict.fromkeys(STAGES, "Cached")


def test_the_plan_submits_nothing(finished: Finished, cluster: Cluster, tmp_path: Path) -> None:
    before = cluster.slurm.submitted()
    done = run_pipeline(cluster.on_slurm, tmp_path, "--plan-only", **cluster.parameters)
    assert done.returncode == 0, done.stderr
    assert cluster.slurm.submitted() == before


def _checkpoints(folder: Path) -> int:
    return len(list(folder.glob("store/work/train_lora/*/resume/checkpoint-*/complete")))


def _candidates(folder: Path) -> int:
    trajectories = folder.glob("store/work/optimize_prompt/*/resume/trajectory.jsonl")
    return sum(path.read_text().count('"event": "scored"') for path in trajectories)


@pytest.mark.parametrize("by", ["scancel", "kill"])
@pytest.mark.parametrize(
    ("stage", "count"),
    [("lora", _checkpoints), ("opro_base", _candidates)],
    ids=["training", "search"],
)
def test_a_lost_job_costs_what_it_was_doing(
    stage: str,
    count: Callable[[Path], int],
    by: str,
    finished: Finished,
    cluster: Cluster,
    tmp_path: Path,
    record_property: Record,
) -> None:
    """`scancel` lets the worker keep its work; a kill does not, and costs one checkpoint more."""
    removed = "checkpoints/lora/final" if stage == "lora" else stage
    _copy_without(finished, tmp_path, removed)
    before = cluster.slurm.submitted()
    process = cluster.start(tmp_path)
    wait_for(
        lambda: count(tmp_path) > 0 or process.poll() is not None, "work to lose", timeout_s=120
    )
    (job,) = cluster.slurm.running("gpu")
    if by == "kill":
        cluster.slurm.command("scancel", "--signal=KILL", "--full", job)
    else:
        cluster.slurm.command("scancel", job)
    name = stage
    working = f" {name} running: "
    log = tmp_path / "log.txt"
    again_s = wait_for(lambda: log.read_text().count(working) >= 2, "the second job", 120)
    record_property("recovery_s", again_s)
    assert process.wait(timeout=240) == 0, (tmp_path / "log.txt").read_text()
    assert cluster.crashed(tmp_path) == [name]
    states = cluster.states(tmp_path)
    assert states.pop(name) == "Completed"
    assert states == dict.fromkeys((one for one in STAGES if one != name), "Cached")
    assert cluster.slurm.submitted() == before + 2
