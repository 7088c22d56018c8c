"""The stages of qsm: what each runs, what its numbers depend on, what it needs.

`libraries` are those whose version changes an output; a new version of one makes it again.
"""

from __future__ import annotations

from qsm_core.store.spec import StageDefinition

_MODEL = ("bitsandbytes", "numpy", "peft", "tokenizers", "torch", "transformers")
_TABLES = ("pandas", "pyarrow")
_RENDERING = ("numpy", "scipy")

MAKE_CORPUS = StageDefinition(
    name="make_corpus",
    schema=1,
    entry="qsm_core.data.synthetic",
    libraries=("espeakng-loader", "soxr", *_RENDERING, *_TABLES),
)
PREPARE_CORPUS = StageDefinition(
    name="prepare_corpus",
    schema=1,
    entry="qsm_core.data.prepare",
    libraries=("soundfile", "soxr", "numpy", *_TABLES),
)
MAKE_RIRS = StageDefinition(
    name="make_rirs",
    schema=1,
    entry="qsm_core.conditions.rir_stage",
    libraries=("pyroomacoustics", "soundfile", "soxr", *_RENDERING),
)
EVALUATE = StageDefinition(
    name="evaluate",
    schema=1,
    entry="qsm_core.evaluation.scoring.evaluate",
    libraries=(*_MODEL, *_TABLES, "scikit-learn", "scipy"),
    resource="gpu",
    package_data=("qsm_core/inference/*.json",),
)
EVALUATE_FURTHER = StageDefinition(
    name="evaluate_further",
    schema=1,
    entry="qsm_core.evaluation.scoring.further_instructions",
    libraries=(*_MODEL, *_TABLES, "scipy"),
    resource="gpu",
    package_data=("qsm_core/inference/*.json",),
)
EVALUATE_BASELINE = StageDefinition(
    name="evaluate_baseline",
    schema=1,
    entry="qsm_core.evaluation.detectors.evaluate_baseline",
    libraries=(*_RENDERING, *_TABLES, "scikit-learn", "silero-vad", "torch", "webrtcvad-wheels"),
)
CHECK_PARITY = StageDefinition(
    name="check_parity",
    schema=1,
    entry="qsm_core.inference.parity_stage",
    libraries=(*_MODEL, *_TABLES),
    resource="gpu",
    package_data=("qsm_core/inference/*.json",),
)
SCORE_SHARD = StageDefinition(
    name="score_shard",
    schema=1,
    entry="qsm_core.evaluation.scoring.score_shard",
    libraries=(*_MODEL, *_TABLES, "scipy"),
    resource="gpu",
    package_data=("qsm_core/inference/*.json",),
)
SCORE_FURTHER_SHARD = StageDefinition(
    name="score_further_shard",
    schema=1,
    entry=SCORE_SHARD.entry,
    libraries=SCORE_SHARD.libraries,
    resource="gpu",
    package_data=SCORE_SHARD.package_data,
)
TRAIN_LORA = StageDefinition(
    name="train_lora",
    schema=1,
    entry="qsm_core.training.lora",
    package_data=("qsm_core/inference/*.json",),
    libraries=(*_MODEL, *_TABLES, "accelerate", "scipy"),
    resource="gpu",
)
OPTIMIZE_PROMPT = StageDefinition(
    name="optimize_prompt",
    schema=1,
    entry="qsm_core.prompting.optimize",
    libraries=(*_MODEL, *_TABLES, "scikit-learn", "scipy"),
    resource="gpu",
    package_data=("qsm_core/prompting/*.json", "qsm_core/inference/*.json"),
)
ANALYZE = StageDefinition(
    name="analyze",
    schema=1,
    entry="qsm_core.evaluation.analysis.analyze",
    libraries=("numpy", "scikit-learn", "scipy", *_TABLES),
)
ANALYZE_INSTRUCTIONS = StageDefinition(
    name="analyze_instructions",
    schema=1,
    entry="qsm_core.evaluation.instruction_gains.tables",
    libraries=("numpy", "scikit-learn", "scipy", *_TABLES),
)
ANALYZE_SOURCES = StageDefinition(
    name="analyze_sources",
    schema=1,
    entry="qsm_core.evaluation.analysis.sources",
    libraries=("numpy", "scikit-learn", "scipy", *_TABLES),
)
MAKE_REPORT = StageDefinition(
    name="make_report",
    schema=3,
    entry="qsm_core.reporting.speech.report",
    libraries=(*_RENDERING, *_TABLES, "jinja2", "matplotlib", "pillow", "soundfile"),
    package_data=(
        "qsm_core/reporting/page/*.jinja",
        "qsm_core/reporting/page/*.css",
        "qsm_core/reporting/speech/*.json",
    ),
)

# What does a share of the work of an evaluation, by the name of the evaluation.
SHARD_OF = {EVALUATE.name: SCORE_SHARD, EVALUATE_FURTHER.name: SCORE_FURTHER_SHARD}
