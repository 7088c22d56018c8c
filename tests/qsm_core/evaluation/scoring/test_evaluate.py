import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.conditions.rendering import render
from qsm_core.data.corpus import Corpus, CorpusClip, write_corpus
from qsm_core.data.schema import ClipRow
from qsm_core.errors import ConfigurationError, DataError, InterruptedStageError
from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.predictions.table import COLUMNS, read_predictions
from qsm_core.evaluation.scoring.evaluate import run
from qsm_core.evaluation.scoring.instructions import instruction_digest
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.stage.context import StageContext, never_stop
from tests.support.chirp_corpus import write_chirp_corpus, write_noise_rirs
from tests.support.clips import make_clip
from tests.support.holding import Hold
from tests.support.pipeline import ROOT
from tests.support.stages import StopAfter

QUESTION = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
CONFIG = {
    "system": "small",
    "instruction": QUESTION,
    "conditions": ["dur_40ms", "snr_0dB", "filter_lowpass"],
    "render": {"container_ms": 1100.0},
    "bootstrap": {"num_resamples": 200},
    "block_clips": 2,
}
OUTPUTS = ("predictions.parquet", "metrics.json")


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return write_chirp_corpus(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture
def evaluate(tmp_path, small_model_folder, corpus_folder):
    """Run the stage into `tmp_path`; the arguments change what it is given."""

    def run_stage(
        name="run", inputs=(), runtime=(), report=lambda *event: None, stop=never_stop, **changes
    ):
        out, work = tmp_path / name / "out", tmp_path / name / "work"
        for folder in (out, work):
            folder.mkdir(parents=True, exist_ok=True)
        config = {k: v for k, v in (CONFIG | changes).items() if v is not ...}
        paths = {"corpus": corpus_folder, "model": small_model_folder} | dict(inputs)
        summary = run(StageContext(config, paths, out, work, dict(runtime), report, stop))
        return out, summary

    return run_stage


def contents(out: Path):
    return {name: (out / name).read_bytes() for name in OUTPUTS}


def timings(out: Path):
    return json.loads((out / "volatile" / "timings.json").read_text())


def test_predictions_are_those_of_the_rendered_clips(evaluate, corpus_folder, small_llm):
    out, summary = evaluate()
    table = read_predictions(out / "predictions.parquet")
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 6 * 3
    assert set(table["system"]) == {"small"}
    assert set(table["instruction_digest"]) == {instruction_digest(QUESTION)}
    corpus = Corpus.open(corpus_folder)
    scorer = InstructionScorer(small_llm)
    settings = RenderSettings(container_ms=1100.0)
    grid = {condition.key: condition for condition in STANDARD_GRID}
    rows = corpus.clips.reset_index().set_index("clip_id")
    for _, one in table.iterrows():
        audio = render(
            corpus.waveform(int(rows.loc[one["clip_id"], "index"])),
            grid[one["condition"]],
            clip_id=one["clip_id"],
            settings=settings,
        )
        scores = scorer.score(scorer.encode([audio]), QUESTION)
        assert one["margin"] == pytest.approx(scores.margin[0], abs=1e-5)
        assert one["prediction"] == scores.labels[0]
        assert one["label"] == rows.loc[one["clip_id"], "label"]
    assert table["p_speech"].nunique() > 6
    assert summary["n_samples"] == 18
    assert 0 < summary["answer_mass"] < 1
    assert summary["answer_format"] == "labels"
    assert "cpu" in summary["placement"]


def test_metrics_are_a_function_of_the_predictions(evaluate):
    out, summary = evaluate()
    content = json.loads((out / "metrics.json").read_text())
    computed = compute_metrics(read_predictions(out / "predictions.parquet"), instruction=QUESTION)
    assert content["ba_clip"] == computed.ba_clip == summary["ba_clip"]
    assert content["instruction"] == QUESTION
    assert set(content["condition_metrics"]) == set(CONFIG["conditions"])
    assert "ba_clip" in content["intervals"]


def test_the_standard_grid_has_22_conditions(evaluate, tmp_path):
    rirs = write_noise_rirs(tmp_path / "rirs" / "rirs.npz")
    out, _ = evaluate(inputs={"rirs": rirs.parent}, conditions="standard")
    table = read_predictions(out / "predictions.parquet")
    assert len(table) == 6 * 22
    per_dimension = table.groupby("dimension")["condition"].nunique().to_dict()
    assert per_dimension == {"duration": 8, "snr": 6, "reverb": 4, "filter": 4}
    assert set(table.loc[table["condition"] == "snr_-10dB", "snr_db"]) == {-10.0}
    # A condition changes the audio, so it changes the margin.
    margins = table.pivot(index="clip_id", columns="condition", values="margin")
    assert (margins["snr_-10dB"] - margins["snr_20dB"]).abs().min() > 1e-4


def test_a_killed_stage_continues_and_gives_the_same_bits(evaluate):
    whole, _ = evaluate("whole")

    def kill(done, total, message):
        if done > 6:
            raise KilledError

    with pytest.raises(KilledError):
        evaluate("killed", report=kill)
    resumed, _ = evaluate("killed")
    assert timings(resumed)["blocks_kept"] == 1
    assert timings(whole)["blocks_kept"] == 0
    assert contents(resumed) == contents(whole)


def test_a_stage_that_is_asked_to_stop_keeps_its_blocks_and_gives_the_same_bits(evaluate):
    whole, _ = evaluate("whole")
    stop = StopAfter("clips scored", 4)
    with pytest.raises(InterruptedStageError, match="needs the GPU; 12 of 18 predictions are kept"):
        evaluate("stopped", report=stop.report, stop=stop.stop)
    resumed, _ = evaluate("stopped")
    assert timings(resumed)["blocks_kept"] == 2
    assert contents(resumed) == contents(whole)


@pytest.mark.slow
def test_a_stage_killed_by_the_system_continues(
    evaluate, tmp_path, corpus_folder, small_model_folder
):
    whole, _ = evaluate("whole", block_clips=1)
    spec = {
        "config": CONFIG | {"block_clips": 1},
        "inputs": {"corpus": str(corpus_folder), "model": str(small_model_folder)},
        "out": str(tmp_path / "killed" / "out"),
        "work": str(tmp_path / "killed" / "work"),
        "runtime": {"threads": torch.get_num_threads()},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    hold = Hold.make(tmp_path / "hold", {"block": (r"/blocks/[^/]*\.parquet$", 3)})
    command = [sys.executable, "-m", "qsm_core.evaluation.scoring.evaluate", "--spec"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "spec.json")],
        env={**os.environ, **hold.environment},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    hold.wait("block")
    process.kill()
    process.wait()
    blocks = tmp_path / "killed" / "work" / "blocks"
    finished = len(list(blocks.glob("*.parquet")))
    assert finished == 2
    shutil.rmtree(tmp_path / "killed" / "out")
    resumed, _ = evaluate("killed", block_clips=1)
    assert timings(resumed)["blocks_kept"] == finished
    assert contents(resumed) == contents(whole)


@pytest.mark.parametrize("damage", ["truncated", "other_system", "other_rows"])
def test_a_block_that_does_not_fit_is_made_again(evaluate, tmp_path, damage):
    whole, _ = evaluate("whole")
    evaluate("again")
    block = tmp_path / "again" / "work" / "blocks" / "00001.parquet"
    if damage == "truncated":
        block.write_bytes(block.read_bytes()[:-20])
    else:
        table = pd.read_parquet(block)
        table = table.assign(system="x") if damage == "other_system" else table.iloc[::-1]
        table.to_parquet(block, index=False)
    again, _ = evaluate("again")
    assert timings(again)["blocks_kept"] == 2
    assert contents(again) == contents(whole)


def test_neither_blocks_nor_batches_change_the_result(evaluate):
    first, _ = evaluate("first")
    expected = read_predictions(first / "predictions.parquet")
    for name, changes in {
        "blocks": {"block_clips": 5},
        "batches": {"runtime": {"batch_size": 1}},
        "both": {"block_clips": 1, "runtime": {"batch_size": 2, "threads": 1}},
    }.items():
        out, _ = evaluate(name, **changes)
        table = read_predictions(out / "predictions.parquet")
        pd.testing.assert_frame_equal(
            table.drop(columns=["margin", "p_speech"]),
            expected.drop(columns=["margin", "p_speech"]),
        )
        np.testing.assert_allclose(table["margin"], expected["margin"], atol=1e-5)


def test_progress_counts_all_rows_and_never_falls_back(evaluate):
    reported = []
    evaluate(report=lambda *event: reported.append(event))
    done = [event[0] for event in reported]
    assert done == sorted(done)
    assert reported[0][:2] == (0, 18)
    assert reported[-1][:2] == (18, 18)


def test_clips_as_recorded_are_taken_untouched(evaluate, tmp_path, small_llm):
    rows = [
        ClipRow(
            clip_id=f"c{number}", group_id=f"g{number}", label=label, split="test", source="made",
            condition=condition, **columns,
        )
        for number, label in enumerate(("SPEECH", "NONSPEECH", "SPEECH", "NONSPEECH"))
        for condition, columns in (
            ("dur_200ms", {"duration_ms": 200.0}), ("snr_5dB", {"snr_db": 5.0}), (None, {})
        )
    ]  # fmt: skip
    lengths_ms = (200, 1000, 730)
    clips = [CorpusClip(row, make_clip(i, lengths_ms[i % 3])) for i, row in enumerate(rows)]
    folder = tmp_path / "rendered"
    corpus = write_corpus(folder, clips)
    out, _ = evaluate(inputs={"corpus": folder}, conditions="as_recorded")
    table = read_predictions(out / "predictions.parquet").set_index(["clip_id", "condition"])
    assert len(table) == 12
    scorer = InstructionScorer(small_llm)
    scores = scorer.score(scorer.encode([corpus.waveform(i) for i in range(12)]), QUESTION)
    for row, margin in zip(rows, scores.margin, strict=True):
        found = table.loc[(row.clip_id, row.condition or "clean")]
        assert found["margin"] == pytest.approx(margin, abs=1e-5)
    assert set(table.loc[(slice(None), "dur_200ms"), "duration_ms"]) == {200.0}
    assert table.loc[(slice(None), "clean"), "dimension"].isna().all()
    clean, _ = evaluate("clean", inputs={"corpus": folder}, conditions=["clean"])
    assert set(read_predictions(clean / "predictions.parquet")["condition"]) == {"clean"}


def test_an_answer_that_cannot_be_read_is_null_and_an_error(evaluate):
    """The random model babbles, so an open answer of it can hardly be read."""
    out, summary = evaluate(instruction="What do you hear?", max_new_tokens=3)
    table = read_predictions(out / "predictions.parquet")
    unread = table["prediction"].isna()
    assert unread.any()
    assert (table["raw_text"].str.len() > 0).any()
    assert table["margin"].isna().all()
    assert summary["unparseable_rate"] == pytest.approx(unread.mean())
    assert summary["answer_format"] == "open"
    assert summary["answer_mass"] is None


def test_the_instruction_may_come_from_the_optimizer(evaluate, tmp_path):
    folder = tmp_path / "opro"
    folder.mkdir()
    (folder / "best_prompt.txt").write_text(QUESTION + "\n", encoding="utf-8")
    by_text, _ = evaluate("text")
    by_file, _ = evaluate("file", inputs={"instruction": folder}, instruction=...)
    assert contents(by_text) == contents(by_file)
    for inputs, changes in (({"instruction": folder}, {}), ({}, {"instruction": ...})):
        with pytest.raises(ConfigurationError, match="give either `instruction`"):
            evaluate("bad", inputs=inputs, **changes)
    (folder / "best_prompt.txt").unlink()
    with pytest.raises(DataError, match=r"best_prompt.txt: there is no such file"):
        evaluate("bad", inputs={"instruction": folder}, instruction=...)


def test_what_cannot_be_evaluated_is_refused_before_the_model_loads(evaluate, tmp_path):
    nowhere = {"model": tmp_path / "nowhere"}
    with pytest.raises(ConfigurationError) as caught:
        evaluate(inputs=nowhere, split="all", block_clips=0, system="")
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigurationError, match="colour"):
        evaluate(inputs=nowhere, colour="red")
    with pytest.raises(ConfigurationError, match="'dur_ms': the standard conditions are"):
        evaluate(inputs=nowhere, conditions=["dur_ms"])
    only_train = tmp_path / "train"
    row = ClipRow(clip_id="a", group_id="g", label="SPEECH", split="train", source="made")
    write_corpus(only_train, [CorpusClip(row, make_clip(0, 100))])
    with pytest.raises(DataError, match=r"split 'test' has no fitting clip; there are: train 1"):
        evaluate(inputs=nowhere | {"corpus": only_train})


def test_reverberation_needs_impulse_responses(evaluate):
    with pytest.raises(DataError, match=r"reverb_0\.3s: no bank was given"):
        evaluate(conditions=["reverb_0.3s"])


def test_clips_without_a_container_may_be_too_short_to_hear(evaluate):
    changes = {"conditions": ["dur_20ms"], "render": {"container_ms": 0.0}}
    with pytest.raises(DataError, match="20 ms gives no audio token"):
        evaluate(**changes)
    out, _ = evaluate("padded", **changes, short_clips="pad")
    assert len(read_predictions(out / "predictions.parquet")) == 6


@pytest.mark.slow
def test_the_entry_runs_alone(tmp_path, corpus_folder, small_model_folder):
    spec = {
        "config": CONFIG,
        "inputs": {"corpus": str(corpus_folder), "model": str(small_model_folder)},
        "out": str(tmp_path / "out"),
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "qsm_core.evaluation.scoring.evaluate"]
    finished = subprocess.run(
        [*command, "--spec", str(tmp_path / "spec.json")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["n_samples"] == 18
    assert len(read_predictions(tmp_path / "out" / "predictions.parquet")) == 18
