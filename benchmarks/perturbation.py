"""Damaged weights: batches and restoring from memory against the naive way, and what saving costs.

    python -m benchmarks.perturbation [--model folder] [--turns 1] [--prompts 24] [--records 5700]

The naive way reads the weights from disk at each level, damages them, asks one prompt at a time and
rewrites one JSON array every 20 texts. Ours is the stage `perturb`, which in the same time also
measures each damaged model against the clean one. Both damage the same tensors at the same levels,
ask the same prompts with the same seeds, and take turns on one thread, timed in CPU seconds; texts
are compared. Without --model the embedded SmolLM2 is converted first (half a minute).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from qsm_core.models.text import gguf_conversion
from qsm_core.models.text.embedded_text import embedded_text_model
from qsm_core.models.text.generation import Sampling, chat_prompt, generate, padded
from qsm_core.models.text.loading import load_text_model
from qsm_core.perturbation import perturb, reference
from qsm_core.perturbation.cells import damage_seed, text_seed
from qsm_core.perturbation.config import (
    Condition,
    MeasureReference,
    PerturbModel,
    TextSettings,
    WeightGroup,
)
from qsm_core.perturbation.methods import damaged
from qsm_core.perturbation.prompts.built_in import built_in_prompts
from qsm_core.perturbation.records.contract import Experiment, contract_records
from qsm_core.perturbation.records.rows import CellRow, Fidelity, TextRow
from qsm_core.perturbation.records.tables import Rows, append_rows, read_rows
from qsm_core.stage.context import StageContext

TEXTS = TextSettings(max_new_tokens=24)
CONDITION = Condition("mult_gauss", WeightGroup("attention_v"), (0.2, 0.4))
CONFIG = PerturbModel((CONDITION,), draws=1, texts=TEXTS)
SAVE_EVERY = 20
Timed = tuple[float, dict[tuple[float, str], str]]


def context_of(folder: Path, config: Any, inputs: dict[str, Path], **runtime: Any) -> StageContext:
    """Make a context of a stage with fresh folders."""
    out, work = folder / "out", folder / "work"
    for one in (out, work):
        one.mkdir(parents=True)
    values = json.loads(json.dumps(asdict(config)))
    runtime = {"device": "cpu", "threads": 1, **runtime}
    return StageContext(values, inputs, out, work, runtime, lambda *_: None)


def naive(folder: Path, inputs: dict[str, Path]) -> Timed:
    """Read, damage, ask one by one, rewrite everything."""
    prompts = [json.loads(line) for line in inputs["prompts"].read_text().splitlines()]
    sampling = Sampling(TEXTS.temperature, TEXTS.top_p, TEXTS.top_k, TEXTS.max_new_tokens)
    records: list[dict[str, Any]] = []
    begun = time.process_time()
    for level in (0.0, *CONDITION.levels):
        loaded = load_text_model(inputs["model"], device="cpu", dtype="float32")
        model, tokenizer = loaded.model, loaded.tokenizer
        if level:
            for name, weights in model.named_parameters():
                if name.endswith("self_attn.v_proj.weight"):
                    seed = damage_seed(CONFIG.seed, 0, name)
                    weights.data.copy_(damaged(weights.data, "mult_gauss", level, seed))
        for prompt in prompts:
            text = chat_prompt(tokenizer, prompt["text"])
            batch = padded(tokenizer, [text], model.device, is_chat=True)
            seed = text_seed(CONFIG.seed, 0, prompt["prompt_id"])
            (made,) = generate(model, tokenizer, batch, [seed], sampling)
            records.append({"level": level, "prompt": prompt["prompt_id"], "output": made.text})
            if len(records) % SAVE_EVERY == 0:
                (folder / "outputs.json").write_text(json.dumps(records))
    (folder / "outputs.json").write_text(json.dumps(records, indent=2))
    seconds = time.process_time() - begun
    return seconds, {(one["level"], one["prompt"]): one["output"] for one in records}


def ours(folder: Path, inputs: dict[str, Path]) -> Timed:
    """Run the stage, loading included."""
    context = context_of(folder / "stage", CONFIG, inputs, batch_size=24)
    begun = time.process_time()
    perturb.run(context)
    seconds = time.process_time() - begun
    rows = read_rows(context.out)
    return seconds, {
        (rows.cells[row.cell].level, row.prompt_id): row.output for row in rows.texts.values()
    }


def speed(model: Path, folder: Path, prompts: int, turns: int) -> None:
    """Time both ways in turns, and compare their texts."""
    asked = built_in_prompts(["iq", "dreams"])[:prompts]
    file = folder / "prompts.jsonl"
    lines = [json.dumps({"prompt_id": one.prompt_id, "text": one.text}) for one in asked]
    file.write_text("\n".join(lines))
    measured = context_of(folder / "reference", MeasureReference(max_tokens=256), {"model": model})
    reference.run(measured)
    inputs = {"model": model, "reference": measured.out, "prompts": file}
    ways: dict[str, Callable[[Path, dict[str, Path]], Timed]] = {"naive": naive, "ours": ours}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(turns):
        texts = {}
        for name, way in ways.items():
            place = folder / f"{name}{number}"
            place.mkdir()
            seconds, texts[name] = way(place, inputs)
            taken[name].append(seconds)
            print(f"turn {number}, {name}: {seconds:.1f} CPU s", flush=True)
            shutil.rmtree(place)
        same = sum(texts["naive"][key] == text for key, text in texts["ours"].items())
        print(f"turn {number}: {same} of {len(texts['ours'])} texts are the same")
    ratio = statistics.median(taken["naive"]) / statistics.median(taken["ours"])
    cells = 1 + len(CONDITION.levels)
    print(f"{cells} cells of {len(asked)} prompts: {ratio:.1f} times as fast (needed: 3)")


def saving(folder: Path, count: int) -> None:
    """Time appending records against rewriting one JSON array, as the original does."""
    row = TextRow(
        cell="mult_gauss|attention_v|0.1|0",
        prompt_id="dreams_01",
        task="dreams",
        prompt_sha256="0" * 64,
        seed=1,
        output="I was walking through a house that I did not know. " * 20,
        is_whole=True,
        tokens_in=40,
        tokens_out=240,
        seconds=1.5,
        batch_size=40,
        memory_percent=60.0,
        timestamp="2026-01-01T00:00:00+00:00",
        device="cuda:0",
        dtype="bfloat16",
    )
    work = folder / "append"
    work.mkdir()
    begun = time.process_time()
    for first in range(0, count, SAVE_EVERY):
        numbers = range(first, min(first + SAVE_EVERY, count))
        append_rows(work, [replace(row, prompt_id=f"dreams_{number}") for number in numbers])
    appended = time.process_time() - begun
    record = _record(row)
    records: list[dict[str, Any]] = []
    begun = time.process_time()
    for number in range(count):
        records.append(record | {"prompt_id": number})
        if len(records) % SAVE_EVERY == 0:
            with (folder / "outputs.json").open("w", encoding="utf-8") as stream:
                json.dump(records, stream, ensure_ascii=False)
    rewritten = time.process_time() - begun
    print(
        f"saving {count} records: rewriting {rewritten:.1f} CPU s, appending {appended:.2f} CPU s: "
        f"{rewritten / appended:.0f} times cheaper (needed: 100)",
        flush=True,
    )


def _record(row: TextRow) -> dict[str, Any]:
    """Return the record that the original's form has of a text."""
    cell = CellRow(
        cell=row.cell,
        method="mult_gauss",
        group="attention_v",
        level=0.2,
        level_index=0,
        draw=0,
        num_weights=1,
        relative_norm=0.2,
        seconds=1.0,
        **Fidelity(0.1, 0.1, 0.1, 0.9, 3.0, 0.1, None).values(),
    )
    key = "mult_gauss|attention_v|0.2|0"
    rows = Rows({(key, row.prompt_id): replace(row, cell=key)}, {key: replace(cell, cell=key)})
    prompts = built_in_prompts(["dreams"])
    ((_, record),) = contract_records(Experiment("dreams_it", "a/b", CONFIG), rows, prompts)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--records", type=int, default=5700)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        saving(folder, given.records)
        model = given.model
        if model is None:
            model = folder / "model"
            model.mkdir()
            gguf_conversion.convert(embedded_text_model(), model)
        speed(model, folder, given.prompts, given.turns)


if __name__ == "__main__":
    main()
