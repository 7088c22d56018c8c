"""A verdict as tables: one row a gate, level, slice, case, run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.acceptance.results.outcomes import Arm
from qsm_core.acceptance.verdict.history import RunRow
from qsm_core.acceptance.verdict.verdict import Verdict

_ENDS = {"low", "high", "confidence", "method"}


def verdict_tables(
    verdict: Verdict, runs: Sequence[RunRow], arms: Sequence[Arm]
) -> dict[str, pd.DataFrame]:
    """Return the tables by name; an interval is two columns, `..._low` and `..._high`."""
    values = verdict.to_json()
    tables = {
        name: _table(values[name])
        for name in ("gates", "levels", "readings", "slices", "arms", "cases")
    }
    reasons = [
        {"arm": arm.name, "reason": reason, "cases": count}
        for arm in verdict.arms
        for reason, count in arm.reasons.items()
    ]
    content = [
        {"arm": arm.name, "measure": name, "mean": mean}
        for arm in verdict.arms
        for name, mean in arm.content.items()
    ]
    return {
        **tables,
        "reasons": pd.DataFrame(reasons, columns=["arm", "reason", "cases"]),
        "content": pd.DataFrame(content, columns=["arm", "measure", "mean"]),
        "runs": _table(run.to_json() for run in runs),
        "answers": pd.DataFrame(_answers(arms)),
    }


def write_verdict_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write each table as parquet and as CSV; the raw answers as parquet alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
        if name != "answers":
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def _table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([dict(_flat(row)) for row in rows])


def _flat(row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and set(value) >= _ENDS:
            # As numbers: a column of nothing but missing ends would be of no type.
            of = name.removesuffix("_interval")
            yield f"{of}_low", _number(value["low"])
            yield f"{of}_high", _number(value["high"])
        elif isinstance(value, Mapping):
            if name == "slices":
                yield from ((f"slice_{key}", text) for key, text in value.items())
        else:
            yield name, value


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _answers(arms: Sequence[Arm]) -> Iterable[dict[str, Any]]:
    for arm in arms:
        for outcome in arm.outcomes:
            yield {
                "arm": arm.name,
                "case_id": outcome.case_id,
                "level": outcome.level.label,
                "first_level": outcome.first_level.label,
                "score": outcome.score,
                "attempts": outcome.attempts,
                "reason": outcome.reason,
                "error": _text(outcome.error),
                "error_line": outcome.error_line,
                "seconds": outcome.seconds,
                "completion_tokens": outcome.completion_tokens,
                "raw_text": _text(outcome.raw_text),
                **{f"rubric_{name}": value for name, value in outcome.scores.items()},
            }


def _text(value: str | None) -> str | None:
    # Parquet holds UTF-8, which has no lone surrogates; a model's text may have them.
    return None if value is None else value.encode("utf-8", "replace").decode()
