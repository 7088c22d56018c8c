"""Several instructions in one pass: answers as of evaluations of their own, none asked twice."""

import json

import numpy as np
import pytest

from qsm_core.errors import ConfigurationError, DataError, InterruptedStageError
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.evaluation.scoring import evaluate, further_instructions, score_shard
from tests.support.chirp_corpus import write_chirp_corpus
from tests.support.stages import StopAfter, stage_context

TEXTS = {
    "seed": "Does this audio contain human speech? Answer SPEECH or NONSPEECH.",
    "best": "Is a voice heard? SPEECH or NONSPEECH.",
    "control": "NONSPEECH or SPEECH: which is it? Nothing else.",
}
CONFIG = {
    "system": "small",
    "conditions": ["dur_40ms", "filter_lowpass"],
    "render": {"container_ms": 1100.0},
    "block_clips": 1,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    folder = tmp_path_factory.mktemp("inputs")
    files = {name: folder / f"{name}.txt" for name in TEXTS}
    for name, file in files.items():
        file.write_text(f"{TEXTS[name]}\n")
    corpus = write_chirp_corpus(folder / "corpus")
    return {"corpus": corpus, "model": small_model_folder, **files}


def context_of(folder, inputs, asked, known=(), config=CONFIG, **context):
    """Prepare to ask instructions under names; `asked` and `known` say which text each has."""
    given = {name: inputs[name] for name in ("corpus", "model")}
    given |= {f"ask_{name}": inputs[text] for name, text in asked.items()}
    given |= {f"known_{text}": inputs[text] for text in known}
    config = config | {"instruction": TEXTS["seed"], "asked": list(asked), "known": list(known)}
    return stage_context(folder, config, given, **context)


def further(*args, **kwargs):
    """Ask instructions under names."""
    made = context_of(*args, **kwargs)
    return made.out, further_instructions.run(made)


def shard_of_two(folder, number, *args, **kwargs):
    """Ask them about one half of the clips."""
    config = CONFIG | {"shard": number, "shards": 2}
    made = context_of(folder, *args, config=config, **kwargs)
    return made.out, score_shard.run(made)


def test_answers_are_those_of_an_evaluation(inputs, tmp_path):
    out, summary = further(tmp_path / "one", inputs, {"control": "control", "lora": "best"})
    table = read_predictions(out / "predictions.parquet")
    assert set(table["system"]) == {"control", "lora"}
    assert summary["n_asked"] == summary["n_samples"] == len(table)
    for role, text in (("control", "control"), ("lora", "best")):
        given = {name: inputs[name] for name in ("corpus", "model")}
        alone = stage_context(tmp_path / role, CONFIG | {"instruction": TEXTS[text]}, given)
        evaluate.run(alone)
        expected = read_predictions(alone.out / "predictions.parquet")
        mine = table[table["system"] == role].reset_index(drop=True)
        for column in ("clip_id", "condition", "label", "instruction_digest", "prediction"):
            assert list(mine[column]) == list(expected[column])
        np.testing.assert_allclose(mine["margin"], expected["margin"], atol=1e-5)


def test_known_answers_are_not_scored_again(inputs, tmp_path):
    asked = {"control": "best", "lora": "control", "lora_seed43": "control"}
    out, summary = further(tmp_path, inputs, asked, known=("best",))
    assert set(read_predictions(out / "predictions.parquet")["system"]) == {"lora"}
    content = json.loads((out / "instructions.json").read_text())
    assert {name: one["asked"] for name, one in content.items()} == {
        "control": False,
        "lora": True,
        "lora_seed43": False,
    }
    assert content["control"]["instruction"] == TEXTS["best"]
    assert summary["n_asked"] > 0


def test_where_all_is_known_no_model_is_loaded(inputs, tmp_path):
    nothing = inputs | {"model": tmp_path / "nowhere"}
    out, summary = further(tmp_path, nothing, {"control": "seed", "lora": "best"}, known=("best",))
    assert summary["n_asked"] == 0
    assert not (out / "predictions.parquet").exists()


def test_a_stop_keeps_the_blocks_that_are_scored(inputs, tmp_path):
    asked = {"control": "control", "lora": "best"}
    whole, _ = further(tmp_path / "whole", inputs, asked)
    stop = StopAfter("clips scored", 2)
    with pytest.raises(InterruptedStageError, match="predictions are kept"):
        further(tmp_path / "cut", inputs, asked, report=stop.report, stop=stop.stop)
    out, summary = further(tmp_path / "cut", inputs, asked)
    assert 0 < summary["n_asked"] < summary["n_samples"]
    for name in ("predictions.parquet", "instructions.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_missing_instruction_is_named(inputs, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt: there is no such file"):
        further(tmp_path, inputs | {"best": tmp_path / "nowhere.txt"}, {"control": "best"})


def test_shards_have_the_same_bits_and_leave_nothing_to_score(inputs, tmp_path):
    asked = {"control": "control", "lora": "best"}
    whole, summary = further(tmp_path / "whole", inputs, asked)
    halves = [shard_of_two(tmp_path / str(n), n, inputs, asked) for n in (0, 1)]
    assert sum(described["n_asked"] for _, described in halves) == summary["n_asked"]
    scored = {"parts": [str(folder) for folder, _ in halves]}
    no_model = inputs | {"model": tmp_path / "nowhere"}
    out, described = further(tmp_path / "taken", no_model, asked, runtime=scored)
    assert described["n_asked"] == 0
    for name in ("predictions.parquet", "instructions.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_shard_of_nothing_says_so(inputs, tmp_path):
    with pytest.raises(ConfigurationError, match="all of these are known"):
        shard_of_two(tmp_path, 0, inputs, {"control": "seed"})
