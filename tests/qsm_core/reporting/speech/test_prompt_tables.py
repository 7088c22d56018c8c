"""What a search adds, in words: with its interval, or that it found what a simpler way found."""

import re

import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.instruction_gains.tables import run
from qsm_core.reporting.speech.prompt_tables import gain_sentences, read_prompt_tables
from qsm_core.reporting.speech.views.prompts import gains_view, transfer_view
from tests.support.instruction_inputs import write_instruction_inputs
from tests.support.stages import stage_context


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompts")
    config = {"models": ["base", "lora"], "analysis": {"bootstrap": {"num_resamples": 100}}}
    context = stage_context(folder, config, write_instruction_inputs(folder / "given"))
    run(context)
    return read_prompt_tables(context.out)


def test_sentences_name_the_best_way_and_what_is_added_to_it(tables):
    base, lora = gain_sentences(tables.gains)
    assert base.startswith("Base model: the instruction that OPRO found has a balanced accuracy")
    assert "best on dev: random paraphrases, raced." in base
    number = r"[+\u2212]\d+\.\d"
    assert re.search(
        rf"OPRO adds {number} \[{number}, {number}\] points on test \(corrected p", base
    )
    assert lora.endswith("It ended with the same instruction, so OPRO adds nothing to it.")


def test_a_search_that_found_nothing_better_is_reported_as_such(tables):
    base = tables.gains[tables.gains["model"] == "base"]
    seed = base.loc[base["way"] == "seed", "instruction"].item()
    kept = base.assign(instruction=base["instruction"].where(base["way"] != "search", seed))
    text = "on test. It is the first instruction: no other was better on dev. Of the simpler"
    assert text in gain_sentences(kept)[0]
    assert text not in gain_sentences(base)[0]


def test_views_mark_the_best_way_and_name_whose_instruction_it_is(tables):
    shown = gains_view(tables.gains)
    marked = [row[:2] for row in shown.rows if row[1].endswith("*")]
    assert marked == [
        ("Base model", "Random paraphrases, raced *"),
        ("LoRA model", "Random paraphrases, raced *"),
    ]
    asked = [row[:2] for row in transfer_view(tables.transfer).rows]
    assert asked[:3] == [
        ("Base model", "the first instruction"),
        ("Base model", "its own best"),
        ("Base model", "the best of: LoRA model"),
    ]


def test_tables_of_another_version_are_named(tables, tmp_path):
    tables.gains.drop(columns="reason").to_parquet(tmp_path / "search_gains.parquet")
    with pytest.raises(DataError, match="not those of this version"):
        read_prompt_tables(tmp_path)
