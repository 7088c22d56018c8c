"""Which stages read what: a `SpeechStages` submits the stages of one set of parameters.

Which stages there are, and in which order, stands in the flow. The same code plans and runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flows.run.stages import RunStages
from flows.speech.budget import check_search
from flows.speech.clip_fields import check_conditions, check_tables
from flows.speech.configs import (
    clips_of,
    detector_config,
    evaluation_config,
    further_config,
    render_settings,
    search_config,
    splits_read,
    training_config,
)
from flows.speech.corpus import submit_corpus
from flows.speech.inputs import check_inputs
from flows.speech.lists import condition_keys, detector_names, training_seeds
from flows.speech.memory import MEMORY_TABLE, RunMemory
from flows.speech.model_files import ADAPTER_TABLE, adapter_rows
from flows.speech.optimizer import check_key, optimizer_inputs, optimizer_runtime
from flows.speech.parameters import PipelineParameters
from flows.speech.roles import (
    BASE,
    LORA,
    Analysis,
    DevEvaluation,
    Evaluation,
    Further,
    Instructions,
    Report,
    Rirs,
    Search,
    Training,
)
from qsm_core.conditions.config import RirConfig
from qsm_core.conditions.grid import Dimension, parse_conditions
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.settings import AnalysisSettings, AnalyzeConfig, DevRows
from qsm_core.evaluation.ensembles.config import EnsembleConfig
from qsm_core.evaluation.instruction_gains.config import InstructionsConfig
from qsm_core.evaluation.scoring.instructions import ASK, INSTRUCTION_FILE
from qsm_core.evaluation.systems import System
from qsm_core.labels import Split
from qsm_core.models.identity import model_input
from qsm_core.reporting.speech.config import ReportConfig
from qsm_core.store.spec import StageInput
from tasks.conditions import make_rirs
from tasks.evaluation import (
    analyze,
    analyze_instructions,
    evaluate,
    evaluate_baseline,
    evaluate_ensemble,
    evaluate_further,
)
from tasks.prompting import optimize_prompt
from tasks.reporting import make_report
from tasks.run.handle import OutputPart, StageHandle
from tasks.run.runner import Input
from tasks.training import train_lora

CONTROL_FILE = "best_control.txt"
_FIRST = "seed"  # input of an analysis: a model under the instruction that its search began with


@dataclass(frozen=True)
class _Found:
    """The best instruction of one model.

    Attributes:
        instruction: The file.
        search: That found it; None where the user gave it.
        adapter: Of the model; None: it has none.
    """

    instruction: Input
    search: StageHandle | None
    adapter: Input | None


class SpeechStages:
    """Submits the stages of one set of parameters."""

    def __init__(self, parameters: PipelineParameters, run: RunStages) -> None:
        """Submit nothing yet.

        Raises:
            QsmError: The model, the conditions or what the user points at cannot be used.
        """
        check_inputs(parameters)
        self.parameters = parameters
        self._run = run
        self._conditions = condition_keys(parameters.conditions)
        self._runtime = model_runtime(parameters, run)
        self._model = model_input(str(parameters.model), parameters.model_revision)
        self.memory = RunMemory.of_pipeline(parameters, self._model.path)
        run.tables[MEMORY_TABLE] = self.memory.rows  # further work adds rows to it
        if parameters.adapter is not None:
            run.tables[ADAPTER_TABLE] = adapter_rows(
                parameters.adapter, str(parameters.model), self._model.path
            )
        self._corpus: StageHandle | None = None
        self._rirs: StageHandle | None = None
        self._tests: dict[System, StageHandle] = {}
        self._dev: dict[System, tuple[StageHandle, DevRows]] = {}
        self._trainings: dict[System, StageHandle] = {}
        self._found: dict[System, _Found] = {}
        self._further: dict[System, StageHandle] = {}

    def prepare_corpus(self, needed_splits: tuple[Split, ...] | None = None) -> None:
        """Make the synthetic corpus, or check and prepare the user's clips.

        Args:
            needed_splits: Splits without which the clips are refused; None: those that the stages
                of the main job read.
        """
        check_tables(self.parameters)
        clips = clips_of(self.parameters, needed_splits)
        self._corpus = submit_corpus(self._run, clips)
        made = self._run.finished(self._corpus) if clips.of_user else None
        if made is not None:
            splits = clips.preparation.needed_splits
            check_conditions(self.parameters.conditions, made.path, splits)
        if made is not None and self.parameters.searches:
            check_search(self.parameters, made.path)

    def lora_systems(self) -> list[System]:
        """Return the LoRA models, one for each seed of their training; the first has no suffix."""
        return [LORA, *(replace(LORA, seed=seed) for seed in training_seeds(self.parameters)[1:])]

    def make_rirs(self) -> None:
        """Make the impulse responses that the conditions with reverberation need."""
        p = self.parameters
        levels = tuple(
            part.level
            for one in parse_conditions(self._rendered)
            for part in one.parts
            if part.dimension is Dimension.REVERB and isinstance(part.level, float)
        )
        if levels:
            recorded = (
                {} if p.recorded_rirs is None else {"recorded": self._digest(p.recorded_rirs)}
            )
            config = RirConfig(t60s_s=tuple(dict.fromkeys(levels)), seed=p.seed)
            self._rirs = self._run.submit(make_rirs, config, role=Rirs(), inputs=recorded)

    def given_adapter(self) -> StageInput | None:
        """Return the adapter that the user gave, if any."""
        return None if self.parameters.adapter is None else self._digest(self.parameters.adapter)

    def train_lora(self, system: System) -> Input:
        """Fine-tune LoRA on the training clips, or take the adapter that the user gave."""
        given = self.given_adapter()
        if given is not None:
            return given
        self.memory.add_training()
        config = training_config(self.parameters, system, self._conditions)
        inputs = self._inputs(train=self._split("train"), dev=self._split("dev"))
        adapter = self._run.submit(
            train_lora, config, role=Training(system), inputs=inputs, runtime=self._runtime
        )
        self._trainings[system] = adapter
        return adapter

    def evaluate(
        self, system: System, *, adapter: Input | None = None, instruction: Input | None = None
    ) -> None:
        """Score the test clips in every condition with one system.

        Where no search scores the dev clips with it, they are scored here as well: a threshold
        calibrated on them is the free baseline of every comparison.
        """
        p = self.parameters
        config = evaluation_config(p, system, self._conditions)
        if instruction is not None:
            config = replace(config, instruction=None)
        inputs = self._inputs(corpus=self._split("test"), adapter=adapter, instruction=instruction)
        self._tests[system] = self._run.submit(
            evaluate,
            config,
            role=Evaluation(system),
            inputs=inputs,
            runtime=self._runtime,
            num_shards=p.eval_shards or 1,
        )
        if not p.is_searched(system) and "dev" in splits_read(p):
            on_dev = self._run.submit(
                evaluate,
                replace(config, split="dev"),
                role=DevEvaluation(system),
                inputs=inputs | {"corpus": self._split("dev")},
                runtime=self._runtime,
            )
            self._dev[system] = on_dev, "evaluation"

    def evaluate_twin(self, system: System) -> None:
        """Train and evaluate the same LoRA with cross-entropy, where it has another loss.

        It has the same clips, seed and number of updates: what the loss is worth at equal budget.
        """
        if self.parameters.adapter is None and self.parameters.loss != "cross_entropy":
            twin = system.with_cross_entropy
            self.evaluate(twin, adapter=self.train_lora(twin))

    def evaluate_ensembles(self, systems: Sequence[System]) -> None:
        """Average the scores of the models of all seeds, with either instruction."""
        for members in (systems, [system.prompted for system in systems]):
            if len(members) < 2:
                continue
            ensemble = members[0].of_all_seeds
            dev = {one.name: self._dev[one][1] for one in members if one in self._dev}
            on_dev = {f"dev_{one.name}": self._dev[one][0] for one in members if one in self._dev}
            tests = {f"eval_{one.name}": self._tests[one] for one in members}
            self._tests[ensemble] = self._run.submit(
                evaluate_ensemble,
                EnsembleConfig(
                    system=ensemble.name,
                    members=tuple(one.name for one in members),
                    dev=dev,
                    bootstrap=self._analysis.bootstrap,
                ),
                role=Evaluation(ensemble),
                inputs=tests | on_dev,
            )
            if dev:
                self._dev[ensemble] = self._tests[ensemble], "ensemble"

    def evaluate_baselines(self) -> None:
        """Score the test clips in every condition with each plain detector."""
        inputs: dict[str, Input] = {"corpus": self._split("test"), "dev": self._split("dev")}
        if self._rirs is not None:
            inputs["rirs"] = self._rirs
        for name in detector_names(self.parameters):
            system = System(model=name)
            config = detector_config(self.parameters, name, self._conditions)
            self._tests[system] = self._run.submit(
                evaluate_baseline, config, role=Evaluation(system), inputs=inputs
            )

    def optimize_prompt(
        self, system: System, *, given: str | None, adapter: Input | None = None
    ) -> Input:
        """Search a better instruction on the dev clips, or take the one that the user gave."""
        p = self.parameters
        if given is not None:
            self._found[system] = _Found(self._digest(given), None, adapter)
            return self._found[system].instruction
        check_key(p)
        pool = None if p.opro_pool is None else self._digest(p.opro_pool)
        llm = optimizer_inputs(p)
        for one in llm.values():
            self.memory.add_optimizer(p, one.path)
        search = self._run.submit(
            optimize_prompt,
            search_config(p, self._conditions),
            role=Search(system),
            inputs=self._inputs(corpus=self._split("dev"), adapter=adapter, pool=pool, **llm),
            runtime=self._runtime | optimizer_runtime(p),
        )
        # Not the whole output: another way to the same instruction changes no evaluation.
        instruction = OutputPart(search, INSTRUCTION_FILE)
        self._found[system] = _Found(instruction, search, adapter)
        self._dev[system] = search, "first"
        self._dev[system.prompted] = search, "winner"
        return instruction

    def evaluate_further(self) -> None:
        """Score each model on test with what simpler ways found for it, and what helps others."""
        for system, found in self._found.items():
            further = self._further_instructions(system)
            if not further:
                continue
            config = further_config(self.parameters, system, self._conditions, tuple(further))
            inputs = self._inputs(
                corpus=self._split("test"),
                adapter=found.adapter,
                known_best=found.instruction,
                **{f"{ASK}{name}": file for name, file in further.items()},
            )
            self._further[system] = self._run.submit(
                evaluate_further,
                config,
                role=Further(system),
                inputs=inputs,
                runtime=self._runtime,
                num_shards=self.parameters.eval_shards or 1,
            )

    def report(self, title: str) -> None:
        """Make the report of everything that was submitted before."""
        tests = dict(sorted(self._tests.items(), key=lambda item: item[0].place))
        dev = {system: one for system, one in self._dev.items() if system in tests}
        evaluations = {f"eval_{system.name}": handle for system, handle in tests.items()}
        analysis = self._run.submit(
            analyze,
            AnalyzeConfig(
                systems=tuple(system.name for system in tests),
                dev={system.name: rows for system, (_, rows) in dev.items()},
                settings=self._analysis,
            ),
            role=Analysis(),
            inputs=evaluations | {f"dev_{s.name}": handle for s, (handle, _) in dev.items()},
        )
        searches = {s: found.search for s, found in self._found.items() if found.search is not None}
        inputs: dict[str, Input | None] = {
            "analysis": analysis,
            "corpus": self._corpus,
            "rirs": self._rirs,
            **evaluations,
            **{f"opro_{system.name}": handle for system, handle in searches.items()},
            **{f"train_{system.name}": handle for system, handle in self._trainings.items()},
            "instructions": self._analyze_instructions(),
        }
        config = ReportConfig(
            title=title,
            conditions=self._conditions,
            render=render_settings(self.parameters),
            searches=tuple(sorted(system.name for system in searches)),
            trainings=tuple(sorted(system.name for system in self._trainings)),
        )
        given = {name: one for name, one in inputs.items() if one is not None}
        self._run.submit(make_report, config, role=Report(), inputs=given)

    def _analyze_instructions(self) -> StageHandle | None:
        """Analyze the answers under further instructions, where there are any."""
        if not self._further:
            return None
        inputs: dict[str, Input | None] = {}
        for system, found in self._found.items():
            inputs |= {
                f"{_FIRST}_{system.name}": self._tests.get(system),
                f"found_{system.name}": self._tests.get(system.prompted),
                f"further_{system.name}": self._further.get(system),
                f"search_{system.name}": found.search,
            }
        models = tuple(sorted(system.name for system in self._found))
        return self._run.submit(
            analyze_instructions,
            InstructionsConfig(models=models, analysis=self._analysis),
            role=Instructions(),
            inputs={name: one for name, one in inputs.items() if one is not None},
        )

    def _further_instructions(self, system: System) -> dict[str, Input]:
        """Return the further instructions of a model as files, by the names of their origins.

        The base model gets those of every LoRA model, a LoRA model that of the base model.
        """
        search = self._found[system].search
        control = {} if search is None else {"control": OutputPart(search, CONTROL_FILE)}
        others = {
            other.name: found.instruction
            for other, found in self._found.items()
            if other != system and BASE in (other, system)
        }
        return {**control, **others}

    @property
    def _analysis(self) -> AnalysisSettings:
        return AnalysisSettings(bootstrap=BootstrapSettings(seed=self.parameters.seed))

    @property
    def _rendered(self) -> tuple[str, ...]:
        """The keys of the conditions that are rendered here."""
        return self._conditions if isinstance(self._conditions, tuple) else ()

    def _digest(self, path: Path | str) -> StageInput:
        return self._run.digest(path)

    def _split(self, split: Split) -> OutputPart:
        """Return the clips of one split: a stage is given no clip that it has no use for."""
        if self._corpus is None:
            raise RuntimeError("the corpus comes first: call prepare_corpus")
        return OutputPart(self._corpus, split)

    def _inputs(self, **further: Input | None) -> dict[str, Input]:
        """Return what a stage with a model reads: the model, the rooms, and what else there is."""
        inputs: dict[str, Input | None] = {"model": self._model, "rirs": self._rirs, **further}
        return {name: given for name, given in inputs.items() if given is not None}


def model_runtime(parameters: PipelineParameters, run: RunStages) -> dict[str, Any]:
    """Return how stages with a model run; it changes no result."""
    return {
        "device": parameters.device,
        "attention": parameters.attention,
        "batch_size": parameters.batch_size,
        "encoder_cache": str(run.store.layout.encoder_cache),
    }
