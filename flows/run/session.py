"""One run of a flow: its store, its workers, and the one list of stages, planned and then run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from flows.run.publish import report_cost
from flows.speech.inputs import check_results_folder
from flows.speech.memory import RunMemory
from flows.speech.parameters import PipelineParameters
from flows.speech.study import Study
from flows.terminal.display import current_display
from qsm_core.errors import StageError
from qsm_core.store.spec import StageDefinition
from qsm_core.store.store import StageOutput, Store
from tasks.plan.costs import run_cost
from tasks.run.events import StageEvent
from tasks.run.handle import PlannedStage, StageHandle
from tasks.run.runner import StageRunner
from tasks.workers.profile_files import LOCAL
from tasks.workers.resources import ResourceProfile, local_profile
from tasks.workers.slurm.pools import slurm_profile

Stages = Callable[[Study], None]


class Session:
    """Plans and runs the stages of one set of parameters."""

    def __init__(self, parameters: PipelineParameters) -> None:
        self.parameters = parameters
        self._store = Store(Path(parameters.store).expanduser())
        self._profile = resource_profile(parameters, self._store.root)
        self._profile.prepare(())
        self._to_run: list[StageDefinition] = []
        self.memory: RunMemory | None = None
        self._logger = logging.getLogger(__name__) if flow_run.id is None else get_run_logger()
        self._display = current_display()

    def plan(self, stages: Stages) -> tuple[PlannedStage, ...]:
        """Say what would happen to each stage, and run nothing."""
        with StageRunner(self._store, self._profile, plan_only=True) as runner:
            study = Study(self.parameters, self._store, runner, check_first=_nothing_to_check)
            self.memory = study.memory
            stages(study)
            plan = runner.plan()
            self._to_run = [
                handle.definition
                for handle in runner.handles
                if handle.verdict is None or not handle.verdict.reuse
            ]
            return plan

    def run(self, stages: Stages, planned: Iterable[str]) -> dict[str, StageOutput]:
        """Run the stages and return their outputs by name.

        Args:
            stages: Submits them.
            planned: Their names, in the order in which they are shown.

        Raises:
            ConfigurationError: The results cannot be written, or the cluster does not know what the
                stages ask it for.
            StageError: A stage failed; what was finished stays.
        """
        check_results_folder(Path(self.parameters.results).expanduser())
        self._profile.prepare(self._to_run)
        runner = StageRunner(
            self._store, self._profile, on_event=self._on_event, run_name=self.parameters.name
        )
        try:
            with runner:
                study = Study(self.parameters, self._store, runner, check_first=StageHandle.result)
                if self._display is not None:
                    self._display.expect(planned)
                stages(study)
                runner.wait()
        except StageError:
            self._report_cost_of_a_failure(runner)
            raise
        self._report_cost(runner)
        return {handle.name: handle.result() for handle in runner.handles}

    def _report_cost(self, runner: StageRunner) -> None:
        cost = run_cost(runner.handles, runner.jobs)
        if cost.stages or cost.jobs:
            name = str(self.parameters.name)
            report_cost(Path(self.parameters.results).expanduser() / name, cost)

    def _report_cost_of_a_failure(self, runner: StageRunner) -> None:
        """Report what was finished; a full disk must not hide why the run failed."""
        try:
            self._report_cost(runner)
        except OSError as error:
            self._logger.warning("the cost of this run was not written: %s", error)

    def _on_event(self, event: StageEvent) -> None:
        """Show an event on the terminal, if there is one, and in the log of the flow run."""
        if self._display is not None:
            self._display.on_event(event)
        if event.kind == "failed":
            self._logger.error("%s failed: %s", event.name, event.message)
        elif event.kind != "progress":
            self._logger.info("%s %s%s", event.name, event.kind, _reason(event))


def _reason(event: StageEvent) -> str:
    """Return what a log line says after the name and the state of a stage."""
    return "" if event.message in ("", event.kind) else f": {event.message}"


def _nothing_to_check(_corpus: object) -> None:
    """A plan makes no corpus."""


def resource_profile(parameters: PipelineParameters, store: Path) -> ResourceProfile:
    """Return the profile that the parameters name.

    Args:
        parameters: Of the run.
        store: Root of the store, which all workers share.

    Raises:
        ConfigurationError: There is no such profile, or it cannot be used.
    """
    if parameters.cluster == LOCAL:
        return local_profile(parameters.workers)
    return slurm_profile(parameters.cluster, store)
