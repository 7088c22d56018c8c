"""The pipeline as jobs: GPU stages in one partition, CPU stages in another.

The stages that a test has made or disturbed are taken out of a copy of the store of a run on this
machine. When the run ends with everything after them `Cached`, jobs made their outputs with the
same bits. The undisturbed run spreads its evaluation over two shards and the disturbed one does
not, so these have the same bits as well.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.finished import FinishedRun
from tests.support.holding import BLOCK, CHECKPOINT, SEARCH_EVENT, Hold
from tests.support.pipeline import STAGES, PrefectService, run_pipeline, start_pipeline
from tests.support.server_records import Server, wait_for
from tests.support.slurm import EndedJob, Record, Slurm, empty_queue

# A busy machine takes minutes for the run that all tests share.
pytestmark = [
    pytest.mark.server,
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
]

CACHED = dict.fromkeys(STAGES, "Cached")
# A stage of each kind. Of these, shards do the work of the evaluation, and that of the further
# instructions where there is something to ask.
MADE = (
    *("corpus", "rirs", "baseline", "lora", "opro_base"),
    *("further_base", "analysis", "instructions", "report"),
)
# Stages that are disturbed, and what each is about to keep a second piece of when it is.
DISTURBED = {"lora": CHECKPOINT, "opro_base": SEARCH_EVENT, "baseline": BLOCK}


@dataclass(frozen=True)
class Cluster:
    """What a run needs beside its folder."""

    slurm: Slurm
    service: PrefectService
    here: FinishedRun
    profile: Path

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters that all runs have in common."""
        return {**self.here.parameters, "eval_shards": 2, "cluster": self.profile}

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
    finished_run: FinishedRun,
    tmp_path_factory: pytest.TempPathFactory,
) -> Cluster:
    # A job is kept for the next stage of its class for long enough, also on a busy machine.
    path = tmp_path_factory.mktemp("profile") / "profile.yaml"
    profile = slurm.write_profile(path, keep_idle='"00:01:00"')
    return Cluster(slurm, prefect_service, finished_run, profile)


@dataclass(frozen=True)
class Finished:
    """A run that nothing disturbed, and the jobs that it took."""

    folder: Path
    jobs: list[EndedJob]


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    cluster.here.copy_store(folder / "store", without=MADE)
    before = len(cluster.slurm.ended())
    done = cluster.run(folder)
    assert done.returncode == 0, done.stderr + done.stdout
    cluster.slurm.wait_until_empty()
    return Finished(folder, cluster.slurm.ended()[before:])


@pytest.fixture(autouse=True)
def _nothing_left(slurm: Slurm, record_property: Record) -> Iterator[None]:
    with empty_queue(slurm, record_property):
        yield


def test_each_class_has_jobs_of_its_own(
    finished: Finished, cluster: Cluster, record_property: Record
) -> None:
    record_property("jobs of the whole run", len(finished.jobs))
    assert {job.partition for job in finished.jobs} == {"cpu", "gpu"}
    for job in finished.jobs:
        assert job.name.startswith("qsm-")
        assert job.name.endswith(f"-{job.partition}")
    # Jobs are shared by the stages of their class: fewer jobs than stages.
    assert len(finished.jobs) < len(MADE)
    assert len({job.name for job in finished.jobs}) == 2
    results = finished.folder / "results" / cluster.here.results.name
    asked = (results / "further_base" / "predictions.parquet").exists()
    sharded = ("baseline", "further_base") if asked else ("baseline",)
    shards = [f"{name}_shard{one}of2" for name in sharded for one in (1, 2)]
    expected = {**CACHED, **dict.fromkeys([*MADE, *shards], "Completed")}
    assert cluster.states(finished.folder) == expected


def test_a_second_run_submits_nothing(finished: Finished, cluster: Cluster) -> None:
    before = cluster.slurm.submitted()
    done = cluster.run(finished.folder)
    assert done.returncode == 0, done.stderr
    assert cluster.slurm.submitted() == before
    assert cluster.states(finished.folder) == CACHED


def test_the_plan_submits_nothing(finished: Finished, cluster: Cluster, tmp_path: Path) -> None:
    before = cluster.slurm.submitted()
    done = run_pipeline(cluster.on_slurm, tmp_path, "--plan-only", **cluster.parameters)
    assert done.returncode == 0, done.stderr
    assert cluster.slurm.submitted() == before


def test_cancelled_jobs_cost_what_they_were_doing(
    cluster: Cluster, tmp_path: Path, record_property: Record
) -> None:
    """Training, search and evaluation each lose their job in the middle of their work."""
    cluster.here.copy_store(tmp_path / "store", without=DISTURBED)
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
    assert cluster.states(tmp_path) == {**CACHED, **dict.fromkeys(DISTURBED, "Completed")}
    for stage in ("lora", "baseline"):
        kept = hold.kept(stage)
        assert kept.count(kept[0]) == 1, f"{kept[0]} was finished and made again"
        assert len(kept) - len(set(kept)) <= 1, "only what was held may be made again"
    assert before + len(DISTURBED) < cluster.slurm.submitted() <= before + 2 * len(DISTURBED)
