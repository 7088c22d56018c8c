"""The stage that makes the bank: its files, its table, its errors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.conditions.rir_stage import run
from qsm_core.conditions.rirs import RirBank
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.stage.context import StageContext
from tests.support.fresh_process import run_python


def make_context(folder, config, inputs=None):
    folder.mkdir()
    messages = []
    context = StageContext(
        config=config,
        inputs=inputs or {},
        out=folder,
        work=folder,
        runtime={},
        report=lambda done, total, message: messages.append((done, total, message)),
    )
    return context, messages


def test_simulated_rooms_and_their_table(tmp_path):
    context, messages = make_context(
        tmp_path / "out", {"t60s_s": [0.3, 0.5], "per_t60": 2, "seed": 3}
    )
    summary = run(context)
    assert summary == {"num_responses": 4, "recorded": False}
    json.dumps(summary)
    assert messages[-1] == (1, 1, "4 impulse responses")
    table = pd.read_csv(tmp_path / "out/rirs.csv")
    assert table["nominal_t60_s"].tolist() == [0.3, 0.3, 0.5, 0.5]
    np.testing.assert_allclose(table["measured_t60_s"], table["nominal_t60_s"], rtol=0.1)
    bank = RirBank.load(tmp_path / "out/rirs.npz")
    assert {level: len(found) for level, found in bank.responses.items()} == {0.3: 2, 0.5: 2}


def test_equal_runs_leave_equal_files(tmp_path):
    config = {"t60s_s": [0.3], "per_t60": 1, "seed": 3}
    run(make_context(tmp_path / "a", config)[0])
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"config": config, "out": str(tmp_path / "b")}))
    code = """
import sys
from qsm_core.conditions.rir_stage import run
from qsm_core.stage.entry import run_entry
run_entry(run, ["--spec", sys.argv[1]])
"""
    assert json.loads(run_python(code, str(spec), hash_seed=5))["num_responses"] == 1
    for name in ("rirs.npz", "rirs.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_recorded_responses_are_used_where_they_are_given(tmp_path):
    seconds = np.arange(8_000) / 16_000
    for index in range(3):
        noise = np.random.default_rng(index).standard_normal(8_000) * 10 ** (-3 * seconds / 0.3)
        noise[0] = 5
        (tmp_path / "rooms").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"rooms/{index}.wav", noise / 6, 16_000)
    inputs = {"recorded": tmp_path / "rooms"}
    context, _ = make_context(tmp_path / "out", {"t60s_s": [0.3], "per_t60": 2}, inputs)
    assert run(context) == {"num_responses": 2, "recorded": True}
    missing, _ = make_context(tmp_path / "missing", {"t60s_s": [0.3, 2.5]}, inputs)
    with pytest.raises(DataError, match=r"T60 2\.5 s: none within 0\.2 s"):
        run(missing)


def test_a_wrong_configuration(tmp_path):
    context, _ = make_context(tmp_path / "out", {"t60": [0.3], "per_t60": "4"})
    with pytest.raises(ConfigurationError, match=r"t60s_s: is missing"):
        run(context)
