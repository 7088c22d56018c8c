"""Which stages of an experiment with damaged weights read what. The same code plans and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.perturbation.parameters import EMBEDDED, PerturbParameters
from flows.perturbation.prediction import predicted
from flows.perturbation.roles import (
    CELLS,
    MODEL,
    PICTURE,
    REFERENCE,
    REPORT,
    SUMMARY,
    quantized_cells,
)
from flows.run.stages import RunStages
from flows.text_models.embedded import embedded_model
from qsm_core.models.identity import TEXT_LLM, model_input
from qsm_core.models.text.gguf_config import ConvertGguf
from qsm_core.perturbation.config import MeasureReference
from qsm_core.perturbation.picture_config import PICTURE_FILE, DrawPicture
from qsm_core.perturbation.plan import prompts_of
from qsm_core.perturbation.summary.config import SummarizePerturbation, other_input
from qsm_core.reporting.perturbation.config import PerturbationReport
from tasks.perturbation import (
    draw_picture,
    measure_reference,
    perturb,
    report_perturbation,
    summarize_perturbation,
)
from tasks.run.handle import OutputPart
from tasks.run.runner import Input
from tasks.text_models import convert_gguf


def perturbation_stages(p: PerturbParameters, run: RunStages) -> None:
    """Submit the clean model's reference, the cells, their tables and the report.

    Raises:
        ConfigurationError: The model cannot be used.
        TransientError: The Hub did not answer.
    """
    config = p.cells
    prompts = prompts_of(config, p.files)
    model = _model(p, run)
    run.tables["Experiment"] = predicted(p, len(prompts))
    text = {} if p.text is None else {"text": run.digest(p.text)}
    device = {"device": p.device}
    reference = run.submit(
        measure_reference,
        MeasureReference(max_tokens=p.max_tokens, dtype=p.dtype),
        role=REFERENCE,
        inputs={"model": model, **text},
        runtime=device,
    )
    asked: dict[str, Input] = {}
    if p.prompts is not None:
        asked["prompts"] = run.digest(p.prompts)
    if any(one.has_picture for one in prompts):
        asked["image"] = _image(p, run)
    inputs: dict[str, Input] = {"model": model, "reference": reference, **asked}
    runtime: dict[str, Any] = {**device, "batch_size": p.batch_size or 8}
    runtime["max_batch_size"] = p.max_batch_size
    cells = run.submit(
        perturb, config, role=CELLS, inputs=inputs, runtime=runtime, num_shards=p.shards
    )
    made: dict[str, Input] = {"cells": cells, "reference": reference}
    for quantization in dict.fromkeys(p.also):
        made[quantization] = run.submit(
            perturb,
            p.cells_loaded(quantization),
            role=quantized_cells(quantization),
            inputs=inputs,
            runtime=runtime,
        )
    if p.prompts is not None:
        made["prompts"] = asked["prompts"]
    others = [Path(one).expanduser() for one in p.compare]
    for number, folder in enumerate(others):
        made[other_input(number)] = run.digest(folder / "cells")
    summary = run.submit(
        summarize_perturbation,
        SummarizePerturbation(
            name=str(p.name),
            model=str(p.model),
            cells=config,
            others=tuple(one.name for one in others),
            image=PICTURE_FILE if p.image is None else Path(p.image).name,
        ),
        role=SUMMARY,
        inputs=made,
    )
    run.submit(
        report_perturbation,
        PerturbationReport(),
        role=REPORT,
        inputs={"summary": summary, "cells": cells},
    )


def _model(p: PerturbParameters, run: RunStages) -> Input:
    model = str(p.model)
    if model == EMBEDDED:
        return embedded_model(run)
    if model.endswith(".gguf"):
        file = run.digest(model)
        return run.submit(convert_gguf, ConvertGguf(), role=MODEL, inputs={"file": file})
    return model_input(model, p.model_revision, TEXT_LLM)


def _image(p: PerturbParameters, run: RunStages) -> Input:
    if p.image is not None:
        return run.digest(p.image)
    return OutputPart(run.submit(draw_picture, DrawPicture(), role=PICTURE), PICTURE_FILE)
