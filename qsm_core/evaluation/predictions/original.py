"""Read the predictions of the first system: clip, group and class come from the file names.

Columns: audio_path, ground_truth, and the answer as `prediction`, `normalized_label`, what the
model wrote (`raw_text`, `raw_output`) or `speech_prob`; where present also condition,
p_first_token, probs_dict and normalization_level. Three generations are read:

- 22 conditions, one factor at a time (`dur_20ms`, `snr_-10dB`, `reverb_none`, `filter_bandpass`);
- durations by SNRs (`dur_20_snr_-10`), whose conditions belong to no dimension;
- those of the parquet, whose bands and rooms the first system calls `unknown`: the file names say
  which they are. Its `snr_nandB` is noise on a clip that is silent: that clip is left out, as where
  the parquet itself is read.

`p_first_token` is the probability of the answer that the model wrote: p_speech is that for SPEECH,
and one minus it for NONSPEECH. An answer that was not read (UNKNOWN, ERROR) is null, without
p_speech.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.conditions.grid import cross
from qsm_core.conditions.original_names import BaseClip, base_clip
from qsm_core.errors import DataError
from qsm_core.evaluation.predictions.answers import read_answers, read_labels
from qsm_core.evaluation.predictions.columns import (
    PLACE,
    place_elsewhere,
    place_of,
    read_condition,
    read_numbers,
    read_texts,
)
from qsm_core.evaluation.predictions.table import validate
from qsm_core.inference.parsing import parse_answer
from qsm_core.labels import Label
from qsm_core.plurals import counted

NEEDED = ("audio_path", "ground_truth")
_READ = ("prediction", "normalized_label")  # answers that the first system read itself
_WRITTEN = ("raw_text", "raw_output")  # what the model wrote
_LETTERS = "mc"  # A is SPEECH, and B to D are not, in all its prompts
_SILENT = "snr_nandb"
_NOT_SAID = frozenset({"unknown", ""})
_DIGEST = "unknown"


def is_original(columns: Collection[str]) -> bool:
    """Say whether these are the columns of the first system."""
    return set(NEEDED) <= set(columns)


def read_original(path: Path, system: str) -> pd.DataFrame:
    """Read predictions of the first system into a predictions table.

    Args:
        path: The file, also gzipped.
        system: Name to give the system.

    Raises:
        DataError: The file cannot be read, lacks a column, or holds names, labels or conditions of
            no known form; every problem is listed.
    """
    return from_original(read_texts(path, []), system, str(path))


def from_original(
    raw: pd.DataFrame, system: str, source: str, remarks: list[str] | None = None
) -> pd.DataFrame:
    """Turn the columns of the first system into a predictions table.

    Args:
        raw: Texts, null where a cell is empty.
        system: Name to give the system.
        source: What to call the table in an error.
        remarks: Takes what a reader of the numbers should know.

    Raises:
        DataError: As `read_original`.
    """
    remarks = [] if remarks is None else remarks
    problems = _column_problems(raw)
    if problems:
        raise DataError(f"{source} is no table of predictions of the first system", problems)
    bases = _base_clips(raw["audio_path"], problems)
    if problems:
        raise DataError(f"{source} cannot be imported", problems)
    raw, bases = _without_silence(raw, bases, remarks)
    label = _labels(raw, bases, problems, remarks)
    conditions = _conditions(raw, bases, problems)
    prediction, level = _answers(raw, problems, remarks)
    p_speech = _p_speech(raw, prediction, problems)
    if problems:
        raise DataError(f"{source} cannot be imported", problems)
    frame = pd.DataFrame(
        {
            "system": system,
            "instruction_digest": _DIGEST,
            "clip_id": [base.clip_id for base in bases],
            "group_id": [base.group_id for base in bases],
            "label": label,
            **conditions,
            "p_speech": p_speech,
            "margin": np.nan,
            "prediction": prediction,
            "raw_text": _text(raw, *_WRITTEN),
            "parse_level": level,
        }
    )
    return validate(frame, source)


def _column_problems(raw: pd.DataFrame) -> list[str]:
    there = ", ".join(map(str, raw))
    missing = [name for name in NEEDED if name not in raw]
    if missing:
        return [f"missing columns: {', '.join(missing)}; there are {there}"]
    answers = (*_READ, *_WRITTEN, "speech_prob")
    if not set(answers) & set(raw):
        return [f"no column says the answer: give one of {', '.join(answers)}; there are {there}"]
    prompts = raw["prompt_id"].dropna().unique() if "prompt_id" in raw else ()
    if len(prompts) > 1:
        named = ", ".join(map(str, prompts[:3]))
        return [
            f"column prompt_id: holds the answers to {len(prompts)} prompts ({named}, ...); keep "
            "the rows of one of them: a system is asked one prompt"
        ]
    return []


def _base_clips(paths: pd.Series, problems: list[str]) -> list[BaseClip]:
    """Read the file names; those of unknown form are reported together."""
    bases: list[BaseClip] = []
    wrong: list[str] = []
    for path in paths.astype("object").where(paths.notna(), ""):
        try:
            bases.append(base_clip(path))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        problems.append(
            f"column audio_path: {counted(len(wrong), 'name')} of no known form, such as "
            f"{wrong[0]}; or bring the file into the columns clip_id, group_id, condition, label, "
            "p_speech or prediction"
        )
    return bases


def _without_silence(
    raw: pd.DataFrame, bases: list[BaseClip], remarks: list[str]
) -> tuple[pd.DataFrame, list[BaseClip]]:
    """Leave out clips that the first system could not give an SNR: they are silent."""
    if "condition" not in raw:
        return raw, bases
    no_snr = raw["condition"].astype(str).str.casefold() == _SILENT
    silent = {base.clip_id for base, found in zip(bases, no_snr, strict=True) if found}
    if not silent:
        return raw, bases
    kept = [base.clip_id not in silent for base in bases]
    rows, clips = counted(kept.count(False), "row"), counted(len(silent), "silent clip")
    names = ", ".join(sorted(silent))
    remarks.append(f"left out: {rows} of {clips} ({names}), of which no SNR is known")
    bases = [base for base, keep in zip(bases, kept, strict=True) if keep]
    return raw[kept].reset_index(drop=True), bases


def _labels(
    raw: pd.DataFrame, bases: list[BaseClip], problems: list[str], remarks: list[str]
) -> pd.Series:
    """Read the ground truth, which has to agree with the file names."""
    label = read_labels(raw["ground_truth"], "ground_truth", problems, remarks)
    from_name = pd.Series([base.label.value for base in bases], index=raw.index, dtype="object")
    wrong = label.notna() & (label != from_name)
    if wrong.any():
        name = raw.loc[wrong, "audio_path"].iloc[0]
        problems.append(
            f"column ground_truth: {counted(int(wrong.sum()), 'row')} against the file name, such "
            f"as {name!r}, which says {from_name[wrong].iloc[0]}"
        )
    return label


def _conditions(
    raw: pd.DataFrame, bases: list[BaseClip], problems: list[str]
) -> dict[str, pd.Series]:
    """Return condition, dimension and levels of each row: from the column, else from the name."""
    keys = raw["condition"] if "condition" in raw else pd.Series(None, index=raw.index)
    places: list[dict[str, object]] = []
    read: dict[str, dict[str, object] | None] = {}
    contradicted, unknown = [], []
    for key, base, path in zip(keys, bases, raw["audio_path"], strict=True):
        named = _place_of_name(base)
        text = "" if pd.isna(key) else str(key)
        if text.casefold() in _NOT_SAID:
            places.append(named)
            continue
        if text not in read:
            read[text] = _place_of_key(text)
        given = read[text]
        if given is None:
            unknown.append(text)
        elif base.conditions and given != named:
            contradicted.append(f"{text!r} of {path!r}")
        places.append(given or named)
    problems += [
        f"column condition: {key!r}: is no condition that the first system writes (dur_20ms, "
        "snr_-10dB, reverb_0.3s, filter_bandpass, dur_20_snr_-10, unknown)"
        for key in dict.fromkeys(unknown)
    ]
    if contradicted:
        problems.append(
            f"column condition: {counted(len(contradicted), 'row')} against the file name, such as "
            f"{contradicted[0]}"
        )
    return {name: pd.Series([place[name] for place in places], index=raw.index) for name in PLACE}


def _place_of_key(key: str) -> dict[str, object] | None:
    condition = read_condition(key)
    return None if condition is None else place_of(condition)


def _place_of_name(base: BaseClip) -> dict[str, object]:
    return place_of(cross(base.conditions)) if base.conditions else place_elsewhere()


def _answers(
    raw: pd.DataFrame, problems: list[str], remarks: list[str]
) -> tuple[pd.Series, pd.Series]:
    """Return the answers and what decided them; what could not be read is null."""
    level = _text(raw, "normalization_level")
    for name in _READ:
        if name in raw:
            return read_answers(raw[name], name, problems, remarks), level
    written = _written(raw)
    if written is not None:
        remarks.append("the answers were read out of what the model wrote")
        levels = written.map(lambda one: None if one is None else one.level.value)
        return _labels_of(written), levels
    remarks.append("the answers were read out of the column speech_prob: SPEECH at 0.5 or more")
    p_speech = read_numbers(raw, "speech_prob", problems)
    named = np.where(p_speech >= 0.5, Label.SPEECH.value, Label.NONSPEECH.value)
    return pd.Series(named, index=raw.index).where(p_speech.notna(), None), level


def _p_speech(raw: pd.DataFrame, prediction: pd.Series, problems: list[str]) -> pd.Series:
    """Return the probability of SPEECH, from that of the answer that the model wrote."""
    if "p_first_token" in raw:
        first = read_numbers(raw, "p_first_token", problems)
    elif "probs_dict" in raw:
        first = _first_token_of(raw["probs_dict"], problems)
    else:
        return read_numbers(raw, "speech_prob", problems)
    written = _written(raw)
    # A `prediction` beside a text may be the probability against a threshold, not the text.
    answer = prediction if written is None else _labels_of(written).fillna(prediction)
    p_speech = first.where(answer == Label.SPEECH.value, 1 - first)
    return p_speech.where(answer.notna() & prediction.notna())


def _written(raw: pd.DataFrame) -> pd.Series | None:
    """Return what the model wrote, read; None where no column has it."""
    name = next((name for name in _WRITTEN if name in raw), None)
    if name is None:
        return None
    parsed = {text: parse_answer(text, _LETTERS) for text in raw[name].dropna().unique()}
    return raw[name].map(lambda text: None if pd.isna(text) else parsed[text]).astype("object")


def _labels_of(written: pd.Series) -> pd.Series:
    labels = [None if one is None or one.label is None else one.label.value for one in written]
    return pd.Series(labels, index=written.index, dtype="object")


def _first_token_of(texts: pd.Series, problems: list[str]) -> pd.Series:
    """Read `p_first_token` out of dictionaries as Python prints them."""
    read: dict[str, float] = {}
    for text in texts.dropna().unique():
        try:
            read[text] = float(ast.literal_eval(text).get("p_first_token", np.nan))
        except (ValueError, TypeError, SyntaxError, AttributeError):
            problems.append(f"column probs_dict: {text!r}: needed is {{'p_first_token': 0.9}}")
            break
    return texts.map(read).astype("float64")


def _text(raw: pd.DataFrame, *names: str) -> pd.Series:
    for name in names:
        if name in raw:
            return raw[name]
    return pd.Series(None, index=raw.index, dtype="str")
