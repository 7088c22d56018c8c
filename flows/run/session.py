"""One run of a flow: its store, its workers, and the one list of stages, planned and then run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.run.cost import show_cost
from flows.run.links import check_names
from flows.run.log_file import append_log
from flows.run.server import PrefectPage, current_server
from flows.run.settings import RunSettings
from flows.run.stages import Role, RunStages
from flows.terminal.display import current_display
from qsm_core.errors import ConfigurationError, StageError
from qsm_core.store.spec import StageDefinition
from qsm_core.store.store import StageOutput, Store
from tasks.plan.costs import run_cost
from tasks.plan.planned import Plan, plan_of
from tasks.run.events import StageEvent
from tasks.run.runner import StageRunner
from tasks.stage_task import all_stages
from tasks.workers.local import local_profile
from tasks.workers.resources import ResourceProfile
from tasks.workers.run_log import run_logger
from tasks.workers.slurm.profile import slurm_profile
from tasks.workers.slurm.profile_loader import load_profile

Stages = Callable[[RunStages], None]


@dataclass(frozen=True)
class Finished:
    """The outputs of a run.

    Args:
        outputs: By the names that the run gave them, in the order of the flow, shards included.
        pages: What each output is to the run, with the page of markdown that its stage leaves in
            it, if it leaves one.
    """

    outputs: Mapping[str, StageOutput]
    pages: Mapping[Role, str | None]

    @property
    def roles(self) -> tuple[Role, ...]:
        """What the outputs are to the run, in the order of the flow."""
        return tuple(self.pages)

    def output(self, role: Role) -> StageOutput:
        """Return the output with a role."""
        return self.outputs[role.name]

    def page_of(self, role: Role) -> Path | None:
        """Return the page that the stage of a role left in its output, if there is one."""
        name = self.pages[role]
        page = None if name is None else self.output(role).path / name
        return page if page is not None and page.is_file() else None


class Session:
    """Plans and runs the stages of one run."""

    def __init__(self, settings: RunSettings) -> None:
        """Open the store and the profile.

        Raises:
            ConfigurationError: There is no such profile, or it cannot be used.
        """
        self.settings = settings
        self._server = current_server()
        self.page = PrefectPage(self._server)
        self._store = Store(settings.store_folder)
        self._profile = resource_profile(settings, self._store.root)
        self._profile.prepare(())
        self._to_run: list[StageDefinition] = []
        self._expected: list[str] = []
        self._logger = run_logger()
        self._display = current_display()

    def plan(self, stages: Stages) -> Plan:
        """Return what would happen to each stage, and run nothing.

        Args:
            stages: Submits them.

        Raises:
            ConfigurationError: `force` names a stage that is not there.
            StoreError: Something of the user stands where a result is to be linked.
        """
        with StageRunner(self._store, self._profile, plan_only=True) as runner:
            run = RunStages(self.settings, self._store, runner)
            stages(run)
            runner.wait()
            run.check_force()
            names = [link for role in run.by_role for link in role.links]
            check_names(self.settings.results_folder, names, store=self._store.root)
            plan = plan_of(runner.handles, self._profile, self._store)
            self._expected = [stage.name for stage in plan]
            self._note_unknown_outputs()
            self._to_run = [
                handle.definition
                for handle, stage in zip(runner.handles, plan, strict=True)
                if not stage.reuse
            ]
            return Plan(plan, run.tables, tuple(run.notes))

    def _note_unknown_outputs(self) -> None:
        """Show which names of the cluster profile mean no output of this run.

        They are no error: one profile serves flows with different outputs.
        """
        unknown = sorted(set(self._profile.named_outputs) - set(self._expected))
        if unknown and self._display is not None:
            there = ", ".join(self._expected)
            text = f"note: outputs of the cluster profile that this run does not have: {unknown}"
            self._display.print(f"{text}; it has {there}")

    def run(self, stages: Stages) -> Finished:
        """Run the stages that were planned.

        Args:
            stages: Submits them.

        Raises:
            ConfigurationError: The results cannot be written, or the cluster does not know what the
                stages ask for.
            StageError: A stage failed; what was finished stays.
        """
        check_writable(self.settings)
        self._profile.prepare(self._to_run)
        runner = StageRunner(
            self._store,
            self._profile,
            on_event=self._on_event,
            run_name=self.settings.name,
            server=self._server,
        )
        try:
            with runner:
                run = RunStages(self.settings, self._store, runner)
                if self._display is not None:
                    self._display.expect(self._expected)
                stages(run)
                runner.wait()
        except StageError:
            self._show_cost_of_a_failure(runner)
            raise
        self._show_cost(runner)
        return Finished(
            {handle.name: handle.result() for handle in runner.handles},
            {role: handle.stage.traits.page for role, handle in run.by_role.items()},
        )

    def _show_cost(self, runner: StageRunner) -> None:
        cost = run_cost(runner.handles, runner.jobs)
        if cost.stages or cost.jobs:
            show_cost(self.settings.results_folder, cost, self.page)

    def _show_cost_of_a_failure(self, runner: StageRunner) -> None:
        """Show what was finished; a full disk must not hide why the run failed."""
        try:
            self._show_cost(runner)
        except OSError as error:
            self._logger.warning("the cost of this run was not written: %s", error)

    def _on_event(self, event: StageEvent) -> None:
        """Show an event on the terminal, if there is one, and in the log of the flow run."""
        if self._display is not None:
            self._display.on_event(event)
        if event.kind == "progress":
            return
        text = f"{event.name} {event.kind}{_reason(event)}"
        self._logger.log(logging.ERROR if event.kind == "failed" else logging.INFO, "%s", text)
        append_log(self._store.root, str(self.settings.name), text)


def _reason(event: StageEvent) -> str:
    """Return what a log line says after the name and the state of a stage."""
    return "" if event.message in ("", event.kind) else f": {event.message}"


def resource_profile(settings: RunSettings, store: Path) -> ResourceProfile:
    """Return the profile that the settings name.

    Args:
        settings: Of the run.
        store: Root of the store, which all workers share.

    Raises:
        ConfigurationError: There is no such profile, or it cannot be used.
    """
    if settings.is_local:
        return local_profile(settings.workers)
    load_profile(settings.cluster, stages=all_stages())
    return slurm_profile(settings.cluster, store)


def check_writable(settings: RunSettings) -> None:
    """Refuse a folder that the results cannot be written to, before they have been worked for.

    Raises:
        ConfigurationError: Says what is wrong with it.
    """
    folder = Path(settings.results).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"results = '{folder}': cannot be written ({error.strerror}); give another folder"
        raise ConfigurationError("the parameters cannot be used", [problem]) from error
