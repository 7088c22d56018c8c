"""What the parameters mean for each stage: its configuration, its inputs, its name.

A `Study` submits stages to a runner, or to the planner, which takes the same arguments. Which
stages there are, and in which order, stands in the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from flows.speech.budget import check_search
from flows.speech.corpus_config import (
    is_searched,
    prepared_corpus,
    searches,
    splits_read,
    synthetic_corpus,
)
from flows.speech.evaluation_names import dev_predictions, in_order, without_seed
from flows.speech.further_instructions import BestInstruction, analyzed_together, asked_on_test
from flows.speech.inputs import check_inputs
from flows.speech.listed_values import baseline_names, condition_keys
from flows.speech.memory import RunMemory
from flows.speech.model_configs import asked, rendered, searched, trained
from flows.speech.optimizer import check_key, optimizer_inputs, optimizer_runtime
from flows.speech.parameters import PipelineParameters
from qsm_core.conditions.grid import Dimension, parse_conditions
from qsm_core.evaluation.scoring.instructions import ASK, INSTRUCTION_FILE
from qsm_core.labels import Split
from qsm_core.models.identity import model_input
from qsm_core.store.spec import StageDefinition, StageInput
from qsm_core.store.store import StageOutput, Store
from tasks.definitions import (
    ANALYZE,
    ANALYZE_INSTRUCTIONS,
    CHECK_PARITY,
    EVALUATE,
    EVALUATE_BASELINE,
    EVALUATE_FURTHER,
    MAKE_CORPUS,
    MAKE_REPORT,
    MAKE_RIRS,
    OPTIMIZE_PROMPT,
    PREPARE_CORPUS,
    TRAIN_LORA,
)
from tasks.run.handle import OutputPart
from tasks.run.spreading import EvaluationShards

Handle = Any  # of the runner or of the planner; a study only passes it on


class Submits(Protocol):
    """What a study needs of the runner and of the planner."""

    def submit(
        self,
        definition: StageDefinition,
        *,
        name: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, Any] | None = None,
        runtime: Mapping[str, Any] | None = None,
        force: bool = False,
        spread: EvaluationShards | None = None,
    ) -> Handle:
        """Take one stage."""


class Study:
    """Submits the stages of one set of parameters."""

    def __init__(
        self,
        parameters: PipelineParameters,
        store: Store,
        runner: Submits,
        *,
        check_first: Callable[[Handle], object],
    ) -> None:
        """Prepare a study.

        Args:
            parameters: What the user wants.
            store: Where inputs are digested.
            runner: Takes the stages.
            check_first: Is given a corpus of the user's clips before any other stage is submitted,
                so that clips that cannot be used are told before a GPU job is queued.

        Raises:
            QsmError: The model, the conditions or what the user points at cannot be used.
        """
        check_inputs(parameters)
        self.parameters = parameters
        self._check_first = check_first
        self._store = store
        self.runner = runner
        self._conditions = condition_keys(parameters.conditions)
        self._runtime = {
            "device": parameters.device,
            "attention": parameters.attention,
            "batch_size": parameters.batch_size,
            "encoder_cache": str(store.layout.encoder_cache),
        }
        self._shards = EvaluationShards(parameters.eval_shards or 1)
        self._model = model_input(str(parameters.model), parameters.model_revision)
        self.memory = RunMemory(parameters, self._model.path)
        self._corpus: Handle = None
        self._rirs: Handle = None
        self._for_report: dict[str, Handle] = {}
        self._evaluated: dict[str, Handle] = {}  # by system, as the next one
        self._heard_on_dev: dict[str, Handle] = {}
        self._searches: dict[str, Handle] = {}  # by model
        self._trainings: list[str] = []
        self._found: dict[str, BestInstruction] = {}

    def digest(self, path: Path | str) -> StageInput:
        """Return a file or folder of the user as an input, by its content."""
        return self._store.digest(Path(path).expanduser().resolve())

    def prepare_corpus(
        self, needed_splits: Collection[str] | None = None, *, divided: bool = True
    ) -> Handle:
        """Make the synthetic corpus, or check and prepare the user's clips.

        Args:
            needed_splits: Splits without which the clips are refused; None: those that the stages
                of the main job read.
            divided: Whether the user's clips are divided; else all are test clips.
        """
        p = self.parameters
        if p.data is None:
            name = "corpus" if p.test_data is None else "training_corpus"
            self._corpus = self._submit(MAKE_CORPUS, name, synthetic_corpus(p), {})
            sources: dict[str, Handle] = {"corpus": self._corpus}
        else:
            sources = self._labelled("source", "audio_root", p.data, p.audio_root)
        if p.test_data is not None:
            sources |= self._labelled("test_data", "test_audio_root", p.test_data, None)
        if len(sources) > 1 or p.data is not None:
            needed = splits_read(p) if needed_splits is None else sorted(needed_splits)
            preparation = prepared_corpus(p) | {"needed_splits": needed, "divided": divided}
            self._corpus = self._submit(PREPARE_CORPUS, "corpus", preparation, sources)
        self._for_report["corpus"] = self._corpus
        if p.data is not None or p.test_data is not None:
            made = self._check_first(self._corpus)
            if isinstance(made, StageOutput) and searches(p):
                check_search(p, made.path)
        return self._corpus

    def lora_seeds(self) -> list[tuple[int, str]]:
        """Return the seeds of the LoRA models, each with the suffix of its stages' names."""
        first = self.parameters.seed
        seeds = range(first, first + self.parameters.num_seeds)
        return [(seed, "" if seed == first else f"_seed{seed}") for seed in seeds]

    def make_rirs(self) -> None:
        """Make the impulse responses that the conditions with reverberation need."""
        p = self.parameters
        levels = [c.level for c in parse_conditions(self._rendered()) if _is_reverberant(c)]
        if not levels:
            return
        recorded = {} if p.recorded_rirs is None else {"recorded": self.digest(p.recorded_rirs)}
        self._rirs = self._submit(MAKE_RIRS, "rirs", {"t60s_s": levels, "seed": p.seed}, recorded)

    def evaluate(
        self, name: str, *, system: str, adapter: Handle = None, instruction: Handle = None
    ) -> Handle:
        """Predict the test clips in every condition with one system.

        Where no search predicts the dev clips with it, they are predicted here as well: a threshold
        calibrated on them is the free baseline of every comparison.
        """
        p = self.parameters
        config = asked(p, system, self._conditions)
        if instruction is None:
            config["instruction"] = p.instruction
        inputs = self._inputs(corpus=self._split("test"), adapter=adapter, instruction=instruction)
        output = self._submit(EVALUATE, name, config, inputs, spread=self._shards)
        self._for_report[f"eval_{system}"] = self._evaluated[system] = output
        if not is_searched(p, system) and "dev" in splits_read(p):
            on_dev = inputs | {"corpus": self._split("dev")}
            dev = self._submit(EVALUATE, f"dev_{system}", config | {"split": "dev"}, on_dev)
            self._for_report[f"dev_{system}"] = self._heard_on_dev[system] = dev
        return output

    def evaluate_baselines(self) -> None:
        """Predict the test clips in every condition with each plain detector."""
        p = self.parameters
        inputs = {
            "corpus": self._split("test"),
            "dev": self._split("dev"),
            "rirs": self._rirs,
        }
        for detector in baseline_names(p):
            config = {
                "detector": detector,
                "conditions": self._conditions,
                "render": rendered(p),
            }
            given = {name: handle for name, handle in inputs.items() if handle is not None}
            name = f"eval_{detector}"
            output = self._submit(EVALUATE_BASELINE, name, config, given)
            self._for_report[name] = self._evaluated[detector] = output

    def check_parity(
        self, *, num_clips: int, other_quantization: bool, machine: str, again: bool
    ) -> Handle:
        """Compare every way of computing an answer on the clips of the corpus."""
        p = self.parameters
        config = {
            "instruction": p.instruction,
            "quantization": p.quantization,
            "num_clips": num_clips,
            "other_quantization": other_quantization,
            "machine": machine,
        }
        given = {} if p.adapter is None else {"adapter": self.digest(p.adapter)}
        inputs = {"corpus": self._corpus, "model": self._model, **given}
        return self.runner.submit(
            CHECK_PARITY,
            name="parity",
            config=config,
            inputs=inputs,
            runtime=self._runtime,
            force=again,
        )

    def given_adapter(self) -> StageInput | None:
        """Return the adapter that the user gave, if any."""
        return None if self.parameters.adapter is None else self.digest(self.parameters.adapter)

    def train_lora(self, name: str, *, seed: int) -> Handle:
        """Fine-tune LoRA on the training clips, or take the adapter that the user gave."""
        p = self.parameters
        if p.adapter is not None:
            return self.digest(p.adapter)
        self.memory.add_training()
        config = trained(p, seed, self._conditions)
        inputs = self._inputs(train=self._split("train"), dev=self._split("dev"))
        output = self._submit(TRAIN_LORA, name, config, inputs)
        self._for_report[f"train_{name}"] = output
        self._trainings.append(name)
        return output

    def optimize_prompt(self, name: str, *, given: str | None, adapter: Handle = None) -> Handle:
        """Search a better instruction on the dev clips, or take the one that the user gave."""
        p = self.parameters
        model = name.removeprefix("opro_")
        if given is not None:
            self._found[model] = BestInstruction(self.digest(given), None, adapter)
            return self._found[model].instruction
        check_key(p)
        pool = None if p.opro_pool is None else self.digest(p.opro_pool)
        llm = optimizer_inputs(p)
        for folder in llm.values():
            self.memory.add_optimizer(folder.path)
        inputs = self._inputs(corpus=self._split("dev"), adapter=adapter, pool=pool, **llm)
        config = searched(p, self._conditions)
        output = self._submit(OPTIMIZE_PROMPT, name, config, inputs, runtime=optimizer_runtime(p))
        self._for_report[name] = self._searches[model] = output
        # Not the whole output: another way to the same instruction changes no evaluation.
        instruction = OutputPart(output, INSTRUCTION_FILE)
        self._found[model] = BestInstruction(instruction, output, adapter)
        return instruction

    def evaluate_further(self) -> None:
        """Ask each model on test what simpler ways found for it, and what helps other models."""
        p = self.parameters
        for model, found in self._found.items():
            further = asked_on_test(model, self._found)
            if not further:
                continue
            config = asked(p, model, self._conditions)
            config |= {"instruction": p.instruction, "asked": list(further), "known": ["best"]}
            inputs = self._inputs(
                corpus=self._split("test"),
                adapter=found.adapter,
                known_best=found.instruction,
                **{f"{ASK}{name}": file for name, file in further.items()},
            )
            name = f"further_{model}"
            self._for_report[name] = self._submit(
                EVALUATE_FURTHER, name, config, inputs, spread=self._shards
            )

    def report(self, title: str) -> Handle:
        """Make the report of everything that was submitted before."""
        systems = in_order(self._evaluated)
        dev = dev_predictions(self._heard_on_dev, self._searches, systems)
        analyzed = {
            "systems": systems,
            "dev": {name: which for name, (which, _) in dev.items()},
            "settings": {"bootstrap": {"seed": self.parameters.seed}},
        }
        evaluations = {f"eval_{name}": self._evaluated[name] for name in systems}
        on_dev = {f"dev_{name}": handle for name, (_, handle) in dev.items()}
        analysis = self._submit(ANALYZE, "analysis", analyzed, {**evaluations, **on_dev})
        rirs = {} if self._rirs is None else {"rirs": self._rirs}
        inputs = {"analysis": analysis, **rirs, **self._for_report, **self._instructions()}
        config = {
            "title": title,
            "conditions": self._conditions,
            "render": rendered(self.parameters),
            "searches": sorted(self._searches),
            "trainings": sorted(self._trainings),
        }
        return self._submit(MAKE_REPORT, "report", config, inputs)

    def _instructions(self) -> dict[str, Handle]:
        """Analyze what models answered under further instructions, where they were asked."""
        if not any(name.startswith("further_") for name in self._for_report):
            return {}
        config = {
            "models": sorted(self._found),
            "analysis": {"bootstrap": {"seed": self.parameters.seed}},
        }
        inputs = analyzed_together(self._found, self._for_report)
        return {"instructions": self._submit(ANALYZE_INSTRUCTIONS, "instructions", config, inputs)}

    def _split(self, split: Split) -> OutputPart:
        """Return the clips of one split: a stage is given no clip that it has no use for."""
        return OutputPart(self._corpus, split)

    def _inputs(self, **further: Handle | None) -> dict[str, Handle]:
        """Return what a stage with a model reads: the model, the rooms, and what else there is."""
        inputs = {"model": self._model, "rirs": self._rirs, **further}
        return {name: given for name, given in inputs.items() if given is not None}

    def _submit(
        self,
        definition: StageDefinition,
        name: str,
        config: dict[str, Any],
        inputs: Mapping[str, Handle],
        *,
        spread: EvaluationShards | None = None,
        runtime: Mapping[str, Any] = {},
    ) -> Handle:
        return self.runner.submit(
            definition,
            name=name,
            config=config,
            inputs=inputs,
            runtime={**self._runtime, **runtime},
            force=_is_forced(name, self.parameters.force),
            spread=spread,
        )

    def _labelled(
        self, name: str, root_name: str, path: str, root: str | None
    ) -> dict[str, Handle]:
        """Return labelled clips as inputs; a manifest comes with the folder of its audio."""
        source = Path(path).expanduser()
        if source.is_dir():
            return {name: self.digest(path)}
        return {name: self.digest(path), root_name: self.digest(root or str(source.parent))}

    def _rendered(self) -> list[str]:
        """Return the keys of the conditions that are rendered here."""
        return self._conditions if isinstance(self._conditions, list) else []


def _is_reverberant(condition: Any) -> bool:
    return condition.dimension is Dimension.REVERB and condition.level is not None


def _is_forced(name: str, force: Collection[str]) -> bool:
    """Say whether a stage is to be made again; `lora` means the LoRA models of all seeds."""
    return without_seed(name) in force
