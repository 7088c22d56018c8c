"""The whole pipeline as jobs: GPU stages in one partition, CPU stages in another.

The stages that a test disturbs are taken out of a copy of a finished store. When the run ends with
everything after them `Cached`, their outputs were made again with the same bits. The undisturbed
run spreads each evaluation over two shards and the disturbed one does not, so these have the same
bits as well.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.holding import BLOCK, CHECKPOINT, SEARCH_EVENT, Hold
from tests.support.pipeline import (
    STAGES,
    PrefectService,
    run_pipeline,
    start_pipeline,
)
from tests.support.server_records import Server, wait_for
from tests.support.slurm import EndedJob, Record, Slurm, empty_queue

# A busy machine takes minutes for the run that all tests share.
pytestmark = [
    pytest.mark.server,
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]

# Three pieces of work in each stage that is disturbed: checkpoints, candidates, blocks of clips.
SIZES = {
    "test_clips": 36,
    "epochs": 3,
    "opro_candidates": 2,
    "eval_shards": 2,
    "name": "run",
}
SHARDED = ("baseline", "eval_lora", "eval_base_opro", "eval_lora_opro")
FURTHER = ("further_base", "further_lora")  # spread too, where they have something to ask
# Stages that are disturbed, and what each is about to keep a second piece of when it is.
DISTURBED = {"lora": CHECKPOINT, "opro_base": SEARCH_EVENT, "baseline": BLOCK}


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

    def start(
        self, folder: Path, environment: Mapping[str, str], **changes: object
    ) -> subprocess.Popen[bytes]:
        """Start the pipeline."""
        parameters = {**self.parameters, **changes}
        return start_pipeline(self.on_slurm, folder, environment=environment, **parameters)

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
    # A job is kept for the next stage of its class for long enough, also on a busy machine.
    path = tmp_path_factory.mktemp("profile") / "profile.yaml"
    profile = slurm.write_profile(path, keep_idle='"00:01:00"')
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


def test_each_class_has_jobs_of_its_own(
    finished: Finished, cluster: Cluster, record_property: Record
) -> None:
    record_property("jobs of the whole run", len(finished.jobs))
    assert {job.partition for job in finished.jobs} == {"cpu", "gpu"}
    for job in finished.jobs:
        assert job.name.startswith("qsm-")
        assert job.name.endswith(f"-{job.partition}")
    # Jobs are shared by the stages of their class: fewer jobs than stages.
    assert len(finished.jobs) < len(STAGES)
    assert len({job.name for job in finished.jobs}) == 2
    results = finished.folder / "results" / "run"
    asked = [name for name in FURTHER if (results / name / "predictions.parquet").exists()]
    shards = {f"{name}_shard{one}of2" for name in (*SHARDED, *asked) for one in (1, 2)}
    assert cluster.states(finished.folder) == dict.fromkeys([*STAGES, *shards], "Completed")


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


def test_cancelled_jobs_cost_what_they_were_doing(
    finished: Finished, cluster: Cluster, tmp_path: Path, record_property: Record
) -> None:
    """Training, search and evaluation each lose their job in the middle of their work."""
    _copy_without(finished, tmp_path, "checkpoints/lora/final", "opro_base", "eval_base")
    shutil.rmtree(tmp_path / "store" / "outputs" / "score_shard")  # they hold the answers
    places = {stage: (pattern, 2) for stage, pattern in DISTURBED.items()}
    hold, log = Hold.make(tmp_path / "hold", places), tmp_path / "log.txt"
    # None waits for the place of another that is held.
    profile = cluster.slurm.write_profile(tmp_path / "profile.yaml", max_jobs="3")
    before = cluster.slurm.submitted()
    process = cluster.start(tmp_path, hold.environment, eval_shards=1, cluster=profile)
    waiting = set(DISTURBED)
    while waiting:
        wait_for(
            lambda: any(map(hold.held, waiting)) or process.poll() is not None, "work to lose", 500
        )
        assert process.poll() is None, log.read_text()
        stage, held = next((one, held) for one in waiting if (held := hold.held(one)))
        cluster.slurm.command("scancel", held.job)
        waiting.remove(stage)
        working = f" {stage} running: "
        again_s = wait_for(lambda: log.read_text().count(working) >= 2, "the second job", 500)  # noqa: B023
        record_property(f"recovery_s of {stage}", again_s)
    assert process.wait(timeout=500) == 0, log.read_text()
    assert sorted(cluster.crashed(tmp_path)) == sorted(DISTURBED)
    states = cluster.states(tmp_path)
    again = {name for name, state in states.items() if state == "Completed"}
    assert again == set(DISTURBED)
    assert states == {**dict.fromkeys(STAGES, "Cached"), **dict.fromkeys(again, "Completed")}
    for stage in ("lora", "baseline"):
        kept = hold.kept(stage)
        assert kept.count(kept[0]) == 1, f"{kept[0]} was finished and made again"
        assert len(kept) - len(set(kept)) <= 1, "only what was held may be made again"
    assert before + len(DISTURBED) < cluster.slurm.submitted() <= before + 2 * len(DISTURBED)
