"""The scores of found events against true ones, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.detection.annotations.event_tables import EventTables, read_event_tables
from qsm_core.detection.annotations.forms import TableForm
from qsm_core.detection.metrics.counting import Comparison, compare
from qsm_core.detection.metrics.fewshot import few_shot_score
from qsm_core.detection.metrics.matching import Collar, Criterion, Overlap
from qsm_core.detection.metrics.ranking import rank
from qsm_core.detection.metrics.rates import by_recording, recall_by_quality, summary
from qsm_core.detection.recordings import as_annotations, as_detections
from qsm_core.errors import ConfigurationError


@dataclass(frozen=True)
class ScoreSettings:
    """How events are compared.

    Args:
        iou: Intersections over union that a match must exceed, one row each.
        collars_s: Collars of begins and ends in seconds, one row each.
        greedy: Also match in time order at an IoU of 0.40, as ANIMAL-SPOT-alpaca does.
        by_label: Whether labels must be equal.
    """

    iou: tuple[float, ...] = (0.3, 0.5)
    collars_s: tuple[float, ...] = ()
    greedy: bool = False
    by_label: bool = True

    def criteria(self) -> dict[str, tuple[Criterion, bool]]:
        """Return the criteria by the names that users see, and whether each matches greedily."""
        found: dict[str, tuple[Criterion, bool]] = {
            f"IoU > {value:g}": (Overlap(value), False) for value in self.iou
        }
        found |= {f"collar {value:g} s": (Collar(value, value), False) for value in self.collars_s}
        if self.greedy:
            found["IoU >= 0.4, greedy"] = (Overlap(0.4, strict=False), True)
        return found


@dataclass(frozen=True, eq=False)
class EventScores:
    """The scores as tables, the first one over everything.

    Attributes:
        overall: One row a criterion.
        labels: One row a criterion and label; empty where labels do not matter.
        recordings: One row a criterion and recording.
        qualities: One row a criterion and quality; empty where there are none.
        notes: What the user should know.
    """

    overall: pd.DataFrame
    labels: pd.DataFrame
    recordings: pd.DataFrame
    qualities: pd.DataFrame
    notes: tuple[str, ...]


def score_tables(truth: EventTables, found: EventTables, settings: ScoreSettings) -> EventScores:
    """Compare found events with true ones.

    Raises:
        ConfigurationError: Labels must be equal and no label is in both tables, or no recording is.
    """
    by_label = _labels_matter(truth, found, settings)
    notes = [*truth.notes, *found.notes, *_unmatched_names(truth, found)]
    names = sorted({*truth.recordings, *found.recordings})
    marked, detected = as_annotations(truth.events), as_detections(found.events)
    scored = len(detected) > 0 and bool(detected["score"].notna().all())
    overall, labels, recordings, qualities = [], [], [], []
    for name, (criterion, greedy) in settings.criteria().items():
        compared = compare(
            marked, detected, criterion, recordings=names, by_label=by_label, greedy=greedy
        )
        row: dict[str, object] = {"criterion": name, **summary(compared)}
        if scored and not greedy:
            ranking = rank(marked, detected, criterion, by_label=by_label)
            row["average_precision"] = ranking.average_precision
        overall.append(row)
        labels.append(_by_label(compared).assign(criterion=name))
        each = by_recording(compared.counts, {}).drop(columns="detections_per_hour")
        recordings.append(each.assign(criterion=name))
        qualities.append(recall_by_quality(marked, compared).assign(criterion=name))
    return EventScores(
        overall=pd.DataFrame(overall),
        labels=_first_column(pd.concat(labels)) if by_label else pd.DataFrame(),
        recordings=_first_column(pd.concat(recordings)),
        qualities=_first_column(pd.concat(qualities)),
        notes=tuple(notes),
    )


def score_few_shot(
    truth: EventTables, found: EventTables, subsets: dict[str, str], iou: float
) -> EventScores:
    """Return the score of the DCASE few-shot task in the form of the other scores.

    Args:
        truth: Annotations with POS and UNK.
        found: Detections.
        subsets: The subset of each recording.
        iou: What a match must exceed.
    """
    marked, detected = as_annotations(truth.events), as_detections(found.events)
    score = few_shot_score(marked, detected, subsets, criterion=Overlap(iou))
    criterion = f"IoU > {iou:g}"
    whole = {
        "criterion": f"few-shot, {criterion}",
        **{name: float(score.subsets[name].sum()) for name in ("n_truth", "tp", "fp", "fn")},
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
    }
    subset_rows = score.subsets.assign(criterion=criterion)
    return EventScores(
        overall=pd.DataFrame([whole]),
        labels=_first_column(subset_rows),
        recordings=_first_column(score.recordings.assign(criterion=criterion)),
        qualities=pd.DataFrame(),
        notes=(*truth.notes, *found.notes, *_unmatched_names(truth, found)),
    )


def read_both(
    truth: Path, found: Path, form: TableForm, label_column: str | None
) -> tuple[EventTables, EventTables]:
    """Read both sides; only the form of the truth is fixed by `form`.

    A single table without the name of a recording is about one recording: if both sides are such
    tables, they are about the same, whatever they are called.
    """
    first = read_event_tables(truth, form, label_column=label_column)
    second = read_event_tables(found, label_column=label_column)
    single = truth.is_file() and found.is_file()
    if single and len(first.recordings) <= 1 and len(second.recordings) <= 1:
        name = (first.recordings or second.recordings or ("recording",))[0]
        first, second = (
            EventTables(each.events.assign(recording_id=name), (name,), each.notes)
            for each in (first, second)
        )
    return first, second


def subsets_of(truth: Path, tables: EventTables) -> dict[str, str]:
    """Return the subset of each recording: the folder in which its table lies below `truth`."""
    origins = tables.events.drop_duplicates("recording_id").set_index("recording_id")["origin"]
    folders = {
        str(name): Path(str(origin).rpartition(", line ")[0]).parent
        for name, origin in origins.items()
    }
    return {
        name: folder.name if truth.is_dir() and folder != truth else "all"
        for name, folder in folders.items()
    }


def _labels_matter(truth: EventTables, found: EventTables, settings: ScoreSettings) -> bool:
    true_labels, found_labels = (set(each.events["label"]) for each in (truth, found))
    if settings.by_label and true_labels and found_labels and not true_labels & found_labels:
        shown = [", ".join(sorted(labels)[:8]) for labels in (true_labels, found_labels)]
        problem = (
            f"no label is in both tables: the truth has {shown[0]}; what was found has {shown[1]}. "
            "Give --any-label to compare without labels"
        )
        raise ConfigurationError("the events cannot be compared", [problem])
    return settings.by_label


def _unmatched_names(truth: EventTables, found: EventTables) -> list[str]:
    known, others = set(truth.recordings), set(found.recordings)
    if known and others and not known & others:
        problem = (
            f"no recording is in both: the truth has {', '.join(sorted(known)[:3])}; what was "
            f"found has {', '.join(sorted(others)[:3])}. Name tables after their recordings"
        )
        raise ConfigurationError("the events cannot be compared", [problem])
    strange = sorted(others - known)
    if not strange:
        return []
    return [
        f"{len(strange)} recordings have detections but no annotations; all of these count as "
        f"false alarms (first: {strange[0]})"
    ]


def _by_label(compared: Comparison) -> pd.DataFrame:
    table = by_recording(compared.counts.assign(recording_id=compared.counts["label"]), {})
    return table.rename(columns={"recording_id": "label"}).drop(columns="detections_per_hour")


def _first_column(table: pd.DataFrame, name: str = "criterion") -> pd.DataFrame:
    columns: Sequence[str] = [name, *[each for each in table.columns if each != name]]
    return table[list(columns)].reset_index(drop=True).replace({np.inf: np.nan})
