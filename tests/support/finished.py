"""One finished run of `complete_pipeline`, made once for all tests of a session.

A test that needs a finished run reads it, or copies its store; one that has to see stages run
leaves these out of its copy. Its sizes are those at which every test finds enough to do: several
checkpoints, steps of the searches and blocks of clips, and levels enough for curves.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.once import made_once
from tests.support.pipeline import TINY, PrefectService, last_states, run_pipeline

CONDITIONS = (
    *("dur_100ms", "dur_500ms", "dur_1000ms"),
    *("snr_-10dB", "snr_0dB", "snr_10dB"),
    *("reverb_0.3s", "filter_bandpass"),
)
SIZES = {
    **TINY,
    "name": "finished",
    "seed": 7,
    "train_clips": 24,
    "test_clips": 36,
    "conditions": ",".join(CONDITIONS),
    "epochs": 3,
    "opro_iterations": 2,
    "opro_candidates": 2,
    "opro_clips": 16,
}


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended well.

    Args:
        folder: Of its store and results; only to be read and copied.
        model: Its model, a part of its parameters.
        printed: What its command printed.
        states: How each stage ended, according to Prefect.
    """

    folder: Path
    model: Path
    printed: str
    states: dict[str, str]

    @property
    def parameters(self) -> dict[str, object]:
        """What all runs give that are to reuse its stages."""
        return {**SIZES, "model": str(self.model)}

    @property
    def results(self) -> Path:
        """The folder of its results."""
        return self.folder / "results" / str(SIZES["name"])

    def content(self, name: str) -> bytes:
        """Return what stands in a file of its results."""
        return (self.results / name).read_bytes()

    def copy_store(self, store: Path, *, without: Iterable[str] = ()) -> None:
        """Copy its store; what the stages know of each other's work besides outputs stays here.

        Args:
            store: Root of the copy.
            without: Stages, as the run calls them, whose outputs are left out.
        """
        shutil.copytree(
            self.folder / "store",
            store,
            symlinks=True,
            ignore=shutil.ignore_patterns("encoder_cache"),
            dirs_exist_ok=True,
        )
        remove_outputs(store, without)


def remove_outputs(store: Path, stages: Iterable[str]) -> None:
    """Remove what stages have made, as the run calls them, from a copy of its store."""
    made = json.loads((store / "runs" / f"{SIZES['name']}.json").read_text())["stages"]
    for name in stages:
        shutil.rmtree(store / "outputs" / made[name]["stage"] / made[name]["key"])


@pytest.fixture(scope="session")
def finished_run(
    prefect_service: PrefectService,
    small_model_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> FinishedRun:
    """The finished run of this session."""

    def make(folder: Path) -> None:
        done = run_pipeline(prefect_service, folder, **SIZES, model=small_model_folder)
        assert done.returncode == 0, done.stdout + done.stderr
        states = last_states(prefect_service, folder)
        record = {"printed": done.stdout + done.stderr, "states": states}
        (folder / "ended.json").write_text(json.dumps(record))

    folder = made_once(tmp_path_factory, "finished-run", make)
    record = json.loads((folder / "ended.json").read_text())
    return FinishedRun(folder, small_model_folder, record["printed"], record["states"])
