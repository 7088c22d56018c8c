"""The stage "check_parity": every way of computing an answer, compared on one model and its clips.

    python -m qsm_core.inference.parity_stage --spec spec.json

Inputs: `corpus` (a prepared corpus), `model`, and optionally `adapter`.

Output: parity.csv and parity.json (the rows, the verdict, where it ran and with which versions).
A failed check does not fail the stage: the verdict is for people to read.
"""

from __future__ import annotations

import csv
import dataclasses
import gc
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.framing import center_crop
from qsm_core.data.corpus import Corpus
from qsm_core.errors import DataError, ModelError
from qsm_core.inference.config import ParityConfig, Quantization
from qsm_core.inference.parity import Answers, ParityCheck, ParityRow, judge, not_made
from qsm_core.labels import Label
from qsm_core.models.audio_llm import AudioLLM, load_audio_llm
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

TABLE_FILE = "parity.csv"
RESULT_FILE = "parity.json"
_ADAPTER_CHECK = "adapter on against off"
_QUANTIZED_CHECK = "four bits (NF4) against none"
_MOST_ROWS = 12
_LENGTHS_MS = (None, 500, 200, 90)  # each clip is cut to one of them in turn; None: as it is
_SHORTEST_MS = 80  # the stock `generate` fails on a clip of one audio token
_LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "numpy")


def run(context: StageContext) -> dict[str, Any]:
    """Make every check and return the verdict.

    Raises:
        DataError: The corpus has fewer than two clips that can be used.
        ModelError: The model cannot be loaded, or the instruction has no constrained answer.
    """
    config = parse_config(ParityConfig, context.config)
    clips = choose_clips(Corpus.open(context.inputs["corpus"]), config.num_clips)
    context.report(0, _MOST_ROWS, "loading the model")
    llm, refused = _load(context, config)
    check = ParityCheck(llm, clips, config.instruction, context.work / "encoder_cache")
    rows = []
    for row in check.rows():
        rows.append(_with_refusal(row, refused))
        context.report(len(rows), _MOST_ROWS, row.check)
    facts = {"placement": llm.reason, "notes": list(llm.notes)}
    reference = check.reference
    del check, llm
    gc.collect()
    if config.other_quantization:
        context.report(len(rows), _MOST_ROWS, _QUANTIZED_CHECK)
        rows += _quantized(context, config, clips, reference)
    return _write(context.out, rows, facts)


def choose_clips(corpus: Corpus, count: int) -> list[np.ndarray]:
    """Return clips of both classes, cut to different lengths, none of them silent.

    Raises:
        DataError: There are fewer than two.
    """
    by_label = [
        [int(row) for row in corpus.clips.index[corpus.clips["label"] == label.value]]
        for label in Label
    ]
    longest = max(map(len, by_label), default=0)
    order = [rows[i] for i in range(longest) for rows in by_label if i < len(rows)]
    clips: list[np.ndarray] = []
    for row in order:
        if len(clips) == count:
            break
        waveform = corpus.waveform(row)
        length_ms = _LENGTHS_MS[len(clips) // 2 % len(_LENGTHS_MS)]
        if length_ms is not None:
            waveform = center_crop(waveform, min(len(waveform), SAMPLE_RATE_HZ * length_ms // 1000))
        loud = float(np.abs(waveform).max(initial=0.0)) > 1e-3
        if loud and len(waveform) >= SAMPLE_RATE_HZ * _SHORTEST_MS // 1000:
            clips.append(np.ascontiguousarray(waveform))
    if len(clips) < 2:
        problem = f"{len(clips)} of {len(order)} clips are {_SHORTEST_MS} ms long and not silent"
        raise DataError("parity cannot be checked on these clips", [problem])
    return clips


def _load(context: StageContext, config: ParityConfig) -> tuple[AudioLLM, str | None]:
    """Load the model; if its adapter is refused, load it without and return why.

    The loader's self-test is skipped: here these checks are rows of a table.
    """
    adapter = context.inputs.get("adapter")
    try:
        return _load_model(context, config, config.quantization, adapter), None
    except ModelError as error:
        if adapter is None:
            raise
        return _load_model(context, config, config.quantization, None), str(error)


def _load_model(
    context: StageContext, config: ParityConfig, quantization: str, adapter: Path | None
) -> AudioLLM:
    return load_audio_llm(
        context.inputs["model"],
        adapter=adapter,
        quantization=quantization,
        device=str(context.runtime.get("device", "auto")),
        dtype=config.dtype,
        attention=str(context.runtime.get("attention", "auto")),
        self_test=False,
    )


def _with_refusal(row: ParityRow, refused: str | None) -> ParityRow:
    if refused is None or row.check != _ADAPTER_CHECK:
        return row
    return dataclasses.replace(row, verdict="FAIL", note=f"refused: {refused}")


def _quantized(
    context: StageContext, config: ParityConfig, clips: list[np.ndarray], reference: Answers
) -> list[ParityRow]:
    """Compare with the same model in four bits, or without them.

    A four-bit model loaded here is first compared with its own decoded weights: if they are decoded
    wrongly, the difference from no quantization says nothing about the model.
    """
    other: Quantization = "nf4" if config.quantization == "none" else "none"
    try:
        llm, _ = _load(context, dataclasses.replace(config, quantization=other))
        check = ParityCheck(llm, clips, config.instruction, context.work)
        of_layers = [check.decoded()] if other == "nf4" else []
    except (ModelError, torch.OutOfMemoryError) as error:
        return [not_made(_QUANTIZED_CHECK, "close", len(clips), str(error).splitlines()[0])]
    ways = (reference, check.reference) if other == "nf4" else (check.reference, reference)
    return [*of_layers, judge(_QUANTIZED_CHECK, *ways, expected="close", exact=False)]


def _write(out: Path, rows: list[ParityRow], facts: dict[str, Any]) -> dict[str, Any]:
    failed = [row.check for row in rows if row.verdict == "FAIL"]
    table = [dataclasses.asdict(row) for row in rows]
    with (out / TABLE_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    equal = [
        row.largest_difference
        for row in rows
        if row.expected == "equal" and row.largest_difference is not None
    ]
    verdict = {
        "verdict": "FAIL" if failed else "pass",
        "failed": failed,
        "largest_difference": max(equal),
        **facts,
    }
    result = verdict | {
        "versions": {name: version(name) for name in _LIBRARIES},
        "rows": table,
    }
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    (out / RESULT_FILE).write_text(text, encoding="utf-8")
    return verdict


if __name__ == "__main__":
    run_entry(run)
