import hashlib
import json

import pandas as pd
import pytest

from qsm_core.errors import ConfigurationError, InterruptedStageError, ModelError
from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.prompting.optimize import run
from qsm_core.prompting.texts.pool import read_pool
from qsm_core.prompting.texts.templates import baseline
from tests.support.chat_server import Reply, chat_server
from tests.support.corpora import make_corpus
from tests.support.stages import StopAfter, finish, stage_context, start_stage

pytestmark = pytest.mark.slow  # minutes in all: not for `make quick`

CONFIG = {
    "seed": 1,
    "instruction": baseline().text,
    "iterations": 2,
    "candidates": 6,
    "clips": 12,
    "block_clips": 6,
    "objective": "log_loss",
    "conditions": ["dur_100ms", "snr_0dB", "filter_lowpass"],
    "render": {"seed": 1, "container_ms": 400.0},
}
FILES = (
    "best_prompt.txt",
    "best_prompt.json",
    "opro_history.json",
    "opro_memory.json",
    "optimization_history.json",
    "candidates.csv",
    "trajectory.jsonl",
    "dev_metrics.json",
    "controls.csv",
    "dev_predictions.parquet",
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, dev=8)
    return {"corpus": folder, "model": small_model_folder}


def optimize(folder, inputs, runtime=None, **changes):
    context = stage_context(folder, CONFIG | changes, inputs, runtime=runtime)
    return context.out, run(context)


@pytest.fixture(scope="module")
def optimized(tmp_path_factory, inputs):
    """One search with the plain configuration: its output folder and its summary."""
    return optimize(tmp_path_factory.mktemp("optimized"), inputs)


def test_winner_has_the_best_score_on_all_of_dev_and_is_never_worse_than_the_seed(optimized):
    out, summary = optimized
    table = pd.read_csv(out / "candidates.csv")
    finals = table["score_on_dev"].dropna()
    assert len(table) == summary["num_candidates"] == 13
    assert 1 <= len(finals) <= 2
    assert 0 in finals.index
    assert summary["score_on_dev"] == pytest.approx(finals.max())
    assert summary["gain_on_dev"] >= 0
    assert summary["number"] == finals.idxmax()
    best = (out / "best_prompt.txt").read_text().strip()
    assert best == table["instruction"][summary["number"]] == summary["instruction"]
    assert summary["dev_clips"] == 24
    # A race of 12 rows at most; what is left of 24 for the finalists.
    assert table["rows"].isin([6, 12]).all()
    left = 24 - table["rows"][finals.index]
    assert summary["spent"] == table["rows"].sum() + left.sum()
    dropped = table.index[table["dropped"].notna()]
    assert set(dropped) | set(finals.index) == set(range(13))
    assert set(dropped) & set(finals.index) <= {0}


def test_controls_stand_beside_the_winner_at_the_same_price(optimized):
    out, summary = optimized
    table = pd.read_csv(out / "controls.csv").set_index("way")
    assert list(table.index) == ["search", "seed", "calibration", "templates", "paraphrases"]
    assert table.loc["search", "score"] == pytest.approx(summary["score_on_dev"])
    assert table.loc["seed", "score"] == pytest.approx(summary["seed_score_on_dev"])
    assert (table["search_adds"] == table.loc["search", "score"] - table["score"]).all()
    # A threshold cannot change the log-loss, and makes the balanced accuracy no worse on dev.
    assert table.loc["calibration", "score"] == table.loc["seed", "score"]
    assert table.loc["calibration", "ba_clip"] >= table.loc["seed", "ba_clip"]
    for name in ("templates", "paraphrases"):
        assert table.loc[name, "spent"] <= max(summary["spent"], 24 * 3 + 6 * 6)
        assert table.loc[name, "score"] >= table.loc["seed", "score"]
    # The seed instruction and the templates that the search has scored too are scored once.
    assert (
        summary["clip_prompts"] < table.loc[["search", "templates", "paraphrases"], "spent"].sum()
    )
    best = table.loc[["seed", "templates", "paraphrases"]].sort_values("score")["instruction"]
    assert (out / "best_control.txt").read_text().strip() == best.iloc[-1]


def test_dev_predictions_give_the_recorded_measures(optimized):
    out, summary = optimized
    predictions = read_predictions(out / "dev_predictions.parquet")
    assert set(predictions["system"]) == {"best_instruction", "seed_instruction"}
    record = json.loads((out / "best_prompt.json").read_text())
    for system, name in (
        ("best_instruction", "dev_measures"),
        ("seed_instruction", "seed_dev_measures"),
    ):
        metrics = compute_metrics(predictions[predictions["system"] == system])
        assert metrics.n_samples == 24
        assert metrics.ba_clip == pytest.approx(record[name]["ba_clip"])
        assert sum(row[0] + row[2] for row in record[name]["counts"].values()) == 24
    dev = json.loads((out / "dev_metrics.json").read_text())
    assert dev["ba_clip"] == pytest.approx(summary["ba_clip_on_dev"])
    assert dev["instruction"] == summary["instruction"]
    assert dev["intervals"]


def test_history_is_complete(optimized):
    out, summary = optimized
    history = json.loads((out / "opro_history.json").read_text())
    assert len(history["rewards"]) == len(history["candidates"]) == 13
    assert history["iterations"] == [0, 1, 2]
    assert len(history["best_reward_per_iteration"]) == 3
    assert history["winner"] == summary["number"]
    for one in history["candidates"]:
        counts = one["measures"]["counts"].values()
        assert sum(row[0] + row[2] for row in counts) == one["rows"]


def test_files_that_notebooks_look_for_begin_with_the_winner(optimized):
    out, summary = optimized
    memory = json.loads((out / "opro_memory.json").read_text())
    assert 2 <= len(memory) <= 10
    assert memory[0]["prompt"] == summary["instruction"]
    assert memory[0]["score_on_dev"] == summary["score_on_dev"]
    assert set(memory[0]) >= {"prompt", "reward", "ba_clip", "ba_conditions", "iteration"}
    history = json.loads((out / "optimization_history.json").read_text())
    assert history["best_prompt"] == summary["instruction"]
    assert history["best_accuracy"] == pytest.approx(summary["ba_clip_on_dev"])
    assert len(history["history"]) == summary["num_candidates"]
    for name in ("opro_memory.json", "optimization_history.json"):
        assert read_pool(out / name).entries  # and another search can start from them


@pytest.mark.parametrize("runtime", [{"candidates_at_once": 1}, {"candidates_at_once": 5}])
def test_how_many_are_scored_at_once_changes_nothing(optimized, inputs, tmp_path, runtime):
    out, _ = optimize(tmp_path, inputs, runtime)
    for name in FILES:
        assert (out / name).read_bytes() == (optimized[0] / name).read_bytes(), name


def test_test_clips_are_never_touched(optimized, inputs, tmp_path):
    poisoned = tmp_path / "poisoned"
    make_corpus(poisoned, dev=8, poison_test=True)
    out, _ = optimize(tmp_path / "run", {**inputs, "corpus": poisoned})
    for name in FILES:
        assert (out / name).read_bytes() == (optimized[0] / name).read_bytes(), name


def test_clips_as_recorded_and_the_reward_of_the_first_system(inputs, tmp_path):
    changes = {"conditions": "as_recorded", "objective": "reward", "clips": None}
    _, summary = optimize(tmp_path, inputs, iterations=1, **changes)
    assert summary["dev_clips"] == 8
    assert summary["score_on_dev"] == pytest.approx(1.25 * summary["ba_clip_on_dev"])
    assert summary["score_on_dev"] == summary["score_in_race"]


def test_too_few_clips_for_the_conditions_are_refused(inputs, tmp_path):
    with pytest.raises(ConfigurationError, match="clips = 4"):
        optimize(tmp_path, inputs, clips=4)


def test_unknown_fields_are_refused(inputs, tmp_path):
    with pytest.raises(ConfigurationError, match="steps = 3"):
        optimize(tmp_path, inputs, steps=3)


@pytest.mark.parametrize(
    ("message", "times", "kept"),
    [
        ("clip-prompts scored", 2, "[0-9]+ clip-prompts and 1 candidates are kept"),
        ("clip-prompts scored", 7, "[0-9]+ clip-prompts and [0-9]+ candidates are kept"),
    ],
)
def test_a_search_that_is_asked_to_stop_continues_to_the_same_bits(
    optimized, inputs, tmp_path, message, times, kept
):
    stop = StopAfter(message, times)
    runtime = {"candidates_at_once": 1}
    context = stage_context(
        tmp_path, CONFIG, inputs, runtime=runtime, report=stop.report, stop=stop.stop
    )
    with pytest.raises(InterruptedStageError, match=kept):
        run(context)
    before = (context.work / "trajectory.jsonl").read_bytes()
    out, _ = optimize(tmp_path, inputs)
    assert (out / "trajectory.jsonl").read_bytes().startswith(before)
    for name in FILES:
        assert (out / name).read_bytes() == (optimized[0] / name).read_bytes(), name


def answer(_number, request):
    """Say the same to the same question, as the server of an optimizer LLM."""
    asked = json.dumps([request["messages"], request["seed"]])
    word = hashlib.sha256(asked.encode()).hexdigest()[:14]
    return Reply(f"<INS>Consider {word}: is it SPEECH or NONSPEECH?</INS>")


@pytest.mark.parametrize("bad", [Reply(finish="length"), Reply("I cannot help with that.")])
def test_a_search_whose_llm_wrote_nothing_of_use_fails_and_begins_anew(inputs, tmp_path, bad):
    """The same command succeeds when the LLM is mended: no empty answer was kept."""
    config = {"candidates": 2, "proposers": ["llm"], "controls": [], "iterations": 1}
    config |= {"optimizer": {"served": True, "model": "scripted"}}
    works = False

    def script(number, request):
        return answer(number, request) if works else bad

    with chat_server(script) as server:
        runtime = {"optimizer_url": server.base_url}
        with pytest.raises(ModelError, match=r"wrote no instruction that can be scored \(6 x"):
            optimize(tmp_path, inputs, runtime, **config)
        assert not (tmp_path / "out" / "best_prompt.txt").exists()
        assert len((tmp_path / "work" / "optimizer_llm.jsonl.failed").read_text().splitlines()) == 7
        works = True
        _, summary = optimize(tmp_path, inputs, runtime, **config)
    assert summary["num_candidates"] == 3


@pytest.mark.slow
def test_a_killed_search_continues_to_the_same_trajectory_and_winner(inputs, tmp_path):
    """A process dies at once: between two answers of the LLM, in a race, and in the finals."""
    config = CONFIG | {"candidates": 3, "proposers": ["llm"], "controls": ["paraphrases"]}
    config |= {"optimizer": {"served": True, "model": "scripted"}}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with chat_server(answer) as server:

        def go(folder, module="qsm_core.prompting.optimize", **runtime):
            given = {"optimizer_url": server.base_url, **runtime}
            finish(start_stage(module, folder, config, inputs, **given), folder)

        go(whole)
        asked = len(server.requests)
        assert asked >= 12  # two steps of the search, and two of the control that paraphrases
        for event in ("answers", "block", "finalist"):
            with pytest.raises(RuntimeError, match="the stage ended with -9"):
                go(killed, "tests.support.dying_search", die_at=event)
            text = (killed / "work" / "trajectory.jsonl").read_text()
            assert (f'"event": "{event}"' in text) == (event != "answers")
            assert not (killed / "out" / "best_prompt.txt").exists()
        go(killed)
    assert len(server.requests) == 2 * asked, "an answer that was paid for was asked for again"
    for name in (*FILES, "optimizer_llm.jsonl"):
        assert (killed / "out" / name).read_bytes() == (whole / "out" / name).read_bytes(), name
