"""Samples are drawn evenly; the command reads the study's files; the committed ones are whole."""

import json
from pathlib import Path

import pytest

from qsm_core.errors import DataError
from qsm_core.perturbation.records.samples import LEAST, MOST, draw_samples, write_samples
from tests.support.fresh_process import run_python
from tests.support.notebooks import NOTEBOOKS, run_notebook

ROOT = Path(__file__).parents[3]
NEW = {
    "prompt_text": "Describe a dream.",
    "output": "a dream",
    "std_dev": 0.004,
    "repeat_index": 0,
    "param_group_name": "attn_only",
}
SAMPLES = ROOT / "results" / "samples"


def record(level, repeat, prompt, method="mult_gauss"):
    return {
        "param_group_name": "attn_only",
        "std_dev": level,
        "repeat_index": repeat,
        "prompt_id": prompt,
        "degradation_method": method,
    }


def test_each_level_has_as_many_as_there_can_be():
    records = [record(level, 0, prompt) for level in (0.1, 0.2) for prompt in range(300)]
    records += [record(0.3, 0, prompt) for prompt in range(10)]
    chosen = draw_samples(records)
    counts = [sum(one["std_dev"] == level for one in chosen) for level in (0.1, 0.2, 0.3)]
    assert counts == [95, 95, 10]
    assert draw_samples(records[::-1]) == chosen


def test_files_and_folders_that_hold_none(tmp_path):
    with pytest.raises(DataError, match=r"records\.jsonl: there is no such file"):
        write_samples([tmp_path], tmp_path / "out")


def test_the_command_reads_files_and_draws_samples(tmp_path):
    whole = tmp_path / "outputs_a.json"
    whole.write_text(json.dumps([NEW] * 3))
    torn = tmp_path / "outputs_b.json"
    torn.write_text(json.dumps([NEW] * 3)[:-30])
    code = (
        "import runpy, sys; runpy.run_module('qsm_core.perturbation.records', run_name='__main__')"
    )
    said = run_python(code, str(whole), str(torn), "--out", str(tmp_path / "all.jsonl"))
    assert f"{whole}: 3 records" in said
    assert "kept the 2 whole records" in said
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 5
    (tmp_path / "records.jsonl").write_text(json.dumps(record(0.1, 0, 1)) + "\n")
    said = run_python(code, str(tmp_path), "--samples", str(tmp_path / "samples"))
    assert "mult_gauss: 1 records" in said


def test_the_samples_in_the_repository_are_drawn_by_the_notebook():
    files = sorted(SAMPLES.glob("samples_*.jsonl"))
    assert [path.stem for path in files] == [
        "samples_ablation",
        "samples_mult_gauss",
        "samples_uni_quant",
    ]
    for path in files:
        assert LEAST <= len(path.read_text().splitlines()) <= MOST
    notebook = run_notebook(NOTEBOOKS / "perturbation.ipynb", QSM_SAMPLES=SAMPLES)
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3
