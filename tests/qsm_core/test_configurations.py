"""Configurations can be built and checked where nothing is computed: in a form, in a flow."""

from typing import Any

import pytest

from qsm_core.acceptance.config import CaseSelection, GateSettings
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.conditions.config import RenderSettings, RirConfig
from qsm_core.data.config import PrepareConfig, SyntheticConfig
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.analysis.settings import AnalysisSettings, AnalyzeConfig, SourcesConfig
from qsm_core.evaluation.scoring.config import FurtherConfig, ScoringConfig
from qsm_core.inference.config import ParityConfig
from qsm_core.prompting.config import OptimizePrompt
from qsm_core.stage.context import parse_config
from qsm_core.training.config import LoraTraining
from qsm_core.training.text.config import TextTraining
from tests.support.fresh_process import run_python

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."

LIGHT = (
    "qsm_core.acceptance.cases.columns",
    "qsm_core.acceptance.config",
    "qsm_core.acceptance.embedded",
    "qsm_core.acceptance.generation.config",
    "qsm_core.acceptance.student.config",
    "qsm_core.acceptance.synthetic.config",
    "qsm_core.acceptance.verdict.config",
    "qsm_core.conditions.config",
    "qsm_core.conditions.grid",
    "qsm_core.data.clip_counts",
    "qsm_core.data.config",
    "qsm_core.detection.benchmark.config",
    "qsm_core.detection.events.settings",
    "qsm_core.detection.variants.config",
    "qsm_core.detection.variants.seed_configs",
    "qsm_core.evaluation.analysis.bootstrap_settings",
    "qsm_core.evaluation.analysis.settings",
    "qsm_core.evaluation.detectors.config",
    "qsm_core.evaluation.detectors.workload",
    "qsm_core.evaluation.ensembles.config",
    "qsm_core.evaluation.instruction_gains.config",
    "qsm_core.evaluation.scoring.config",
    "qsm_core.evaluation.scoring.instructions",
    "qsm_core.evaluation.scoring.workload",
    "qsm_core.evaluation.systems",
    "qsm_core.inference.config",
    "qsm_core.labels",
    "qsm_core.models.baselines.names",
    "qsm_core.models.baselines.registry",
    "qsm_core.models.lora_projections",
    "qsm_core.models.text.embedded_text",
    "qsm_core.models.text.gguf_config",
    "qsm_core.prompting.config",
    "qsm_core.prompting.search.price",
    "qsm_core.perturbation.config",
    "qsm_core.perturbation.experiments",
    "qsm_core.perturbation.picture_config",
    "qsm_core.perturbation.summary.config",
    "qsm_core.reporting.acceptance.config",
    "qsm_core.reporting.speech.config",
    "qsm_core.seeding",
    "qsm_core.stage.context",
    "qsm_core.training.config",
    "qsm_core.training.text.config",
    "qsm_core.training.workload",
)
HEAVY = (
    "librosa",
    "matplotlib",
    "numpy",
    "pandas",
    "peft",
    "prefect",
    "pyarrow",
    "scipy",
    "soundfile",
    "torch",
    "transformers",
)


def test_configurations_load_nothing_heavy() -> None:
    shown = run_python(
        f"import importlib, sys\n"
        f"for name in {LIGHT}: importlib.import_module(name)\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    assert shown.strip() == "[]"


# A configuration that is allowed, and single values with which it is not.
RANGES: tuple[tuple[type, dict[str, Any], dict[str, tuple[Any, ...]]], ...] = (
    (
        LoraTraining,
        {"seed": 1, "instructions": [ASK]},
        {
            "seed": (-1, 2**31),
            "instructions": ([], ["Speech?"]),
            "rank": (0, 513),
            "alpha": (0, 2049),
            "dropout": (-0.1, 1.0),
            "learning_rate": (0.0, 1.0),
            "epochs": (0, 1001),
            "effective_batch_size": (0, 4097),
            "patience": (-1, 1001, None),
            "renderings_per_clip": (0, 101),
            "answer_format": ("open",),
            "conditions": ([],),
        },
    ),
    (
        MakeCases,
        {},
        {"training": (0, 10_001), "evaluation": (0,), "seed": (-1,), "task": ("other",)},
    ),
    (
        TrainStudent,
        {"task": "product-owner"},
        {
            "dev_share": (0.0, 1.0),
            "min_score": (-0.1, 1.1),
            "unfit": ("cut",),
            "training": ({"rank": 0},),
        },
    ),
    (
        TextTraining,
        {},
        {
            "form": ("raw",),
            "max_tokens": (7,),
            "targets": ("mlp",),
            "steps": (1,),
            "quantization": ("int8",),
            "stored_dtype": ("int8",),
            "micro_batch_size": (0, 3),
        },
    ),
    (
        OptimizePrompt,
        {"seed": 1, "instruction": ASK},
        {
            "instruction": ("Speech?", "x" * 301),
            "iterations": (0, 1001),
            "candidates": (0, 65),
            "clips": (3,),
            "budget": (0,),
            "patience": (-1, 1001, None),
            "length_penalty": (-0.1, 1.1),
            "tolerance": (0.0, 1.0),
            "block_clips": (1, 10_001),
            "finalists": (0, 51),
            "proposers": ([], ["everyone"]),
            "optimizer": ({"served": True, "temperature": 2.1},),
        },
    ),
    (
        SyntheticConfig,
        {},
        {"train_clips": (2, 5, 100_002), "clip_ms": (39, 2001), "clips_per_recording": (0,)},
    ),
    (
        PrepareConfig,
        {"seed": 1},
        {
            "kind": ("tape",),
            "clip_ms": (39, 30_001),
            "dev_fraction": (0.0, 1.0),
            "crops_per_recording": (0,),
        },
    ),
    (
        VariantConfig,
        {},
        {
            "name": ("", "a/b"),
            "strategy": ("by_moon",),
            "noise_per_call": (-1.0,),
            "margin_s": (-0.1,),
            "dev_fraction": (0.0, 1.0),
        },
    ),
    (
        GateSettings,
        {},
        {
            "valid_at_least": (0.0, 1.1),
            "baseline_at_least": (-0.1, 1.1),
            "ratio_at_least": (0.0, 2.1),
            "valid_level": ("nothing",),
            "alpha": (0.0, 0.5),
            "decide_by": ("luck",),
            "power": (0.0, 1.0),
            "num_resamples": (99,),
        },
    ),
    (CaseSelection, {}, {"max_cases": (0,), "order": ("random",), "seed": (-1,)}),
    (EventSettings, {}, {"localisation": ("window",), "max_gap_s": (-1.0,), "hop_s": (0.0,)}),
    (ParityConfig, {"instruction": ASK}, {"num_clips": (1, 501), "instruction": ("Speech?",)}),
    (ScoringConfig, {"system": "base"}, {"instruction": ("Speech?",), "split": ("all",)}),
    (FurtherConfig, {"system": "base", "asked": ["control"]}, {"asked": ([],)}),
    (RenderSettings, {}, {"seed": (-1,)}),
    (RirConfig, {"t60s_s": [0.3]}, {"per_t60": (0,)}),
    (AnalysisSettings, {}, {"margin": (0.0, 1.0), "bootstrap": ({"num_resamples": 99},)}),
    (AnalyzeConfig, {"systems": ["base"]}, {"systems": ([],), "dev": ({"base": "last"},)}),
    (SourcesConfig, {"titles": {"base": "Base"}}, {"titles": ({},), "rows": ("some",)}),
)
WRONG = [
    (model, allowed, {name: value})
    for model, allowed, wrong in RANGES
    for name, values in wrong.items()
    for value in values
]


@pytest.mark.parametrize(
    ("model", "allowed"), [one[:2] for one in RANGES], ids=[one[0].__name__ for one in RANGES]
)
def test_what_is_allowed_is_taken(model: type, allowed: dict[str, Any]) -> None:
    assert isinstance(parse_config(model, allowed), model)


@pytest.mark.parametrize(
    ("model", "allowed", "wrong"),
    WRONG,
    ids=[f"{model.__name__}-{name}" for model, _, wrong in WRONG for name in wrong],
)
def test_what_is_not_allowed_is_refused_by_its_field(
    model: type, allowed: dict[str, Any], wrong: dict[str, Any]
) -> None:
    (name,) = wrong
    with pytest.raises(ConfigurationError, match=rf"(?m)^  - {name}\b"):
        parse_config(model, allowed | wrong)
