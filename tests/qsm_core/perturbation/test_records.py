"""Rows survive a kill and come back; the study's files are read, and written for its analysis."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from qsm_core.errors import DataError
from qsm_core.perturbation.config import Condition, PerturbModel, WeightGroup
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.records.contract import Experiment, export_name, write_exports
from qsm_core.perturbation.records.legacy import read_legacy
from qsm_core.perturbation.records.rows import CellRow, TextRow
from qsm_core.perturbation.records.tables import (
    Rows,
    append_rows,
    read_journals,
    read_rows,
    write_rows,
)

TEXT = TextRow(
    cell="clean|0",
    prompt_id="a",
    task="own",
    prompt_sha256="0" * 64,
    seed=1,
    output="one\u2028two \ud800",
    is_whole=True,
    tokens_in=7,
    tokens_out=3,
    seconds=0.25,
    batch_size=2,
    memory_percent=None,
    timestamp="2026-01-01T00:00:00+00:00",
    device="cpu",
    dtype="float32",
)
CELL = CellRow(
    cell="clean|0",
    method=None,
    group=None,
    level=0.0,
    level_index=0,
    draw=0,
    num_weights=0,
    relative_norm=0.0,
    kl_mean=0.0,
    kl_median=0.0,
    kl_p99=0.0,
    same_top1=1.0,
    log_perplexity=3.0,
    log_perplexity_error=0.1,
    user_log_perplexity=None,
    seconds=1.0,
)
GAUSS = Condition("mult_gauss", WeightGroup("attention_v"), (0, 0.001, 0.0012))
MLP = Condition("mult_gauss", WeightGroup("mlp"), (0, 0.1))


def rows_of(*conditions):
    rows = Rows()
    rows.add(TEXT)
    rows.add(CELL)
    for condition in conditions:
        for index, level in enumerate(condition.levels[1:], start=1):
            key = f"{condition.method}|{condition.group.name}|{level!r}|0"
            rows.add(replace(TEXT, cell=key, output=f"at {level}"))
            rows.add(
                replace(CELL, cell=key, method=condition.method, level=level, level_index=index)
            )
    return rows


def test_a_torn_line_costs_one_row(tmp_path):
    append_rows(tmp_path, [CELL])
    append_rows(tmp_path, [TEXT])
    append_rows(tmp_path, [replace(TEXT, prompt_id="b")])
    journal = tmp_path / "texts.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    rows = read_journals(tmp_path)
    assert list(rows.texts.values()) == [TEXT]
    assert list(rows.cells.values()) == [CELL]
    append_rows(tmp_path, [replace(TEXT, prompt_id="c")])
    assert len(read_journals(tmp_path).texts) == 2


def test_tables_hold_all_but_what_no_table_can(tmp_path):
    write_rows(tmp_path, rows_of(GAUSS))
    found = read_rows(tmp_path)
    assert found.texts["clean|0", "a"] == replace(TEXT, output="one\u2028two ?")
    assert found.cells["clean|0"] == CELL
    # Times are apart, so that equal runs have equal tables.
    assert "seconds" not in pd.read_parquet(tmp_path / "texts.parquet").columns
    assert "seconds" in pd.read_parquet(tmp_path / "volatile" / "texts.parquet").columns


def test_the_analysis_of_the_study_reads_the_exports(tmp_path):
    experiment = Experiment(
        "dreams_it", "google/gemma-3-4b-it", PerturbModel((GAUSS, MLP), draws=1)
    )
    prompts = [Prompt("a", "dreams", "Tell a dream.")]
    write_exports(tmp_path, experiment, rows_of(GAUSS, MLP), prompts)
    names = sorted(path.name for path in tmp_path.iterdir())
    # One file a group: parallel experiments do not overwrite each other.
    assert names == [
        "outputs_mult_gauss_gemma-3-4b-it_dreams_it_attention_v.json",
        "outputs_mult_gauss_gemma-3-4b-it_dreams_it_mlp.json",
    ]
    frames = [pd.DataFrame(json.loads((tmp_path / name).read_text())) for name in names]
    table = pd.concat(frames)
    by_level = table.groupby(["param_group_name", "std_dev"])["output"].count()
    assert by_level.to_dict() == {
        ("attn_only", 0.0): 1,
        ("attn_only", 0.001): 1,
        ("attn_only", 0.0012): 1,
        ("mlp_only", 0.0): 1,
        ("mlp_only", 0.1): 1,
    }
    required = {
        "timestamp", "model_name", "prompt_group", "prompt_id", "prompt_text", "output", "std_dev",
        "repeat_index", "temperature", "do_sample", "param_group_name", "seed", "duration",
        "tokens", "degradation_method", "usar_4bit", "experiment_id", "config_name",
        "model_variant", "tokens_in", "tokens_out", "level_value", "level_index",
        "batch_size_effective", "device", "dtype", "load_4bit", "restore_strategy", "gen_params",
        "image_used", "perplexity",
    }  # fmt: skip
    assert required <= set(table.columns)
    first = table.iloc[1]
    assert (first["output"], first["duration"], first["tokens_in"]) == ("at 0.001", 0.25, 7)
    assert set(first["gen_params"]) == {
        "temperature", "do_sample", "max_new_tokens", "top_k", "top_p",
    }  # fmt: skip


def test_names_of_exports_do_not_meet():
    one, other = (
        export_name(Experiment(name, "a/b", PerturbModel(())), GAUSS) for name in ("x", "y")
    )
    control = Condition("mult_gauss", WeightGroup("attention_v", "0-3", True), (0.1,))
    third = export_name(Experiment("x", "a/b", PerturbModel(())), control)
    assert len({one, other, third}) == 3


NEW = {
    "timestamp": "2025-10-06T12:00:00",
    "model_name": "m",
    "prompt_text": "Describe a dream.",
    "output": "a [dream] {\u00e9}",
    "std_dev": 0.004,
    "repeat_index": 0,
    "param_group_name": "attn_only",
    "gen_params": {"temperature": 1.0},
    "tokens": 20,
}
OLD = {
    **{name: value for name, value in NEW.items() if name != "gen_params"},
    "temperature": 1.0,
    "usar_4bit": False,
    "force_run": False,
}


@pytest.mark.parametrize("form", [NEW, OLD])
def test_files_of_the_study_come_back(tmp_path, form):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps([form] * 5, indent=2))
    found = read_legacy(path)
    assert (len(found.records), found.is_torn, found.note) == (5, False, "")
    record = found.records[0]
    assert record["level_value"] == record["degrad_level"] == 0.004
    assert record["tokens_out"] == 20
    assert record["gen_params"]["temperature"] == 1.0
    assert "force_run" not in record


def test_a_torn_file_gives_what_is_whole_and_stays_as_it_is(tmp_path):
    whole = json.dumps([NEW] * 6, indent=2, ensure_ascii=False)
    ends = [place for place in range(len(whole)) if whole.startswith("}", place)]
    path = tmp_path / "outputs.json"
    for cut in range(1, len(whole) - 1, 7):
        path.write_text(whole[:cut], encoding="utf-8")
        before = path.read_bytes()
        found = read_legacy(path)
        # Braces end gen_params (the first of two), the record, or stand in the output.
        assert len(found.records) == sum(
            1
            for place in ends
            if place < cut
            and whole[place + 1 : place + 2] in (",", "\n")
            and whole[:place].endswith("\n  ")
        )
        assert found.is_torn
        assert f"kept the {len(found.records)} whole records" in found.note
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("{}", "must be a JSON array"),
        ('[{"prompt": "a"}]', "record 1: has no prompt_text, output"),
        ("[1]", "record 1: is 1, not an object"),
        (json.dumps([{**NEW, "std_dev": "big"}]), "record 1: std_dev = 'big'"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content, problem):
    path = tmp_path / "outputs.json"
    path.write_text(content)
    with pytest.raises(DataError) as error:
        read_legacy(path)
    assert str(path) in str(error.value)
    assert problem in str(error.value)
