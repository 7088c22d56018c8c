"""The recipe of the two adapters, from a seed to two folders.

Three steps: read SmolLM2-135M-Instruct from its GGUF file, make cases, and train a larger and a
smaller adapter on the cases for training. Each adapter is kept at the step that is best on shops
of these cases that were kept aside; no evaluation case is read. The same seed on one thread gives
the same bits.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qsm_core.acceptance.embedded import BASE_MODEL
from qsm_core.acceptance.student import train
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.synthetic import make_cases
from qsm_core.acceptance.synthetic.config import TRAINING_FILE, MakeCases
from qsm_core.errors import ConfigurationError
from qsm_core.models.adapter_files import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE
from qsm_core.models.text.gguf_conversion import convert
from qsm_core.stage.context import StageContext
from qsm_core.training.text.config import TextTraining
from qsm_core.training.text.training import LOG_FILE

Report = Callable[[int, int, str], None]

TASK: Literal["field-extraction"] = "field-extraction"
GROUP = "shop"
_KEPT = (WEIGHTS_FILE, CONFIG_FILE, CARD_FILE, "README.md", LOG_FILE)
BASELINE_TRAINING = TextTraining(
    rank=3,
    alpha=6,
    dropout=0.0,
    learning_rate=2e-3,
    steps=120,
    eval_every_steps=40,
    effective_batch_size=2,
    micro_batch_size=1,
    max_tokens=512,
    dtype="float32",
    stored_dtype="float16",
    base_model=BASE_MODEL,
)
STUDENT_TRAINING = dataclasses.replace(BASELINE_TRAINING, rank=1, alpha=2)


@dataclass(frozen=True)
class RecipeSettings:
    """What is made; the defaults are the shipped adapters'.

    Attributes:
        cases: Of the training.
        baseline: Training of the larger adapter.
        student: Training of the smaller one.
        dev_share: Share of the places that the step is chosen by.
        threads: Of torch; another number changes the last bits.
    """

    cases: MakeCases = field(default_factory=lambda: MakeCases(task=TASK, training=240))
    baseline: TextTraining = BASELINE_TRAINING
    student: TextTraining = STUDENT_TRAINING
    dev_share: float = 0.15
    threads: int = 1


def build_adapters(
    folders: Mapping[str, Path],
    settings: RecipeSettings,
    report: Report,
    *,
    model: Path | None,
    gguf: Path | None,
    work: Path,
) -> None:
    """Make the adapters.

    Args:
        folders: Where each goes: baseline, student or both.
        settings: What to make.
        report: Called with done, total and a message.
        model: Folder of the base model; None reads `gguf`.
        gguf: File of the base model.
        work: Keeps the model, the cases and checkpoints, from which an interrupted recipe goes on.

    Raises:
        ConfigurationError: There is no model.
        ModelError: The model cannot be used.
    """
    if model is None and gguf is not None:
        model = _converted(gguf, work / "model", report)
    if model is None:
        problem = "there is neither a folder nor a file of the base model"
        raise ConfigurationError("the adapters cannot be made", [problem])
    cases = work / "cases"
    cases.mkdir(parents=True, exist_ok=True)
    make_cases.run(_context(cases, dataclasses.asdict(settings.cases), {}, report))
    inputs = {"model": model, "cases": cases / TRAINING_FILE}
    for name, folder in folders.items():
        training: TextTraining = getattr(settings, name)
        config = TrainStudent(
            task=TASK, group=GROUP, dev_share=settings.dev_share, training=training
        )
        out = work / name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        context = _context(
            out, dataclasses.asdict(config), inputs, report, threads=settings.threads
        )
        train.run(context)
        folder.mkdir(parents=True, exist_ok=True)
        for file in _KEPT:
            shutil.copyfile(out / file, folder / file)


def _converted(gguf: Path, folder: Path, report: Report) -> Path:
    if not (folder / "model.safetensors").is_file():
        report(0, 1, "reading the GGUF file")
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        convert(gguf, partial)
        partial.rename(folder)
    return folder


def _context(
    out: Path,
    config: Mapping[str, object],
    inputs: Mapping[str, Path],
    report: Report,
    **runtime: object,
) -> StageContext:
    work = out.with_name(f"{out.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    return StageContext(
        config=config,
        inputs=inputs,
        out=out,
        work=work,
        runtime={"device": "cpu", **runtime},
        report=report,
    )
