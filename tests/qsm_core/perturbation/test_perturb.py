"""Cells are the same rows however they are made: order, shards, batches, after a kill."""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from qsm_core.errors import ConfigurationError, InterruptedStageError, ModelError
from qsm_core.perturbation import making, perturb, reference
from qsm_core.perturbation.config import (
    Condition,
    MeasureReference,
    PerturbModel,
    TextSettings,
    WeightGroup,
)
from qsm_core.perturbation.picture import draw_kitchen
from qsm_core.perturbation.plan import nothing_to_do, perturbing_work, split_cells
from qsm_core.perturbation.records.tables import Rows, read_rows
from qsm_core.perturbation.texts import Writer
from qsm_core.stage.workload import PlannedInput
from tests.support.stages import StopAfter, stage_context, start_stage
from tests.support.tiny_decoders import build_tiny_gemma
from tests.support.tiny_llama import build_tiny_llama

CONFIG = PerturbModel(
    conditions=(
        Condition("mult_gauss", WeightGroup("attention_v"), (0, 0.5, 1.0)),
        Condition("uni_quant", WeightGroup("mlp", "0-1"), (4,)),
    ),
    draws=2,
    texts=TextSettings(max_new_tokens=6, temperature=1.0, top_p=1.0),
)
NUM_CELLS, NUM_PROMPTS = 2 + 2 * 2 + 2, 5
PROMPTS = [
    {"prompt_id": f"p{number}", "text": "Look " * number, "has_picture": number > 3}
    for number in range(1, NUM_PROMPTS + 1)
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("given")
    build_tiny_gemma(folder / "model")
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, PROMPTS)))
    draw_kitchen(64).save(folder / "kitchen.png")
    context = stage_context(
        folder / "reference",
        values(MeasureReference(max_tokens=32)),
        {"model": folder / "model"},
        runtime={"threads": 1},
    )
    summary = reference.run(context)
    assert (summary["tokens"], summary["layers"]) == (32, 3)
    return {
        "model": folder / "model",
        "reference": folder / "reference" / "out",
        "prompts": folder / "prompts.jsonl",
        "image": folder / "kitchen.png",
    }


def values(config: Any) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def make(
    folder: Path, given: dict[str, Path], config: PerturbModel = CONFIG, **runtime: Any
) -> dict[str, Any]:
    context = stage_context(folder, values(config), given, runtime={"threads": 1, **runtime})
    return perturb.run(context)


def content(rows: Rows) -> dict[Any, Any]:
    """Rows without what differs between equal runs."""
    volatile = {
        "seconds": 0,
        "batch_size": 0,
        "memory_percent": None,
        "timestamp": "",
        "device": "",
    }
    texts = {key: dataclasses.replace(row, **volatile) for key, row in rows.texts.items()}
    cells = {
        key: dataclasses.replace(row, seconds=0, level_index=0) for key, row in rows.cells.items()
    }
    return {**texts, **cells}


@pytest.fixture(scope="module")
def whole(given: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    texts = NUM_CELLS * NUM_PROMPTS
    assert make(folder, given, batch_size=3) == {
        "cells": NUM_CELLS,
        "texts": texts,
        "written": texts,
        "asked": texts,
    }
    return folder / "out"


def test_damage_shows_and_the_clean_model_is_clean(whole: Path) -> None:
    rows = read_rows(whole)
    for row in rows.cells.values():
        if row.method is None:
            assert (row.kl_mean, row.same_top1, row.relative_norm) == (0, 1, 0)
        else:
            assert row.kl_mean > 0
            assert row.relative_norm > 0
            assert row.num_weights > 0
    texts = [row.output for row in rows.texts.values()]
    assert len(set(texts)) > len(texts) / 2
    assert all(row.seconds > 0 for row in rows.texts.values())  # measured around the batch
    assert {row.batch_size for row in rows.texts.values()} == {3, 2}  # as it was, not as wished
    shown = [row for row in rows.texts.values() if row.prompt_id == "p2"]
    assert not any(row.output.startswith("Look") for row in shown)


def test_no_batch_size_or_order_changes_a_row(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    turned = dataclasses.replace(
        CONFIG,
        conditions=tuple(
            dataclasses.replace(one, levels=one.levels[::-1]) for one in CONFIG.conditions[::-1]
        ),
    )
    make(tmp_path, given, turned, batch_size=1)
    assert content(read_rows(tmp_path / "out")) == content(read_rows(whole))


def test_equal_runs_have_equal_files(whole: Path, given: dict[str, Path], tmp_path: Path) -> None:
    make(tmp_path, given, batch_size=5)
    for name in ("texts.parquet", "cells.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()


def test_shards_make_the_same_rows_and_the_whole_takes_them(
    whole: Path, given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = split_cells(CONFIG, given, [], 2)
    assert len(shares) == 2
    parts = []
    for number, share in enumerate(shares):
        make(tmp_path / str(number), given, share)
        parts.append(tmp_path / str(number) / "out")
    assert nothing_to_do(CONFIG, given, parts)
    assert not nothing_to_do(CONFIG, given, parts[:1])
    assert split_cells(CONFIG, given, parts, 2) == ()
    monkeypatch.setattr(making, "load_text_model", never)
    summary = make(tmp_path / "all", given, parts=[str(one) for one in parts])
    assert summary["written"] == 0
    assert content(read_rows(tmp_path / "all" / "out")) == content(read_rows(whole))


def never(*_: Any, **__: Any) -> None:
    pytest.fail("a model was loaded although all rows are there")


def test_what_is_new_costs_itself_alone(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    more = dataclasses.replace(
        CONFIG,
        conditions=(
            dataclasses.replace(CONFIG.conditions[0], levels=(0, 0.25, 0.5, 1.0)),
            CONFIG.conditions[1],
        ),
    )
    summary = make(tmp_path / "level", given, more, parts=[str(whole)])
    assert summary["written"] == 2 * NUM_PROMPTS  # one level in two draws
    changed = [*PROMPTS[:2], {**PROMPTS[2], "text": "Another"}, *PROMPTS[3:]]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, changed)))
    other = given | {"prompts": tmp_path / "prompts.jsonl"}
    assert make(tmp_path / "prompt", other, parts=[str(whole)])["written"] == NUM_CELLS
    draw_kitchen(80).save(tmp_path / "other.png")
    seen = given | {"image": tmp_path / "other.png"}
    assert make(tmp_path / "image", seen, parts=[str(whole)])["written"] == 2 * NUM_CELLS


def test_a_kill_costs_one_batch(whole: Path, given: dict[str, Path], tmp_path: Path) -> None:
    module, journal = "qsm_core.perturbation.perturb", tmp_path / "work/texts.jsonl"
    process = start_stage(module, tmp_path, values(CONFIG), given, batch_size=1, threads=1)
    until = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 7:
        assert process.poll() is None, (tmp_path / "log.txt").read_text()
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journal.read_bytes().count(b"\n")
    assert kept < NUM_CELLS * NUM_PROMPTS
    with journal.open("ab") as stream:
        stream.write(b'{"cell": "mult')  # what a kill within a write leaves
    summary = make(tmp_path, given)
    assert summary["written"] == NUM_CELLS * NUM_PROMPTS - kept
    assert content(read_rows(tmp_path / "out")) == content(read_rows(whole))


def test_it_stops_between_batches_and_goes_on(
    whole: Path, given: dict[str, Path], tmp_path: Path
) -> None:
    stopping = StopAfter("mult_gauss", 4)
    context = stage_context(
        tmp_path,
        values(CONFIG),
        given,
        runtime={"threads": 1},
        report=stopping.report,
        stop=stopping.stop,
    )
    with pytest.raises(InterruptedStageError, match=r"somebody else .*; \d+ texts are kept"):
        perturb.run(context)
    make(tmp_path, given)
    assert content(read_rows(tmp_path / "out")) == content(read_rows(whole))


def test_when_memory_runs_out_batches_are_halved(
    whole: Path, given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Writer.write

    def crowded(self: Writer, prompts: Any, seeds: Any) -> Any:
        if len(prompts) > 1:
            raise torch.OutOfMemoryError
        return write(self, prompts, seeds)

    monkeypatch.setattr(Writer, "write", crowded)
    make(tmp_path, given, batch_size=4)
    rows = read_rows(tmp_path / "out")
    assert content(rows) == content(read_rows(whole))
    assert {row.batch_size for row in rows.texts.values()} == {1}


def test_a_full_device_ends_the_run_after_what_is_done_was_kept(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter([60.0, 60.0, 97.0])
    monkeypatch.setattr(making, "device_meter", lambda _: lambda: next(readings))
    with pytest.raises(ModelError, match="97 % of the device's memory"):
        make(tmp_path, given, batch_size=2)
    kept = (tmp_path / "work/texts.jsonl").read_text().splitlines()
    assert [json.loads(one)["memory_percent"] for one in kept] == [60.0] * 3 + [97.0] * 2


def test_a_reference_of_another_model_is_refused(given: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / "reference"
    shutil.copytree(given["reference"], other)
    tensors = load_file(other / "reference.safetensors")
    save_file(tensors | {"hidden": 3 * tensors["hidden"].flip(0)}, other / "reference.safetensors")
    with pytest.raises(ModelError, match="differs from its reference"):
        make(tmp_path / "run", given | {"reference": other})


def test_groups_are_checked_before_the_first_cell(given: dict[str, Path], tmp_path: Path) -> None:
    wrong = dataclasses.replace(
        CONFIG,
        conditions=(
            *CONFIG.conditions,
            Condition("mult_gauss", WeightGroup("mlp", "7"), (0.1,)),
        ),
    )
    with pytest.raises(ConfigurationError, match="'7' is no layer or range of 0 to 2"):
        make(tmp_path, given, wrong)
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_model_in_few_bits_is_compared_with_the_whole_one(
    tmp_path: Path, quantization: Any
) -> None:
    model = build_tiny_llama(tmp_path / "model")
    measure = values(MeasureReference(max_tokens=32))
    reference.run(stage_context(tmp_path / "reference", measure, {"model": model}))
    inputs = {"model": model, "reference": tmp_path / "reference" / "out"}
    packed = dataclasses.replace(CONFIG, conditions=(), quantization=quantization, tasks=("logic",))
    make(tmp_path / "cells", inputs, packed)
    rows = read_rows(tmp_path / "cells" / "out")
    assert set(rows.cells) == {f"{quantization}|0", f"{quantization}|1"}
    assert {row.method for row in rows.cells.values()} == {quantization}
    assert all(0 < row.kl_mean < 1 for row in rows.cells.values())
    assert len(rows.texts) == 2 * 3


def test_work_is_counted_without_a_model(given: dict[str, Path]) -> None:
    planned = {name: PlannedInput(path) for name, path in given.items()}
    assert perturbing_work(CONFIG, planned).amount == NUM_CELLS * NUM_PROMPTS
    undrawn = planned | {"image": PlannedInput(None)}
    assert perturbing_work(CONFIG, undrawn).amount == NUM_CELLS * NUM_PROMPTS


def test_tasks_with_a_picture_need_one(given: dict[str, Path], tmp_path: Path) -> None:
    inputs = {name: path for name, path in given.items() if name != "image"}
    with pytest.raises(ConfigurationError, match="image: is empty"):
        make(tmp_path, inputs)
