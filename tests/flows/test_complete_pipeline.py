"""The whole pipeline on a real server with real workers: what it makes, reuses and makes again."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from flows.complete_pipeline import complete_pipeline, seven_stages
from flows.run.session import Session
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.results.export import plan_export, run_export
from qsm_core.results.run_folder import find_run
from qsm_core.store.manifest import Manifest, read_manifest
from tasks.plan.tables import plan_rows
from tests.support.audio_files import write_audio, write_class_folders
from tests.support.finished import CONDITIONS, SIZES, FinishedRun
from tests.support.pipeline import (
    STAGES,
    PrefectService,
    last_states,
    run_pipeline,
    start_pipeline,
    tiny_sizes,
    worker_processes,
)
from tests.support.server_records import Server

pytestmark = [pytest.mark.server, pytest.mark.slow]

MADE = dict.fromkeys(STAGES, "Completed")
CACHED = dict.fromkeys(STAGES, "Cached")
EVALUATIONS = ("eval_baseline", "eval_base", "eval_lora", "eval_base_opro", "eval_lora_opro")
ADAPTER = "checkpoints/lora/final/adapter_model.safetensors"
# The stages that a second seed adds.
SECOND_SEED = tuple(
    f"{name}_seed8" for name in ("lora", "eval_lora", "opro_lora", "eval_lora_opro", "further_lora")
)
INSTRUCTIONS = {"base": "Is there a human voice? Answer SPEECH or NONSPEECH.", "lora": "Voice?"}


@dataclass(frozen=True)
class Ran:
    """A run that ended well: its folder, and what the server knows of it."""

    folder: Path
    name: str
    states: dict[str, str]

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.name

    def content(self, name: str) -> bytes:
        return (self.results / name).read_bytes()


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def run(prefect_api: str, small_model_folder: Path) -> Run:
    """Run a pipeline in this process, its store and results in a folder."""

    def go(folder: Path, **parameters: Any) -> Ran:
        places = {name: str(folder / name) for name in ("store", "results")}
        tiny = {**tiny_sizes(parameters), "name": "tiny", "model": str(small_model_folder)}
        values = tiny | places | parameters
        state: Any = complete_pipeline(**values, return_state=True)
        state.result()
        states = Server(prefect_api).states(str(state.state_details.flow_run_id))
        return Ran(folder, values["name"], states)

    return go


@pytest.fixture(scope="module")
def changed(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory, run: Run) -> Ran:
    """A run on what the first one made: with one seed more, and the training made again."""
    folder = tmp_path_factory.mktemp("changed")
    finished_run.copy_store(folder / "store")
    more = {"workers": 2, "num_seeds": 2, "force": ["lora"]}
    return run(folder, **finished_run.parameters | more)


@pytest.fixture
def folder(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """A folder of our own with a store in which everything of the first run is."""
    finished_run.copy_store(tmp_path / "store")
    return tmp_path


def _outputs(folder: Path) -> dict[str, float]:
    """Return every output in the store and when its manifest was written."""
    found = (folder / "store" / "outputs").glob("*/*/manifest.json")
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in found}


def test_first_run_makes_every_file(finished_run: FinishedRun) -> None:
    first = finished_run
    assert first.states == MADE
    for evaluation in EVALUATIONS:
        metrics = json.loads(first.content(f"{evaluation}/metrics.json"))
        assert metrics["n_samples"] == SIZES["test_clips"] * len(CONDITIONS)
        predictions = pd.read_parquet(first.results / evaluation / "predictions.parquet")
        assert len(predictions) == metrics["n_samples"]
    for search in ("opro_base", "opro_lora"):
        assert first.content(f"{search}/best_prompt.txt").strip()
        history = json.loads(first.content(f"{search}/opro_history.json"))
        proposed = SIZES["opro_iterations"] * SIZES["opro_candidates"]
        assert len(history["candidates"]) == 1 + proposed
    gains = pd.read_csv(first.results / "instructions" / "search_gains.csv")
    assert list(gains["way"]) == 2 * ["search", "seed", "calibration", "templates", "paraphrases"]
    assert gains.groupby("model")["best_on_dev"].sum().to_dict() == {"base": 1, "lora": 1}
    assert gains.loc[gains["best_on_dev"], "difference"].notna().all()
    transfer = pd.read_csv(first.results / "instructions" / "prompt_transfer.csv")
    assert list(transfer["instruction_of"]) == ["seed", "base", "lora", "seed", "lora", "base"]
    assert json.loads(first.content("checkpoints/lora/final/adapter_config.json"))["r"] == 4
    assert len(first.content(ADAPTER)) > 1000
    assert first.content("report.html").startswith(b"<!")
    report = Path("results") / str(SIZES["name"]) / "report.html"
    assert str(report) in first.printed.replace("\n", "")


def test_results_can_be_taken_elsewhere(finished_run: FinishedRun, tmp_path: Path) -> None:
    run_export(plan_export(find_run(str(SIZES["name"]), finished_run.results.parent), tmp_path))
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert (tmp_path / ADAPTER).read_bytes() == finished_run.content(ADAPTER)
    page = (tmp_path / "report.html").read_text()
    linked = set(re.findall(r'(?:href|src)="(?!#|data:|https?:)([^"#]+)', page))
    assert "methods.md" in linked
    assert all((tmp_path / name).is_file() for name in linked)


def test_stage_1_and_stage_3a_are_one_evaluation(finished_run: FinishedRun) -> None:
    results = finished_run.results
    assert (results / "eval_base").resolve() == (results / "eval_baseline").resolve()


def test_evaluations_use_the_adapter_and_the_instructions_that_were_found(
    finished_run: FinishedRun,
) -> None:
    first = finished_run
    shown = {name: json.loads(first.content(f"{name}/metrics.json")) for name in EVALUATIONS}
    for model in ("base", "lora"):
        found = first.content(f"opro_{model}/best_prompt.txt").decode().strip()
        assert shown[f"eval_{model}_opro"]["instruction"] == found
        assert shown[f"eval_{model}_opro"]["system"] == f"{model}_opro"
    predictions = [
        pd.read_parquet(first.results / name / "predictions.parquet")["margin"].to_numpy()
        for name in ("eval_base", "eval_lora")
    ]
    assert not np.array_equal(*predictions)


def test_second_run_is_cached_starts_no_worker_and_costs_nothing(
    finished_run: FinishedRun, folder: Path, prefect_service: PrefectService
) -> None:
    before = _outputs(folder)
    process = start_pipeline(prefect_service, folder, **finished_run.parameters)
    family, workers = psutil.Process(process.pid), set()
    while process.poll() is None:
        workers |= worker_processes(family)
        time.sleep(0.2)
    assert process.returncode == 0, (folder / "log.txt").read_text()
    assert last_states(prefect_service, folder) == CACHED
    assert workers == set()
    assert _outputs(folder) == before
    results = folder / "results" / str(SIZES["name"])
    assert (results / "report.html").read_bytes() == finished_run.content("report.html")
    cost = json.loads(finished_run.content("cost.json"))
    spared = json.loads((results / "cost.json").read_bytes())
    assert not any(one["made"] for one in spared["stages"])
    assert spared["totals"]["seconds"] == 0
    assert spared["totals"]["seconds_spared"] == cost["totals"]["seconds"]


def test_a_run_tells_what_it_cost(finished_run: FinishedRun) -> None:
    cost = json.loads(finished_run.content("cost.json"))
    assert {one["stage"] for one in cost["stages"]} == set(STAGES)
    assert all(one["made"] and one["seconds"] > 0 for one in cost["stages"])
    assert all(one["peak_memory_mib"] > 50 for one in cost["stages"])
    assert cost["totals"]["stages_made"] == len(STAGES)
    assert f"Cost: {len(STAGES)} stages made" in finished_run.printed


def test_a_seed_more_and_a_forced_training_run_themselves_and_nothing_else(changed: Ran) -> None:
    # The base model is asked what was found for every LoRA model.
    ensembles = ("eval_lora_ensemble", "eval_lora_opro_ensemble")
    rest = ("further_base", "analysis", "instructions", "report")
    made = ("lora", *SECOND_SEED, *ensembles, *rest)
    assert changed.states == {**CACHED, **dict.fromkeys(made, "Completed")}


def test_forced_training_has_the_same_bits(finished_run: FinishedRun, changed: Ran) -> None:
    assert changed.content(ADAPTER) == finished_run.content(ADAPTER)
    assert _manifest(changed, "checkpoints/lora/final").generation == 2


def test_further_seeds_are_trained_side_by_side_and_are_in_the_report(changed: Ran) -> None:
    second = changed.content("checkpoints/lora_seed8/final/adapter_model.safetensors")
    assert second != changed.content(ADAPTER)
    trained = [
        _manifest(changed, f"checkpoints/{name}/final").provenance
        for name in ("lora", "lora_seed8")
    ]
    starts, ends = ([one[f"{when}_at"] for one in trained] for when in ("started", "finished"))
    assert max(starts) < min(ends), "two workers trained two seeds one after the other"
    report = _manifest(changed, "report").spec.inputs
    for seed in ("", "_seed8"):
        for system in (f"eval_lora{seed}", f"eval_lora_opro{seed}"):
            assert report[system] == _manifest(changed, system).digest


def _manifest(ran: Ran, name: str) -> Manifest:
    return read_manifest((ran.results / name).resolve())


Plan = dict[str, dict[str, Any]]


@pytest.fixture
def plan(finished_run: FinishedRun, folder: Path) -> Callable[..., Plan]:
    """Plan a run on what the first one made; returns its rows by stage."""

    def go(**parameters: Any) -> Plan:
        places = {"store": str(folder / "store"), "results": str(folder / "results")}
        given = parse_parameters(finished_run.parameters | places | parameters)
        before = _outputs(folder)
        planned = Session(given).plan(partial(seven_stages, given))
        assert _outputs(folder) == before
        assert not (folder / "results").exists()
        return {row["stage"]: row for row in plan_rows(planned.stages)}

    return go


def test_a_plan_for_another_search_runs_both_searches(plan: Callable[..., Plan]) -> None:
    shown = plan(opro_candidates=3)
    for name in ("opro_base", "opro_lora"):
        assert shown[name]["plan"] == "runs"
        assert "candidates changed from 2 to 3" in shown[name]["why"]
    reused = ("corpus", "rirs", "baseline", "lora", "eval_lora")
    assert {name: shown[name]["plan"] for name in reused} == dict.fromkeys(reused, "reused")
    for waiting, needed in {"eval_base_opro": "opro_base", "eval_lora_opro": "opro_lora"}.items():
        assert shown[waiting]["plan"] == "waits"
        assert f"is decided after {needed}" in shown[waiting]["why"]


def test_a_plan_runs_nothing_and_says_each_verdict(
    finished_run: FinishedRun, folder: Path, prefect_service: PrefectService
) -> None:
    wide = PrefectService(
        prefect_service.api_url, {**prefect_service.environment, "COLUMNS": "200"}
    )
    given = finished_run.parameters | {"workers": 2, "lora_rank": 2}
    before = _outputs(folder)
    planned = run_pipeline(wide, folder, "--plan-only", **given)
    assert planned.returncode == 0, planned.stderr
    assert Server(prefect_service.api_url).flow_runs(folder / "results") == []
    assert _outputs(folder) == before
    assert not (folder / "results").exists()
    assert f"cpu: workers 2, cores {max(1, (os.cpu_count() or 1) // 2)}" in planned.stderr
    plan_of_stages = planned.stderr.partition("\nTime: ")[0]  # prices of searches come behind
    shown = {line.split()[0]: line.split()[1:] for line in plan_of_stages.splitlines() if line}
    assert [shown[name][0] for name in ("corpus", "rirs", "baseline", "opro_base")] == [
        "reused"
    ] * 4
    assert shown["eval_base_opro"][0] == "reused"
    assert shown["lora"][0] == "runs"
    # 24 clips, each in 2 conditions, are 48 renderings: three epochs of three steps of 16.
    assert "at most 9 training steps" in " ".join(shown["lora"])
    assert "(1 earlier run)" in " ".join(shown["lora"])
    assert "288 predictions" in " ".join(shown["eval_lora"])
    assert "rank changed from 4 to 2" in " ".join(shown["lora"])
    for waiting, needed in {
        "eval_lora": "lora",
        "opro_lora": "lora",
        "eval_lora_opro": "opro_lora",
        "analysis": "eval_lora",
        "report": "analysis",
    }.items():
        assert shown[waiting][0] == "waits"
        assert f"is decided after {needed}" in " ".join(shown[waiting])


def _write_external_test(folder: Path) -> Path:
    """Write three clips of each class: a hum that may pass for a voice, and noise."""
    rng = np.random.default_rng(1)
    times = np.arange(20_000) / 16_000
    for number in range(3):
        pitch_hz = rng.uniform(90, 300)
        hum = sum(np.sin(2 * np.pi * k * pitch_hz * times) / k for k in range(1, 9)) / 4
        noise = rng.standard_normal(times.size) / 8
        for label, samples in (("speech", hum), ("nonspeech", noise)):
            path = folder / label / f"{label}{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, 16_000)
    return folder


def test_an_external_test_set_reaches_neither_training_nor_search(
    finished_run: FinishedRun, folder: Path, run: Run, tmp_path: Path
) -> None:
    other_clips = str(_write_external_test(tmp_path / "external"))
    parameters = finished_run.parameters | {"test_data": other_clips}
    del parameters["test_clips"]  # of the synthetic clips that these replace
    ran = run(folder, **parameters)
    _check_external_test(ran)
    # Their keys hold the digests of their clips: nothing of the test set can be among them.
    untouched = ("rirs", "lora", "opro_base", "opro_lora")
    made = {**MADE, "training_corpus": "Completed"}
    assert ran.states == {**made, **dict.fromkeys(untouched, "Cached")}
    for name in ("checkpoints/lora/final", "opro_base", "opro_lora"):
        assert (ran.results / name).resolve().name == (finished_run.results / name).resolve().name
    table = "eval_base/predictions.parquet"
    assert ran.content(table) != finished_run.content(table)


def _check_external_test(ran: Ran) -> None:
    clips = pd.read_parquet(ran.results / "corpus" / "manifest.parquet")
    external = {f"{label}/{label}{n}" for label in ("speech", "nonspeech") for n in range(3)}
    in_test = clips["split"] == "test"
    assert set(clips.loc[in_test, "clip_id"]) == external
    assert len(clips[~in_test]) == SIZES["train_clips"] + SIZES["dev_clips"]
    assert not set(clips.loc[~in_test, "sha256"]) & set(clips.loc[in_test, "sha256"])
    for name in EVALUATIONS:
        asked = pd.read_parquet(ran.results / name / "predictions.parquet")
        assert set(asked["clip_id"]) == external
    dev = set(clips.loc[clips["split"] == "dev", "clip_id"])
    for name in ("opro_base", "opro_lora"):
        searched = pd.read_parquet(ran.results / name / "dev_predictions.parquet")
        assert set(searched["clip_id"]) == dev


def test_own_clips_with_an_existing_adapter_and_instructions(
    finished_run: FinishedRun, run: Run, tmp_path: Path
) -> None:
    clips = write_class_folders(tmp_path / "clips", groups=6, clips=2)
    adapter = tmp_path / "adapter"
    shutil.copytree(
        finished_run.results / "checkpoints" / "lora" / "final",
        adapter,
        ignore=shutil.ignore_patterns("manifest.json", "volatile"),
    )
    files = {f"instruction_{model}": str(tmp_path / f"{model}.txt") for model in INSTRUCTIONS}
    for path, text in zip(files.values(), INSTRUCTIONS.values(), strict=True):
        Path(path).write_text(f"{text}\n")
    ran = run(tmp_path, data=str(clips), adapter=str(adapter), test_fraction=0.34, **files)

    left_out = ("lora", "opro_base", "opro_lora")
    assert ran.states == {name: "Completed" for name in STAGES if name not in left_out}
    assert not (ran.results / "checkpoints").exists()
    for model, text in INSTRUCTIONS.items():
        metrics = json.loads(ran.content(f"eval_{model}_opro/metrics.json"))
        assert metrics["instruction"] == text
    margins = [
        pd.read_parquet(ran.results / name / "predictions.parquet")["margin"].to_numpy()
        for name in ("eval_base", "eval_lora")
    ]
    assert not np.array_equal(*margins)
    _check_split_by_group(ran.results / "corpus" / "manifest.parquet")


def _check_split_by_group(manifest: Path) -> None:
    clips = pd.read_parquet(manifest)
    assert len(clips) == 24
    assert clips.groupby("group_id")["split"].nunique().eq(1).all()
    assert clips["group_id"].nunique() == 12
    assert (clips.groupby(["split", "label"])["group_id"].nunique() >= 1).all()
    assert len(clips.groupby(["split", "label"])) == 6


def test_clips_that_cannot_be_used_are_reported_together_and_nothing_is_queued(
    prefect_service: PrefectService, small_model_folder: Path, tmp_path: Path
) -> None:
    clips = write_class_folders(tmp_path / "clips", groups=4, clips=1)
    (clips / "speech" / "s90_0.wav").write_text("this is no audio")
    write_audio(clips / "speech" / "s91_0.wav", np.full(800, 0.1))
    holes = np.full(16_000, np.nan)
    write_audio(clips / "nonspeech" / "n92_0.wav", holes, subtype="FLOAT")
    (clips / "nonspeech" / "n93_0.wav").touch()
    done = run_pipeline(
        prefect_service, tmp_path, data=clips, name="tiny", model=small_model_folder
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    error = done.stderr[done.stderr.index("error:") :]
    for name in ("s90_0.wav", "s91_0.wav", "n92_0.wav", "n93_0.wav"):
        assert [line for line in error.splitlines() if name in line], name
    assert "s00_0.wav" not in error
    assert "4 problems" in error
    assert last_states(prefect_service, tmp_path) == {"corpus": "Failed"}
    assert list(tmp_path.glob("store/outputs/*/*")) == []


def test_a_model_that_does_not_exist_is_reported_before_anything_runs(
    prefect_api: str, tmp_path: Path
) -> None:
    places = {name: str(tmp_path / name) for name in ("store", "results")}
    state: Any = complete_pipeline(model=str(tmp_path / "nowhere"), **places, return_state=True)
    with pytest.raises(ConfigurationError, match="nowhere is no folder"):
        state.result()
    assert state.is_failed()
    assert Server(prefect_api).states(str(state.state_details.flow_run_id)) == {}
