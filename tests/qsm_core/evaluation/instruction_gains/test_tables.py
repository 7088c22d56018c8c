"""What searches are worth on test: differences by hand, what is paired with what."""

import shutil

import pandas as pd
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.instruction_gains.tables import COLUMNS, GAINS, TRANSFER, run
from tests.support.instruction_inputs import BEST, CONTROL, SEED, answers, write_instruction_inputs
from tests.support.stages import stage_context

QUICK = {"analysis": {"bootstrap": {"num_resamples": 300, "seed": 1}}}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return write_instruction_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def made(tmp_path_factory, inputs):
    return _analyze(tmp_path_factory.mktemp("made"), inputs)


def _analyze(folder, inputs, models=("base", "lora")):
    context = stage_context(folder, {"models": list(models), **QUICK}, inputs)
    summary = run(context)
    tables = {name: pd.read_parquet(context.out / f"{name}.parquet") for name in COLUMNS}
    for name, table in tables.items():
        assert list(table.columns) == list(COLUMNS[name])
        assert (context.out / f"{name}.csv").is_file()
    return tables, summary


def _ba(text, skill, bias=0.0):
    return compute_metrics(answers(text, skill, bias)).ba_clip


def test_a_search_is_compared_with_the_way_that_was_best_on_dev(made):
    tables, summary = made
    rows = tables[GAINS].set_index(["model", "way"])
    base = rows.loc["base"]
    assert list(base.index) == ["search", "seed", "calibration", "templates", "paraphrases"]
    assert list(base.index[base["best_on_dev"].astype(bool)]) == ["paraphrases"]
    best = base.loc["paraphrases"]
    assert best["instruction"] == CONTROL
    assert base.loc["search", "value"] == pytest.approx(_ba(BEST["base"], 1.6))
    assert best["value"] == pytest.approx(_ba(CONTROL, 1.2))
    assert best["difference"] == pytest.approx(_ba(BEST["base"], 1.6) - _ba(CONTROL, 1.2))
    assert best["difference_low"] < best["difference"] < best["difference_high"]
    # It is alone in its family: the other model's best way is no pair.
    assert best["p_holm"] == best["p_value"]
    assert summary["search_adds"]["base"] == best["difference"]
    seed = base.loc["seed"]
    assert seed["difference"] == pytest.approx(_ba(BEST["base"], 1.6) - _ba(SEED, 0.8, -1.0))
    # The threshold from dev takes off what the first instruction loses by its bias alone.
    assert 0 < base.loc["calibration", "difference"] < seed["difference"]


def test_the_same_instruction_adds_nothing_and_is_not_tested(made):
    lora = made[0][GAINS].set_index(["model", "way"]).loc["lora"]
    same = lora.loc["paraphrases"]
    assert same["best_on_dev"]
    assert same["difference"] == 0
    assert pd.isna(same["p_value"])
    assert same["reason"] == "the same instruction"
    assert same["value"] == lora.loc["search", "value"]


def test_a_way_that_was_not_evaluated_on_test_says_so(inputs, tmp_path):
    search = tmp_path / "search"
    search.mkdir()
    for file in inputs["search_base"].iterdir():
        (search / file.name).write_bytes(file.read_bytes())
    ways = pd.read_csv(search / "controls.csv")
    ways.loc[ways["way"] == "templates", "instruction"] = "Another one: SPEECH or NONSPEECH?"
    ways.to_csv(search / "controls.csv", index=False)
    tables, _ = _analyze(tmp_path / "made", inputs | {"search_base": search}, ("base",))
    row = tables[GAINS].set_index("way").loc["templates"]
    assert row["reason"].startswith("not evaluated on test")
    assert pd.isna(row["value"])
    assert pd.isna(row["difference"])


def test_transfer_is_reported_for_both_models(made):
    rows = made[0][TRANSFER].set_index(["model", "instruction_of"])
    assert list(rows.index) == [
        ("base", "seed"),
        ("base", "base"),
        ("base", "lora"),
        ("lora", "seed"),
        ("lora", "lora"),
        ("lora", "base"),
    ]
    foreign = rows.loc[("base", "lora")]
    assert foreign["instruction"] == BEST["lora"]
    assert foreign["value"] == pytest.approx(_ba(BEST["lora"], 1.0))
    assert foreign["difference"] == pytest.approx(_ba(BEST["lora"], 1.0) - _ba(BEST["base"], 1.6))
    assert foreign["low"] < foreign["value"] < foreign["high"]
    assert pd.isna(rows.loc[("base", "base"), "difference"])


def test_given_instructions_are_carried_over_without_a_search(inputs, tmp_path):
    given = {name: path for name, path in inputs.items() if not name.startswith("search_")}
    tables, summary = _analyze(tmp_path, given)
    assert tables[GAINS].empty
    assert len(tables[TRANSFER]) == 6
    assert summary["search_adds"] == {}


def test_a_missing_file_is_named(inputs, tmp_path):
    search = tmp_path / "search"
    shutil.copytree(inputs["search_base"], search)
    (search / "controls.csv").unlink()
    with pytest.raises(DataError, match=r"controls\.csv"):
        _analyze(tmp_path, inputs | {"search_base": search})
