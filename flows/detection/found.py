"""What other programs found in the recordings, as entrants of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from flows.detection.entries import entries_of, entry_problems
from flows.detection.parameters import DetectionParameters, DetectorName


@dataclass(frozen=True)
class Found:
    """The detections of another program.

    Args:
        name: Of the program.
        source: Its table, or the folder of its tables.
        label: What it calls the events, where that is another label.
    """

    name: str
    source: Path
    label: str | None


def found_of(p: DetectionParameters) -> list[Found]:
    """Return the detections of other programs that take part."""
    labels = entries_of(p.found_labels)
    return [
        Found(name, Path(place).expanduser().resolve(), labels.get(name))
        for name, place in entries_of(p.found).items()
    ]


def found_problems(p: DetectionParameters, others: Sequence[str]) -> list[str]:
    """List what is wrong with them; `others` are the names of the detectors beside them."""
    problems = entry_problems("found", p.found, "FOLDER_OR_FILE")
    problems += entry_problems("found_labels", p.found_labels, "LABEL")
    found = found_of(p)
    problems += [
        f"found = {one.name}={one.source}: there is no such file or folder"
        for one in found
        if not one.source.exists()
    ]
    problems += [
        f"found = {one.name}=...: a detector of the benchmark has this name; choose another one"
        for one in found
        if one.name in (*others, *get_args(DetectorName))
    ]
    strange = sorted(set(entries_of(p.found_labels)) - {one.name for one in found})
    return problems + [
        f"found_labels = {name}=...: found names no such program; it names "
        f"{', '.join(one.name for one in found) or 'none'}"
        for name in strange
    ]
