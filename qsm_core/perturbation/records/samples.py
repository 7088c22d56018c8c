"""A few records of each method for notebooks and documentation, drawn evenly over the levels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qsm_core.errors import DataError
from qsm_core.seeding import derive_seed

MOST, LEAST = 200, 100
Record = Mapping[str, Any]


def draw_samples(records: Iterable[Record], *, most: int = MOST, seed: int = 42) -> list[Record]:
    """Return at most `most` records, as many of each group and level as there can be.

    Args:
        records: Of one method.
        most: How many.
        seed: Decides which; the order of the records does not.
    """
    by_place: dict[tuple[str, float], list[Record]] = {}
    for record in records:
        place = (str(record["param_group_name"]), float(record["std_dev"]))
        by_place.setdefault(place, []).append(record)
    shuffled = []
    for place, found in sorted(by_place.items()):
        ordered = sorted(found, key=lambda one: json.dumps(one, sort_keys=True))
        random = np.random.default_rng(derive_seed(seed, *map(str, place)))
        shuffled.append([ordered[number] for number in random.permutation(len(ordered))])
    chosen: list[Record] = []
    for turn in range(max((len(one) for one in shuffled), default=0)):
        for one in shuffled:
            if turn < len(one) and len(chosen) < most:
                chosen.append(one[turn])
    return sorted(chosen, key=_order)


def write_samples(folders: Sequence[Path], out: Path) -> dict[str, int]:
    """Write `samples_{method}.jsonl` for each method in the results of runs.

    Args:
        folders: Results of runs: each holds records.jsonl.
        out: Where the samples go.

    Returns:
        Records by method.

    Raises:
        DataError: A folder holds no records.
    """
    by_method: dict[str, list[Record]] = {}
    for folder in folders:
        path = folder / "records.jsonl"
        if not path.is_file():
            raise DataError("no samples can be drawn", [f"{path}: there is no such file"])
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                by_method.setdefault(record["degradation_method"], []).append(record)
    out.mkdir(parents=True, exist_ok=True)
    counts = {}
    for method, records in sorted(by_method.items()):
        chosen = draw_samples(records)
        lines = [json.dumps(one, ensure_ascii=True) + "\n" for one in chosen]
        (out / f"samples_{method}.jsonl").write_text("".join(lines), encoding="utf-8")
        counts[method] = len(chosen)
    return counts


def _order(record: Record) -> tuple[str, float, int, int]:
    return (
        str(record["param_group_name"]),
        float(record["std_dev"]),
        int(record["repeat_index"]),
        int(record["prompt_id"]),
    )
