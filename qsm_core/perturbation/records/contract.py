"""Records in the form of the original study: one a text, with every field of its contract.

Its analysis reads one JSON array a file, `outputs_{method}_{model}_{name}.json`. Three fields are
kept to the letter and mean what their names say, unlike there: `output` is without the prompt,
`duration` is the time that the text took, `tokens_in` counts the prompt in its chat template.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.perturbation.cells import CLEAN
from qsm_core.perturbation.config import Condition, PerturbModel
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.records.rows import CellRow, TextRow
from qsm_core.perturbation.records.tables import Rows

# What the original calls its groups.
_GROUP_NAMES = {"attention_v": "attn_only", "mlp": "mlp_only", "embeddings": "embed_only"}


@dataclass(frozen=True)
class Experiment:
    """What all records of a run have in common.

    Args:
        name: Of the run.
        model: As the user named it.
        config: Of the cells.
        image: Name of the picture's file; None without one.
    """

    name: str
    model: str
    config: PerturbModel
    image: str | None = None


def contract_records(
    experiment: Experiment, rows: Rows, prompts: Iterable[Prompt]
) -> Iterator[tuple[Condition, dict[str, Any]]]:
    """Yield a record a text, with its condition; those of the clean model in each condition."""
    by_id = {one.prompt_id: one for one in prompts}
    numbers = {name: number for number, name in enumerate(by_id, start=1)}
    texts: dict[str, list[TextRow]] = {}
    for row in rows.texts.values():
        texts.setdefault(row.cell, []).append(row)
    for condition in experiment.config.conditions:
        for index, level in enumerate(condition.levels):
            for draw in range(experiment.config.draws):
                key = (
                    f"{CLEAN}|{draw}"
                    if level == 0
                    else f"{condition.method}|{condition.group.name}|{float(level)!r}|{draw}"
                )
                for row in texts.get(key, ()):
                    prompt, cell = by_id.get(row.prompt_id), rows.cells.get(key)
                    if prompt is None or cell is None:
                        continue
                    place = (level, index, draw, numbers[row.prompt_id])
                    yield condition, _record(experiment, condition, place, row, prompt, cell)


def write_exports(
    folder: Path, experiment: Experiment, rows: Rows, prompts: Iterable[Prompt]
) -> list[Path]:
    """Write one JSON array a condition, in the form that the original's analysis reads.

    A group or its layers other than the original's belong to the name, so that no file holds two
    experiments. A file is whole or not there.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for condition, record in contract_records(experiment, rows, prompts):
        by_name.setdefault(export_name(experiment, condition), []).append(record)
    paths = []
    for name, records in by_name.items():
        path = folder / name
        partial = path.with_name(f"{name}.part")
        text = json.dumps(records, indent=2, ensure_ascii=False)
        partial.write_text(text, encoding="utf-8", errors="replace")  # lone surrogates
        partial.replace(path)
        paths.append(path)
    return paths


def export_name(experiment: Experiment, condition: Condition) -> str:
    """Return `outputs_{method}_{model}_{name}.json`, where name ends in the group."""
    parts = (condition.method, Path(experiment.model).name, experiment.name, condition.group.name)
    return "outputs_" + "_".join(re.sub(r"[^A-Za-z0-9._-]+", "-", one) for one in parts) + ".json"


def _record(
    experiment: Experiment,
    condition: Condition,
    place: tuple[float, int, int, int],
    row: TextRow,
    prompt: Prompt,
    cell: CellRow,
) -> dict[str, Any]:
    level, index, draw, number = place
    config, texts = experiment.config, experiment.config.texts
    group = condition.group.name
    record = {
        "timestamp": row.timestamp,
        "experiment_id": f"{condition.method}|{experiment.model}|{experiment.name}",
        "model_name": experiment.model,
        "config_name": experiment.name,
        "prompt_group": prompt.task,
        "prompt_id": number,
        "prompt_name": prompt.prompt_id,
        "prompt_text": prompt.text,
        "output": row.output,
        "std_dev": level,
        "level_value": level,
        "degrad_level": level,
        "level_index": index,
        "repeat_index": draw,
        "param_group_name": _GROUP_NAMES.get(group, group),
        "degradation_method": condition.method,
        "seed": row.seed,
        "temperature": texts.temperature,
        "do_sample": texts.temperature > 0,
        "gen_params": _generation(texts),
        "duration": row.seconds,
        "tokens": row.tokens_out,
        "tokens_out": row.tokens_out,
        "tokens_in": row.tokens_in,
        "model_variant": "it" if texts.form == "chat" else "pt",
        "device": row.device,
        "dtype": row.dtype,
        "load_4bit": config.quantization == "nf4",
        "usar_4bit": config.quantization == "nf4",
        "restore_strategy": "subset_in_memory",
        "batch_size_effective": row.batch_size,
        "image_used": prompt.has_picture,
        "is_whole": row.is_whole,
    }
    if prompt.has_picture:
        record["image_filename"] = experiment.image
    if row.memory_percent is not None:
        record["vram_usage_percent"] = round(row.memory_percent, 1)
    measured = cell.user_log_perplexity
    if measured is None:
        measured = cell.log_perplexity
    if measured is not None:
        record["perplexity"] = math.exp(min(measured, 700.0))
    return record


def _generation(texts: Any) -> Mapping[str, Any]:
    return {
        "temperature": texts.temperature,
        "do_sample": texts.temperature > 0,
        "max_new_tokens": texts.max_new_tokens,
        "top_k": texts.top_k,
        "top_p": texts.top_p,
    }
