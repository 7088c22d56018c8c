"""Where recordings lie and how annotations are read is checked before anything is planned."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from flows.detection.parsing import parse_detection_parameters
from flows.detection.stages import benchmark_stages
from flows.run.session import Session
from qsm_core.errors import ConfigurationError
from tests.qsm_core.detection.test_annotations import audio, table


def test_what_cannot_work_is_listed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "qsm_core.detection.annotations.crowsetta_formats.find_spec"
    monkeypatch.setattr(name, lambda name: None)
    wrong = {"audio_root": str(tmp_path / "none"), "annotation_format": "textgrid"}
    with pytest.raises(ConfigurationError) as caught:
        parse_detection_parameters(wrong)
    text = str(caught.value)
    for part in (
        f"audio_root = '{tmp_path}/none': is for your own recordings, which `data` names",
        f"audio_root = '{tmp_path}/none': there is no such folder",
        "annotation_format = 'textgrid': is for your own recordings",
        "needs the package crowsetta: pip install 'qsm[crowsetta]'",
    ):
        assert part in text
    assert parse_detection_parameters({"data": str(tmp_path), "annotation_format": "raven"})
    with pytest.raises(ConfigurationError, match="annotation_format"):
        parse_detection_parameters({"annotation_format": "praat"})


def test_audio_beside_a_single_table_decides_the_key_of_its_preparation(tmp_path: Path) -> None:
    for tape in ("a", "b", "c"):
        audio(tmp_path / "in" / f"{tape}.wav")
    rows = (f"{tape}.wav,1,2,hum" for tape in ("a", "b", "c"))
    data = table(tmp_path / "in" / "all.csv", "file,begin_s,end_s,label", *rows)
    places = {"store": str(tmp_path / "store"), "results": str(tmp_path / "results")}
    given = parse_detection_parameters(places | {"data": str(data), "detectors": ["energy"]})

    def key() -> str:
        (planned, *_) = Session(given).plan(partial(benchmark_stages, given)).stages
        assert planned.name == "recordings"
        return planned.verdict.key

    first = key()
    assert key() == first
    audio(tmp_path / "in" / "a.wav", 11.0)
    assert key() != first
