"""Stage `build_variant`: a training set in the form that ANIMAL-SPOT and its users know.

Run alone as `python -m qsm_core.detection.variants.build --spec spec.json`.

    <class>-<label>_<uid>_<year>_<tape>_<begin ms>_<end ms>.wav
    train.csv, val.csv, test.csv    a file name a line
    variant_index.json              every clip
    selection_tables/               for Raven: a table a tape with its calls and noise
    spectrograms/                   PNG, where they are wanted
    counts.json                     clips by split, and what could not be had
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from qsm_core.audio.writing import write_audio
from qsm_core.detection.annotations.audio_files import base_name
from qsm_core.detection.audio_stream import one_channel
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import RecordingSet
from qsm_core.detection.unchanged import unchanged
from qsm_core.detection.variants.clips import NOISE, TARGET, Clip, Mined, mine_clips
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.detection.variants.index import INDEX_FILE
from qsm_core.detection.variants.spectrograms import write_spectrogram
from qsm_core.detection.variants.splitting import groups_in_several_splits, split_clips
from qsm_core.errors import DataError
from qsm_core.labels import SPLITS
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

SPLIT_FILES = {"train": "train.csv", "dev": "val.csv", "test": "test.csv"}
_THEIR_SPLITS = {"train": "train", "dev": "val", "test": "test"}
_HIGHEST_HZ = 4000
_REPORTED_EVERY = 50


def run(context: StageContext) -> dict[str, Any]:
    """Write the training set of the recordings in input `recordings` (`own_tables.py`).

    Recordings of the split test stay out of it.
    """
    config = parse_config(VariantConfig, context.config)
    found = read_prepared(context.inputs["recordings"], audio=context.runtime.get("audio"))
    used = _without_test(found)
    mined = mine_clips(used, config)
    table = _table(mined, config)
    with unchanged({recording.path: recording.sha256 for recording in used.listed()}):
        _write_clips(context, mined, table["fn"], config)
    for split, file in SPLIT_FILES.items():
        names = table.loc[table["split"] == split, "fn"]
        (context.out / file).write_text("".join(f"{name}\n" for name in names))
    _write_index(context.out, table, config)
    _write_selection_tables(context.out / "selection_tables", table)
    counts = _counts(table, mined, config)
    (context.out / "counts.json").write_text(json.dumps(counts, indent=1) + "\n")
    return counts


def _write_clips(
    context: StageContext, mined: Mined, names: Iterable[str], config: VariantConfig
) -> None:
    for number, (clip, name) in enumerate(zip(mined.clips, names, strict=True), 1):
        waveform = _write_clip(context.out / name, clip)
        if config.spectrograms:
            image = context.out / "spectrograms" / Path(name).with_suffix(".png").name
            write_spectrogram(image, waveform, clip.sample_rate_hz)
        if number % _REPORTED_EVERY == 0 or number == len(mined.clips):
            context.report(number, len(mined.clips), "clips written")


def _without_test(found: RecordingSet) -> RecordingSet:
    """Leave out the recordings that are kept for the test of detectors, if any are."""
    kept = found.recordings[found.recordings["split"] != "test"]
    own = found.annotations["recording_id"].isin(kept["recording_id"])
    return replace(found, recordings=kept, annotations=found.annotations[own])


def _table(mined: Mined, config: VariantConfig) -> pd.DataFrame:
    rows = [
        {
            "uid": uid,
            "fn": clip.file_name(uid),
            "class": clip.kind,
            "label": clip.label,
            "tape_key": clip.tape,
            "recording_id": clip.recording_id,
            "group_id": clip.group_id,
            "quality": clip.quality,
            "source": clip.source,
            "start_ms": round(1000 * clip.span.begin_s),
            "end_ms": round(1000 * clip.span.end_s),
            "start_s": clip.span.begin_s,
            "end_s": clip.span.end_s,
        }
        for uid, clip in enumerate(mined.clips, 1)
    ]
    table = pd.DataFrame(rows).astype({"quality": "Int64"})
    return table.assign(split=split_clips(table.rename(columns={"tape_key": "tape"}), config))


def _write_clip(path: Path, clip: Clip) -> np.ndarray:
    """Cut a clip out of its file; samples are those of the file."""
    begin, end = clip.stretch
    try:
        info = soundfile.info(clip.path)
        samples, rate = soundfile.read(
            clip.path, start=begin, stop=end, dtype="float64", always_2d=True
        )
    except (OSError, RuntimeError) as error:
        problem = f"{clip.path}: cannot be read from sample {begin} to {end} ({error})"
        raise DataError("the clips cannot be cut", [problem]) from error
    if len(samples) != end - begin:
        problem = f"{clip.path}: ends before sample {end}; was it changed since it was checked?"
        raise DataError("the clips cannot be cut", [problem])
    waveform = one_channel(samples, clip.channel)
    subtype = info.subtype if soundfile.check_format("WAV", info.subtype) else "PCM_16"
    write_audio(path, waveform, rate, subtype=subtype)
    return waveform


def _write_index(folder: Path, table: pd.DataFrame, config: VariantConfig) -> None:
    entries = json.loads(
        table.assign(split=table["split"].map(_THEIR_SPLITS)).to_json(orient="records")
    )
    if config.spectrograms:
        for entry in entries:
            entry["spectrogram_path"] = f"spectrograms/{Path(entry['fn']).stem}.png"
    meta = {
        "split_strategy": config.strategy,
        "n_total": len(table),
        "n_target": int((table["class"] == TARGET).sum()),
        "n_noise": int((table["class"] == NOISE).sum()),
        "split_counts": {
            _THEIR_SPLITS[split]: int((table["split"] == split).sum()) for split in SPLITS
        },
    }
    text = json.dumps({"meta": meta, "entries": entries}, indent=2)
    (folder / INDEX_FILE).write_text(text + "\n")


def _write_selection_tables(folder: Path, table: pd.DataFrame) -> None:
    folder.mkdir()
    # Noise of a longer file is in its clock, and so in a table of its own.
    for (recording, tape, is_raw), rows in table.assign(raw=table["source"] == "raw").groupby(
        ["recording_id", "tape_key", "raw"]
    ):
        ordered = rows.sort_values(["start_s", "end_s"])
        frame = pd.DataFrame(
            {
                "Selection": range(1, len(ordered) + 1),
                "View": "Spectrogram 1",
                "Channel": 1,
                "Begin time (s)": ordered["start_s"],
                "End time (s)": ordered["end_s"],
                "Low Freq (Hz)": 0,
                "High Freq (Hz)": _HIGHEST_HZ,
                "Sound_type": ordered["class"],
                "Comments": [_comment(quality) for quality in ordered["quality"]],
            }
        )
        stem = base_name(str(tape if is_raw else recording)).replace("/", "-")
        suffix = "_raw_selection.txt" if is_raw else "_selection.txt"
        path = folder / f"{stem}{suffix}"
        header = not path.exists()
        frame.to_csv(path, sep="\t", index=False, mode="a", header=header, lineterminator="\n")


def _comment(quality: object) -> str:
    return "" if pd.isna(quality) else f"Q{quality}"  # type: ignore[call-overload]


def _counts(table: pd.DataFrame, mined: Mined, config: VariantConfig) -> dict[str, Any]:
    crossing: Sequence[str] = groups_in_several_splits(table)
    by_split = {
        split: {
            kind: int(((table["split"] == split) & (table["class"] == kind)).sum())
            for kind in (TARGET, NOISE)
        }
        for split in SPLITS
    }
    names = (
        "calls_below_min_quality",
        "calls_unsure",
        "calls_of_other_labels",
        "noise_wanted",
        "noise_from_raw",
        "noise_unfilled",
    )
    return {
        "variant": config.name,
        "strategy": config.strategy,
        "clips": len(table),
        "splits": by_split,
        **{name: int(mined.counts[name]) for name in names},
        "groups": int(table["group_id"].nunique()),
        "groups_in_several_splits": len(crossing),
        "first_groups_in_several_splits": list(crossing[:20]),
    }


if __name__ == "__main__":
    run_entry(run)
