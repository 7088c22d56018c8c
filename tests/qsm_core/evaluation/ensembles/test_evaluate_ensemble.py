"""The stage evaluate_ensemble: means of stored margins, its files, and what it refuses."""

import json

import numpy as np
import pytest

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.ensembles.evaluate_ensemble import run
from qsm_core.evaluation.ensembles.mean_margin import mean_margin
from qsm_core.evaluation.predictions.table import read_predictions, write_predictions
from tests.support.fresh_process import run_python
from tests.support.predictions import Listener, make_predictions
from tests.support.stages import stage_context

MEMBERS = ("lora", "lora_seed7", "lora_seed8")
CONFIG = {
    "system": "lora_ensemble",
    "members": list(MEMBERS),
    "bootstrap": {"num_resamples": 200},
}


@pytest.fixture(scope="module")
def tables():
    return {name: make_predictions(Listener(name), groups_per_class=4) for name in MEMBERS}


def inputs_of(folder, tables):
    inputs = {}
    for name, table in tables.items():
        for split in ("eval", "dev"):
            place = folder / f"{split}_{name}"
            place.mkdir(parents=True)
            write_predictions(place / "predictions.parquet", table)
            inputs[place.name] = place
    return inputs


def test_margins_are_averaged_and_decide(tables, tmp_path):
    config = CONFIG | {"dev": dict.fromkeys(MEMBERS, "evaluation")}
    context = stage_context(tmp_path, config, inputs_of(tmp_path / "in", tables))
    headline = run(context)
    keys = ["clip_id", "condition"]
    made = read_predictions(context.out / "predictions.parquet").sort_values(keys)
    margins = [table.sort_values(keys)["margin"].to_numpy() for table in tables.values()]
    np.testing.assert_allclose(made["margin"], np.mean(margins, axis=0))
    assert ((made["margin"] > 0) == (made["prediction"] == "SPEECH")).all()
    assert set(made["system"]) == {"lora_ensemble"}
    metrics = json.loads((context.out / "metrics.json").read_text())
    assert headline["ba_clip"] == metrics["ba_clip"]
    assert headline["members"] == 3
    # Independent errors of equal listeners: together they hear better than any of them.
    right = [(table["prediction"] == table["label"]).mean() for table in tables.values()]
    assert (made["prediction"] == made["label"]).mean() > max(right)
    assert (context.out / "dev_predictions.parquet").is_file()


def test_a_member_without_a_margin_has_no_say_and_none_at_all_is_unread(tables):
    silent, mute = tables["lora"].copy(), tables["lora_seed7"].copy()
    silent.loc[silent.index[:2], ["margin", "p_speech", "prediction"]] = np.nan, np.nan, None
    mute.loc[mute.index[:1], ["margin", "p_speech", "prediction"]] = np.nan, np.nan, None
    made = mean_margin("lora_ensemble", {"lora": silent, "lora_seed7": mute})
    keys = ["clip_id", "condition"]
    made = made.set_index(keys)
    first, second = (tuple(silent.loc[silent.index[i], keys]) for i in (0, 1))
    assert made.loc[first, "prediction"] is None or made.isna().loc[first, "prediction"]
    assert np.isnan(made.loc[first, "margin"])
    other = mute.set_index(keys).loc[second, "margin"]
    assert made.loc[second, "margin"] == pytest.approx(other)


def test_members_on_other_rows_or_with_dev_for_some_are_refused(tables, tmp_path):
    inputs = inputs_of(tmp_path / "in", tables)
    context = stage_context(tmp_path / "a", CONFIG | {"dev": {"lora": "evaluation"}}, inputs)
    with pytest.raises(ConfigurationError, match="dev: lacks lora_seed7, lora_seed8"):
        run(context)
    with pytest.raises(DataError, match="same rows"):
        mean_margin("x", tables | {"lora": tables["lora"].iloc[1:]})


def test_no_model_library_is_loaded():
    code = (
        "import sys, qsm_core.evaluation.ensembles.evaluate_ensemble;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    run_python(code)
