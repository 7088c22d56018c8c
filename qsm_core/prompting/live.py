"""The course of a search while it runs: a page of markdown, made from the trajectory alone.

Whoever watches the stage shows the page; the search only writes it, whole, now and then. Intervals
here take clips as independent (Wilson for each recall, joined by the square-and-add rule), so they
are a guide to the eye; those of the report resample whole speakers.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from qsm_core.prompting.trajectory import Trajectory
from qsm_core.statistics.proportions import wilson_interval
from qsm_core.store.context import LIVE_FILE, StageContext

_EVERY_S = 10.0
_SIZE_INCHES, _DPI = (7.0, 3.6), 80
_DOT, _BEST, _SEED = "#999999", "#0072b2", "#e69f00"
_MOST_ROWS = 60
_MOST_CHARS = 160  # of an instruction in the table


@dataclass(frozen=True)
class Row:
    """One candidate as the page shows it.

    Attributes:
        number: 0 for the seed instruction, then in the order of scoring.
        step: That proposed it.
        text: The instruction.
        origin: Who proposed it.
        score: What the search makes best.
        ba: Balanced accuracy over clips, with its 95 % interval.
        clip_prompts: Clips that were scored with it.
        used: Clip-prompts of the whole search up to it.
        state: Such as `best`, `finalist`.
    """

    number: int
    step: int
    text: str
    origin: str
    score: float
    ba: tuple[float, float, float]
    clip_prompts: int
    used: int
    state: str = ""


class LiveSearch:
    """Writes the page whenever the stage reports, every ten seconds at most."""

    def __init__(
        self,
        context: StageContext,
        trajectory: Trajectory,
        planned: int,
        every_s: float = _EVERY_S,
    ) -> None:
        """Prepare.

        Args:
            context: Of the stage; the page goes into its work folder.
            trajectory: Of the search.
            planned: Clip-prompts that the search may use, the finals included.
            every_s: Seconds between two pages.
        """
        self._path = context.work / LIVE_FILE
        self._report = context.report
        self._trajectory = trajectory
        self._planned = planned
        self._every_s = every_s
        self._last = time.monotonic()

    def report(self, done: int, total: int, message: str) -> None:
        """Write the page anew if it is time, and pass the report on."""
        if time.monotonic() - self._last >= self._every_s:
            beside = self._path.with_suffix(".part")
            beside.write_text(self.page(), encoding="utf-8")
            beside.replace(self._path)
            self._last = time.monotonic()
        self._report(done, total, message)

    def page(self) -> str:
        """Return the page as it is now."""
        return search_page(self._trajectory, self._planned)


def search_page(trajectory: Trajectory, planned: int) -> str:
    """Return best so far, budget, picture and table of a search.

    Args:
        trajectory: Of the search.
        planned: Clip-prompts that it may use.
    """
    rows = candidate_rows(trajectory)
    if not rows:
        return "## Prompt search\n\nNothing is scored yet.\n"
    finals = list(trajectory.events("finalist"))
    used = rows[-1].used + sum(_clips(event["measures"]) for event in finals)
    best = max(rows, key=lambda row: (row.score, -row.number))
    picture = base64.b64encode(_png(draw_search(rows))).decode("ascii")
    lines = [
        f"## Prompt search: {len(rows)} candidates in {max(row.step for row in rows)} steps",
        "",
        f"**Best so far: {best.score:.4f}** (candidate {best.number}, {best.origin}); "
        f"first instruction: {rows[0].score:.4f}",
        "",
        f"> {_escaped(best.text)}",
        "",
        f"Budget: {used:,} of at most {planned:,} clip-prompts.",
        *_final_lines(finals),
        "",
        f"![course of the search](data:image/png;base64,{picture})",
        "",
        *_table(rows),
        "",
        *_refusals(trajectory),
    ]
    return "\n".join(lines) + "\n"


def candidate_rows(trajectory: Trajectory) -> list[Row]:
    """Return every scored candidate, in the order of scoring."""
    finalists = {int(event["number"]): event["score"] for event in trajectory.events("finalist")}
    winner = max(finalists, key=lambda number: (finalists[number], -number), default=None)
    rows, used = [], 0
    for event in trajectory.events("scored"):
        number, clips = int(event["number"]), _clips(event["measures"])
        used += clips
        state = ""
        if number in finalists:
            state = (
                f"{'winner' if number == winner else 'finalist'}, {finalists[number]:.4f} on dev"
            )
        row = Row(
            number=number,
            step=int(event["iteration"]),
            text=str(event["text"]),
            origin=str(event["origin"]),
            score=float(event["score"]),
            ba=balanced_accuracy_interval(event["measures"]["counts"]),
            clip_prompts=clips,
            used=used,
            state=state,
        )
        rows.append(row)
    return rows


def balanced_accuracy_interval(
    counts: Mapping[str, Sequence[int]],
) -> tuple[float, float, float]:
    """Return balanced accuracy and its 95 % interval, clips taken as independent.

    Args:
        counts: By condition: rows of SPEECH, correct ones, rows of NONSPEECH, correct ones.
    """
    speech, heard, other, rejected = (sum(row[i] for row in counts.values()) for i in range(4))
    if not speech or not other:
        return math.nan, math.nan, math.nan
    shares = heard / speech, rejected / other
    intervals = wilson_interval(heard, speech), wilson_interval(rejected, other)
    pairs = list(zip(shares, intervals, strict=True))
    below = math.hypot(*(share - float(one.low or 0) for share, one in pairs)) / 2
    above = math.hypot(*(float(one.high or 1) - share for share, one in pairs)) / 2
    ba = sum(shares) / 2
    return ba, ba - below, ba + above


def draw_search(rows: Sequence[Row]) -> Figure:
    """Draw every candidate's score, and the best so far, over the clip-prompts used."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    used = [row.used for row in rows]
    best = [max(row.score for row in rows[: i + 1]) for i in range(len(rows))]
    axes.axhline(rows[0].score, color=_SEED, ls="--", lw=1, label="first instruction")
    axes.plot(used, [row.score for row in rows], "o", color=_DOT, ms=4, label="candidate")
    axes.step(used, best, where="post", color=_BEST, label="best so far")
    axes.set_xlabel("clip-prompts used")
    axes.set_ylabel("score")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _clips(measures: Mapping[str, Any]) -> int:
    return sum(int(row[0]) + int(row[2]) for row in measures["counts"].values())


def _final_lines(finals: Sequence[Mapping[str, Any]]) -> list[str]:
    if not finals:
        return []
    return ["", f"Finals: {len(finals)} instructions were scored on all of dev."]


def _table(rows: Sequence[Row]) -> list[str]:
    """Return the best candidates as a table, the best first."""
    ranked = sorted(rows, key=lambda row: (-row.score, row.number))[:_MOST_ROWS]
    lines = [
        "| # | score | balanced accuracy (%) | clip-prompts | state | from | instruction |",
        "|---:|---:|---:|---:|---|---|---|",
    ]
    for row in ranked:
        ba, low, high = (100 * value for value in row.ba)
        cells = (
            row.number,
            f"{row.score:.4f}",
            f"{ba:.1f} [{low:.1f}, {high:.1f}]",
            row.clip_prompts,
            row.state,
            _escaped(row.origin),
            _escaped(_short(row.text)),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    if len(rows) > len(ranked):
        lines += ["", f"{len(rows) - len(ranked)} more candidates are in candidates.csv."]
    return lines


def _refusals(trajectory: Trajectory) -> list[str]:
    """Return what was not scored, and why, in one line each: the last few."""
    refused = [one for event in trajectory.events("asked") for one in event.get("refused", ())]
    if not refused:
        return []
    shown = [
        f"- {_escaped(one['reason'])}: {_escaped(_short(one['text'])) or '(empty)'}"
        for one in refused[-5:]
    ]
    return [f"Proposed and not scored: {len(refused)}; the last of them:", "", *shown]


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}..."


def _escaped(text: str) -> str:
    """Return a text that is no markdown and no HTML: a language model may have written it."""
    signs = "\\`*_[]|#!<>&"
    return "".join(f"&#{ord(c)};" if c in signs else c for c in " ".join(text.split()))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="#ffffff")
    return buffer.getvalue()
