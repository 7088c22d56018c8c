"""The page of a benchmark with every kind of entrant: tracks, a second stage, tables."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.detection.benchmark import read_found
from qsm_core.detection.benchmark.config import FixedVariant, FoundEvents
from qsm_core.detection.prepared import read_prepared
from qsm_core.reporting.detection import report
from qsm_core.reporting.detection.config import DetectionReport
from qsm_core.stage.context import StageContext
from tests.support.detection_tracks import HOP, benchmark, write_tracks
from tests.support.recordings import RATE_HZ, write_tones

TITLES = {"perfect": "Perfect", "eager": "Eager", "raven": "Raven"}
SPLITS = ("train", "dev", "dev", "test", "test")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a perfect detector, of one that finds too much, and of a table of nothing."""
    folder = tmp_path_factory.mktemp("report")
    recordings = write_tones(folder / "in", SPLITS, seconds=24.0)
    events = read_prepared(recordings).annotations
    also = {
        str(name): (own["begin_s"] + 0.6).tolist() for name, own in events.groupby("recording_id")
    }
    tracks = {
        "perfect": write_tracks(recordings, folder / "perfect", 3.0),
        "eager": write_tracks(recordings, folder / "eager", 3.0, also=also),
    }
    (folder / "table").mkdir()
    (folder / "table" / "rec4.csv").write_text("begin_s,end_s\n")
    (folder / "found").mkdir()
    values = dataclasses.asdict(FoundEvents("raven"))
    inputs = {"recordings": recordings, "source": folder / "table"}
    read_found.run(StageContext(values, inputs, folder / "found", folder, {}, lambda *_: None))
    variants = tuple(FixedVariant(window, HOP / RATE_HZ, 0.6) for window in (HOP / RATE_HZ, 0.4))
    benchmark(
        recordings,
        folder,
        tracks,
        {"raven": folder / "found"},
        second_stage=True,
        variants=variants,
    )
    titles = TITLES | {f"{name}_postrf": f"{title}, filtered" for name, title in TITLES.items()}
    out = folder / "page"
    out.mkdir()
    values = json.loads(json.dumps(dataclasses.asdict(DetectionReport(titles))))
    inputs = {"recordings": recordings, "benchmark": folder / "out"}
    report.run(StageContext(values, inputs, out, folder, {}, lambda *_: None))
    return out


def test_the_page_shows_whom_it_compares_and_whom_it_could_not(page: Path) -> None:
    table = pd.read_csv(page / "tables" / "results.csv")
    assert list(dict.fromkeys(table["detector"])) == ["perfect", "eager", "eager_postrf", "raven"]
    html = next(page.rglob("report.html")).read_text()
    for text in (
        "Eager, filtered",
        "no second stage: ",
        "4 recordings of the data without a table or row",
        "len400_hop10_th60",
        "benchmark_variants.json",
    ):
        assert text in html, text
    assert "Perfect, filtered" not in html


def test_recordings_that_are_equally_hard_are_called_so(page: Path) -> None:
    html = next(page.rglob("report.html")).read_text()
    assert "Its F1 is 100.0 in each of the 2 recordings of test." in html
    assert "Hardest" not in html
    tapes = pd.DataFrame({"recording_id": ["a", "b"], "f1": [0.25, 0.5]})
    assert report._hardest(tapes) == "Hardest recording: a (25.0); easiest: b (50.0)."
