"""Read the predictions.csv of the first system: base clip, group and class from the file names.

Columns: audio_path, ground_truth, prediction, condition, and where present variant_type,
p_first_token, raw_text (or raw_output), normalization_level, duration_ms, snr_db. Two generations
are read:

- 22 conditions, one factor at a time (`dur_20ms`, `snr_-10dB`, `reverb_none`, `filter_bandpass`);
- the older grid of durations by SNRs (`dur_20_snr_-10`), whose conditions belong to no dimension.

File names: `voxconverse_<recording>_<number>_1000ms_<variant>.wav`, where the recording is the
group, and `esc50_<fold>-<recording>-<take>-<class>_<number>_1000ms_<variant>.wav`, where several
takes of a recording are one group. Other names need the documented form of `evaluation.foreign`.

`p_first_token` is the probability of the answer that was given: p_speech is that for SPEECH, and
one minus it for NONSPEECH. An answer that was not read (UNKNOWN, ERROR) is null, without p_speech.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.conditions.grid import Condition, parse_condition
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.predictions.table import validate
from qsm_core.labels import Label, parse_label

NEEDED = ("audio_path", "ground_truth", "prediction", "condition")
_UNREAD = ("UNKNOWN", "ERROR")
_NAME = r"^(?P<clip>.+?_1000ms)(?:_(?:dur|snr|reverb|filter)[^_]*)*\.wav$"
_SPEAKER = r"^(voxconverse_[^_]+)_"
_RECORDING = r"^(esc50_\d-\d+)-"
_CROSSED = r"^dur_(?P<duration>\d+)_snr_(?P<snr>[+-]?\d+)$"
_DIGEST = "unknown"


def read_original(path: Path, system: str) -> pd.DataFrame:
    """Read a predictions.csv of the first system into a predictions table.

    Args:
        path: The file, also gzipped.
        system: Name to give the system.

    Raises:
        DataError: The file cannot be read, lacks a column, or holds names, labels or conditions of
            no known form; every problem is listed.
    """
    try:
        raw = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError("cannot read the predictions", [f"{path}: {error}"]) from error
    return from_original(raw, system, str(path))


def from_original(raw: pd.DataFrame, system: str, source: str) -> pd.DataFrame:
    """Turn the columns of the first system into a predictions table.

    Raises:
        DataError: As `read_original`.
    """
    missing = [name for name in NEEDED if name not in raw.columns]
    if missing:
        problem = f"missing columns: {', '.join(missing)}; there are {', '.join(map(str, raw))}"
        raise DataError(f"{source} is no predictions.csv of the first system", [problem])
    problems: list[str] = []
    clips = _clips(raw["audio_path"], problems)
    label = _labels(raw, clips["label"], problems)
    conditions = _conditions(raw["condition"], problems)
    prediction = _predictions(raw["prediction"], problems)
    if problems:
        raise DataError(f"{source} cannot be imported", problems)
    frame = pd.DataFrame(
        {
            "system": system,
            "instruction_digest": _DIGEST,
            "clip_id": clips["clip_id"],
            "group_id": clips["group_id"],
            "label": label,
            **conditions,
            "p_speech": _p_speech(raw, prediction),
            "margin": np.nan,
            "prediction": prediction,
            "raw_text": _text(raw, "raw_text", "raw_output"),
            "parse_level": _text(raw, "normalization_level"),
        }
    )
    return validate(frame, source)


def _clips(paths: pd.Series, problems: list[str]) -> pd.DataFrame:
    """Take the base clip, its group and its class from the file names."""
    stem = paths.astype(str).str.replace("\\", "/", regex=False)
    stem = stem.str.replace(r"^.*/", "", regex=True)
    speaker = stem.str.extract(_SPEAKER, expand=False)
    recording = stem.str.extract(_RECORDING, expand=False)
    clip = stem.str.extract(_NAME, expand=True)["clip"]
    unknown = clip.isna() | (speaker.isna() & recording.isna())
    if unknown.any():
        first = stem[unknown].iloc[0]
        problems.append(
            f"column audio_path: {int(unknown.sum())} names such as {first!r} are of no known form "
            "(voxconverse_<recording>_..._1000ms_..., esc50_<fold>-<recording>-...); bring the "
            "file into the columns clip_id, group_id, condition, label, p_speech or prediction"
        )
    label = np.where(speaker.notna(), Label.SPEECH.value, Label.NONSPEECH.value)
    return pd.DataFrame(
        {"clip_id": clip, "group_id": speaker.where(speaker.notna(), recording), "label": label}
    )


def _labels(raw: pd.DataFrame, from_name: pd.Series, problems: list[str]) -> pd.Series:
    """Read the ground truth, which must agree with the file names."""
    spellings = {}
    for text in raw["ground_truth"].astype(str).unique():
        try:
            spellings[text] = parse_label(text).value
        except DataError as error:
            problems += [f"column ground_truth: {problem}" for problem in error.problems]
    label = raw["ground_truth"].astype(str).map(spellings)
    wrong = label.notna() & (label != from_name)
    if wrong.any():
        name = raw.loc[wrong, "audio_path"].iloc[0]
        problems.append(
            f"column ground_truth: {int(wrong.sum())} rows contradict their file name, such as "
            f"{name!r}, which says {from_name[wrong].iloc[0]}"
        )
    return label


def _conditions(keys: pd.Series, problems: list[str]) -> dict[str, pd.Series]:
    """Return condition, dimension and levels of each row."""
    known: dict[str, dict[str, object]] = {}
    for key in keys.astype(str).unique():
        crossed = pd.Series([key]).str.extract(_CROSSED).iloc[0]
        if crossed.notna().all():
            known[key] = {
                "condition": key,
                "dimension": None,
                "duration_ms": float(crossed["duration"]),
                "snr_db": float(crossed["snr"]),
                "t60_s": None,
                "band": None,
            }
            continue
        try:
            condition: Condition = parse_condition(key)
        except ConfigurationError as error:
            problems += [f"column condition: {problem}" for problem in error.problems]
            continue
        place: dict[str, object] = {
            "condition": condition.key,
            "dimension": condition.dimension.value,
        }
        known[key] = place | condition.columns()
    names = ("condition", "dimension", "duration_ms", "snr_db", "t60_s", "band")
    return {
        name: keys.astype(str).map({key: values[name] for key, values in known.items()})
        for name in names
    }


def _predictions(answers: pd.Series, problems: list[str]) -> pd.Series:
    """Read the answers; those that were not read are null."""
    read: dict[str, str | None] = dict.fromkeys(_UNREAD)
    for text in answers.dropna().astype(str).unique():
        if text in read:
            continue
        try:
            read[text] = parse_label(text).value
        except DataError as error:
            problems += [f"column prediction: {problem}" for problem in error.problems]
    return answers.astype("object").map(lambda text: None if pd.isna(text) else read.get(str(text)))


def _p_speech(raw: pd.DataFrame, prediction: pd.Series) -> pd.Series:
    if "p_first_token" not in raw:
        return pd.Series(np.nan, index=raw.index)
    answered = pd.to_numeric(raw["p_first_token"], errors="coerce")
    p = answered.where(prediction == Label.SPEECH.value, 1 - answered)
    return p.where(prediction.notna())


def _text(raw: pd.DataFrame, *names: str) -> pd.Series:
    for name in names:
        if name in raw:
            return raw[name]
    return pd.Series(None, index=raw.index, dtype="str")
