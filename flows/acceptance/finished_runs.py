"""Finished runs that are compared without a model: their names in tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qsm_core.acceptance.verdict.config import Run

_TIMED = re.compile(r"(.+)_\d{8}_\d{6}")


def finished_runs(paths: Sequence[Path], taken: Sequence[str] = ()) -> tuple[Run, ...]:
    """Return the runs in the order of their paths, with names that differ.

    A result file is called by its tag (`student` of student_20251114_220448.json), a folder of
    answers by its run. Where two have one name, their whole names are taken, then numbers.

    Args:
        paths: Of result files and folders of answers.
        taken: Names that other runs have.
    """
    names = [_short(path) for path in paths]
    names = [
        _whole(path) if names.count(name) > 1 or name in taken else name
        for path, name in zip(paths, names, strict=True)
    ]
    seen: Counter[str] = Counter(taken)
    different = []
    for name in names:
        seen[name] += 1
        different.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(Run(name) for name in different)


def _short(path: Path) -> str:
    found = _TIMED.fullmatch(path.stem)
    return _clean(path.name if path.is_dir() else found[1] if found else path.stem)


def _whole(path: Path) -> str:
    return _clean(f"{path.parent.name}_{path.name}" if path.is_dir() else path.stem)


def _clean(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "run"
