"""Result files of the original evaluation: `baseline_<timestamp>.json`, read and written.

One JSON object: config, total_samples, valid_samples, failed_samples, metrics (mean, std, min, max
of the scores of the valid), results (one object a case). Files without `config` have its fields at
the top level; both are read. `status` is success (or ok) and format_error.

A status is not believed: the published files call answers valid whose YAML does not parse. Each raw
response is read again with the task, and with its case the rubrics score it anew; what the file
says of score and status is kept under `scores["stored"]` and in the notes.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import mean, pstdev
from typing import Any, NoReturn

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.answers.record import Answer
from qsm_core.acceptance.results.attempts import Judged
from qsm_core.acceptance.results.outcomes import Arm, Outcome
from qsm_core.errors import DataError
from qsm_core.plurals import counted

TITLE = "the results cannot be used"
STORED = "stored"
_SUCCESS, _FAILURE = "success", "format_error"
_STATUSES = (_SUCCESS, "ok", _FAILURE)
_AT_TOP = ("model", "adapter_path", "timestamp", "dataset")
_TIMESTAMP = re.compile(r"\d{8}_\d{6}")
_TAG = re.compile(r"(.+)_\d{8}_\d{6}")
# What every score was from the day on which the original's fields had other names than its rubric.
_ALL_FIELDS_MISSING = 0.015625
_MOST_SHOWN = 20

# Judges the raw response of a case by its name: `judging.by_task` makes one.
Judge = Callable[[str, str], Judged]


def read_results(path: Path, *, judge: Judge, rubric: str = STORED, name: str | None = None) -> Arm:
    """Read a result file as one arm.

    Args:
        path: The file.
        judge: Judges a raw response by the name of its case.
        rubric: Whose score decides; `stored`: the one in the file.
        name: Of the arm; null: the file's name without its timestamp.

    Raises:
        DataError: It is no such file; every problem is listed. The comparison of free texts
            (test_case, prompt, response) is refused by name.
    """
    document = _document(path)
    records = _records(path, document)
    problems = [one for place, record in enumerate(records) for one in _faults(path, place, record)]
    names = [str(record.get("concept_id")) for record in records if isinstance(record, dict)]
    problems += [f"{path}: {n!r} appears twice" for n in sorted({*names}) if names.count(n) > 1]
    if problems:
        left = len(problems) - _MOST_SHOWN
        more = [f"and {left} more"] if left > 0 else []
        raise DataError(TITLE, [*problems[:_MOST_SHOWN], *more])
    outcomes = tuple(_outcome(record, judge, rubric) for record in records)
    config = _config(document)
    tag = _TAG.fullmatch(path.stem)
    return Arm(
        name=name or (tag[1] if tag else path.stem),
        outcomes=outcomes,
        model=config.get("model"),
        adapter=config.get("adapter_path"),
        timestamp=_timestamp(config, path),
        rubric=rubric,
        config=config,
        origin=str(path),
        notes=tuple(_notes(path, document, records, outcomes, rubric)),
    )


def write_results(path: Path, arm: Arm, texts: Mapping[str, Mapping[str, str]]) -> None:
    """Write an arm as a result file, in one piece.

    Args:
        path: The file, such as `baseline_20251114_215442.json`.
        arm: Its `config`, with model, adapter_path and timestamp, is written as it is.
        texts: By case, the blocks of its answer under their names there, such as vision_yaml.

    An answer that is not valid has the status format_error and the score null, as in the original.
    """
    outcomes = arm.outcomes
    scores = [one.score for one in outcomes if one.reason is None and one.score is not None]
    valid = sum(one.reason is None for one in outcomes)
    config = {
        **arm.config,
        "model": arm.model,
        "adapter_path": arm.adapter,
        "timestamp": arm.timestamp,
        "rubric": arm.rubric,
    }
    document = {
        "config": config,
        "total_samples": len(outcomes),
        "valid_samples": valid,
        "failed_samples": len(outcomes) - valid,
        "metrics": _metrics(scores),
        "results": [_result(one, texts.get(one.case_id, {})) for one in outcomes],
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    # Escaped, so that lone surrogates in what a model wrote can be written.
    temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def result_file_name(tag: str, timestamp: str) -> str:
    """Return the name of a result file.

    Raises:
        ValueError: The timestamp is not YYYYMMDD_HHMMSS.
    """
    if not _TIMESTAMP.fullmatch(timestamp):
        raise ValueError(f"timestamp {timestamp!r}: must look like 20251114_215442")
    return f"{tag}_{timestamp}.json"


def latest_results(folder: Path, tag: str) -> Path:
    """Return the newest result file of exactly this tag, by its timestamp.

    `baseline_v2_...` is another tag, not a later baseline.

    Raises:
        DataError: The folder has none.
    """
    found = [
        path
        for path in folder.glob("*.json")
        if path.stem[: -len("_20251114_215442")] == tag and _TAG.fullmatch(path.stem)
    ]
    if not found:
        there = ", ".join(sorted(path.name for path in folder.glob("*.json"))) or "none"
        problem = f"{folder}: has no {tag}_<YYYYMMDD_HHMMSS>.json; its JSON files: {there}"
        raise DataError(TITLE, [problem])
    return max(found, key=lambda path: path.stem[-len("20251114_215442") :])


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(TITLE, [f"{path}: cannot be read as JSON ({error})"]) from error
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        keys = ", ".join(document) if isinstance(document, dict) else type(document).__name__
        problem = f"{path}: is no result file; it needs a list named results and has: {keys}"
        raise DataError(TITLE, [problem])
    return document


def _records(path: Path, document: dict[str, Any]) -> list[Any]:
    records: list[Any] = document["results"]
    first = records[0] if records and isinstance(records[0], dict) else {}
    if "test_case" in first and "response" in first:
        problem = (
            f"{path}: is a comparison of free texts (its results have test_case, prompt and "
            "response), which has neither blocks nor scores; give a file of the evaluation, whose "
            "results have concept_id and raw_response"
        )
        raise DataError(TITLE, [problem])
    if not records:
        raise DataError(TITLE, [f"{path}: results is empty"])
    return records


def _faults(path: Path, place: int, record: Any) -> Iterable[str]:
    where = f"{path}: results.{place}"
    if not isinstance(record, dict):
        yield f"{where} = {str(record)[:60]!r}: must be an object"
        return
    if not isinstance(record.get("concept_id"), str) or not record["concept_id"]:
        yield f"{where}.concept_id = {record.get('concept_id')!r}: must be the name of a case"
    if not isinstance(record.get("raw_response"), str):
        yield f"{where}.raw_response: must be the text of the answer"
    if record.get("status") not in _STATUSES:
        allowed = ", ".join(_STATUSES)
        yield f"{where}.status = {record.get('status')!r}: must be one of {allowed}"
    score = record.get("score")
    if score is not None and not (_is_number(score) and 0 <= score <= 1):
        yield f"{where}.score = {score!r}: must be a number from 0 to 1, or null"
    attempts = record.get("attempts", 1)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 1:
        yield f"{where}.attempts = {attempts!r}: must be 1 or more"


def _outcome(record: dict[str, Any], judge: Judge, rubric: str) -> Outcome:
    judged = judge(record["concept_id"], record["raw_response"])
    stored, attempts = record.get("score"), record.get("attempts", 1)
    scores = dict(judged.scores) | ({} if stored is None else {STORED: float(stored)})
    tier = record.get("tier")
    return Outcome(
        case_id=record["concept_id"],
        level=judged.level,
        score=scores.get(rubric),
        # A file has the last attempt only; one that was tried again was not valid before.
        first_level=judged.level if attempts == 1 else Level.NOTHING,
        attempts=attempts,
        reason=judged.reason,
        error=judged.error,
        error_line=judged.error_line,
        slices={} if tier is None else {"tier": str(tier)},
        scores=scores,
        content=judged.content,
        raw_text=record["raw_response"],
    )


def _config(document: dict[str, Any]) -> dict[str, Any]:
    given = document.get("config")
    at_top = {name: document[name] for name in _AT_TOP if name in document}
    return at_top | (given if isinstance(given, dict) else {})


def _timestamp(config: Mapping[str, Any], path: Path) -> str | None:
    for text in (str(config.get("timestamp", "")), path.stem):
        found = _TIMESTAMP.search(text)
        if found:
            return found[0]
    return None


def _notes(
    path: Path,
    document: dict[str, Any],
    records: list[Any],
    outcomes: tuple[Outcome, ...],
    rubric: str,
) -> Iterable[str]:
    total = document.get("total_samples", len(records))
    if total != len(records):
        yield f"{path}: total_samples is {total}, but results has {len(records)}"
    called = sum(record["status"] != _FAILURE for record in records)
    parse = sum(outcome.level >= Level.PARSES for outcome in outcomes)
    if called > parse:
        yield (
            f"{path}: calls {called} answers valid, of which {called - parse} do not parse; an "
            "answer counts by what it is"
        )
    stored = [outcome.scores[STORED] for outcome in outcomes if STORED in outcome.scores]
    if len(stored) > 1 and set(stored) == {_ALL_FIELDS_MISSING}:
        yield (
            f"{path}: every score is {_ALL_FIELDS_MISSING}, which the original's rubric gives when "
            "it is handed no field at all; these scores say nothing"
        )
    # Against the rubric that the files were scored with, wherever a task has it.
    changed = [
        outcome.case_id
        for outcome in outcomes
        if "original" in outcome.scores
        and STORED in outcome.scores
        and outcome.scores["original"] != outcome.scores[STORED]
    ]
    if changed:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        yield f"{path}: {counted(len(changed), 'stored score')} not that of the rubric: {shown}"
    missing = sum(outcome.score is None for outcome in outcomes)
    if missing:
        yield f"{path}: {counted(missing, 'answer')} without a score of rubric {rubric} count as 0"


def _metrics(scores: list[float]) -> dict[str, float]:
    if not scores:
        return {}
    return {
        "mean": mean(scores),
        "std": pstdev(scores),
        "min": min(scores),
        "max": max(scores),
    }


def _result(outcome: Outcome, texts: Mapping[str, str]) -> dict[str, Any]:
    valid = outcome.reason is None
    return {
        "concept_id": outcome.case_id,
        "tier": outcome.slices.get("tier"),
        "status": _SUCCESS if valid else _FAILURE,
        "attempts": outcome.attempts,
        "score": outcome.score if valid else None,
        **(texts if valid else dict.fromkeys(texts, "")),
        "raw_response": outcome.raw_text,
        "error": outcome.reason,
    }


def block_texts(answer: Answer, kinds: Mapping[str, str]) -> dict[str, str]:
    """Return the blocks of an answer under their names in a result file, such as vision_yaml.

    Args:
        answer: That was read.
        kinds: By part, its kind.
    """
    return {f"{name}_{kinds[name]}": part.text or "" for name, part in answer.parts.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
