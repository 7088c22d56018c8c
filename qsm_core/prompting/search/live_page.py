"""The course of a running search: a Markdown page, made from the trajectory alone.

The process that monitors the stage shows the page; the search only replaces it periodically. The
intervals here take clips as independent (Wilson for each recall, combined by the square-and-add
rule), so they are only a guide; those of the report resample whole speakers.
"""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from qsm_core.plurals import counted
from qsm_core.prompting.search.trajectory import Event
from qsm_core.stage.context import LIVE_FILE, StageContext
from qsm_core.statistics.proportions import wilson_interval

_EVERY_S = 10.0
_SIZE_INCHES, _DPI = (7.0, 3.6), 80
_DOT, _BEST, _SEED = "#999999", "#0072b2", "#e69f00"
_MOST_ROWS = 60
_MOST_CHARS = 160  # of an instruction in the table


@dataclass(frozen=True)
class Row:
    """A candidate as shown on the page.

    Attributes:
        number: 0 for the seed instruction, then in the order of scoring.
        step: The step that proposed it.
        text: The instruction.
        origin: Who proposed it.
        score: The objective.
        ba: Balanced accuracy over clips, with its 95 % interval.
        blocks: How many blocks of dev it was scored on.
        clip_prompts: How many clip-prompts were scored with it.
        used: Clip-prompts of the whole search so far.
        place: Index of the event that ended its race.
        dropped: Why it was dropped; None while it is in the race or in the finals.
        dropped_place: Index of the event that dropped it.
        on_dev: Its score on all of dev, if it is a finalist.
    """

    number: int
    step: int
    text: str
    origin: str
    score: float
    ba: tuple[float, float, float]
    blocks: int
    clip_prompts: int
    used: int
    place: int
    dropped: str | None
    dropped_place: int | None
    on_dev: float | None

    @property
    def state(self) -> str:
        """Its state in words."""
        if self.on_dev is not None:
            return f"finalist: {self.on_dev:.4f} on all of dev"
        return "in the race" if self.dropped is None else f"dropped: {self.dropped}"


class LiveSearch:
    """Writes the page when the stage reports progress, at most every ten seconds."""

    def __init__(
        self, context: StageContext, trajectory: Path, planned: int, every_s: float = _EVERY_S
    ) -> None:
        """Prepare.

        Args:
            context: That of the stage; the page is written to its work folder.
            trajectory: File of the search.
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
        """Write the page if enough time has passed, and pass the report on."""
        if time.monotonic() - self._last >= self._every_s:
            temporary = self._path.with_suffix(".part")
            temporary.write_text(self.page(), encoding="utf-8")
            temporary.replace(self._path)
            self._last = time.monotonic()
        self._report(done, total, message)

    def page(self) -> str:
        """Return the page as it is now."""
        return search_page(read_events(self._trajectory), self._planned)


def read_events(trajectory: Path) -> list[Event]:
    """Return the events so far, without an incomplete last line."""
    if not trajectory.exists():
        return []
    content = trajectory.read_bytes()
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def search_page(events: Sequence[Event], planned: int) -> str:
    """Return a page with the best candidate, the budget, a figure and a table.

    Args:
        events: Events of its trajectory.
        planned: Clip-prompts that it may use.
    """
    rows = candidate_rows(events)
    if not rows:
        return "## Prompt search\n\nNothing is scored yet.\n"
    picture = base64.b64encode(_png(draw_search(rows))).decode("ascii")
    steps = max(int(event["iteration"]) for event in events if event["event"] == "asked")
    lines = [
        f"## Prompt search: {counted(len(rows), 'candidate')} in {counted(steps, 'step')}",
        "",
        *_best(rows),
        "",
        f"Budget: {_used(events):,} of at most {planned:,} clip-prompts.{_now(events)}",
        "",
        f"![course of the search](data:image/png;base64,{picture})",
        "",
        *_table(rows),
        "",
        *_refusals(events),
    ]
    return "\n".join(lines) + "\n"


def candidate_rows(events: Sequence[Event]) -> list[Row]:
    """Return every candidate whose race is over, in the order of scoring."""
    finalists = {int(e["number"]): float(e["score"]) for e in events if e["event"] == "finalist"}
    drops = [(place, e) for place, e in enumerate(events) if e["event"] == "dropped"]
    dropped = {int(e["number"]): (str(e["reason"]), place) for place, e in drops}
    blocks: Counter[int] = Counter()
    rows = []
    for place, event in enumerate(events):
        number = int(event.get("number", -1))
        if event["event"] == "block":
            blocks[number] += 1
        elif event["event"] == "scored":
            reason, dropped_place = dropped.get(number, (None, None))
            row = Row(
                number=number,
                step=int(event["iteration"]),
                text=str(event["text"]),
                origin=str(event["origin"]),
                score=float(event["score"]),
                ba=balanced_accuracy_interval(event["measures"]["counts"]),
                blocks=blocks[number],
                clip_prompts=_clips(event),
                used=_used(events[: place + 1]),
                place=place,
                dropped=reason,
                dropped_place=dropped_place,
                on_dev=finalists.get(number),
            )
            rows.append(row)
    return rows


def leader(rows: Sequence[Row]) -> Row:
    """Return the best candidate that was not dropped when the last of `rows` was scored.

    A dropped candidate has lost to a better one.
    """
    now = rows[-1].place
    known = [row for row in rows if row.dropped_place is None or row.dropped_place > now]
    return max(known or rows[:1], key=lambda row: (row.score, -row.number))


def _best(rows: Sequence[Row]) -> list[str]:
    """Return lines on the best candidate: an estimate in the race, or the winner of the finals."""
    left = [row for row in rows if row.dropped is None] or rows[:1]
    best, on_dev = leader(left), {row.number: row.on_dev for row in rows if row.on_dev is not None}
    title = f"**Best so far: {best.score:.4f}**, an estimate"
    seed = f"first instruction: {rows[0].score:.4f}"
    if 0 in on_dev:
        number = max(on_dev, key=lambda candidate: (on_dev[candidate], -candidate))
        best = next(row for row in rows if row.number == number)
        title = f"**Best on all of dev: {on_dev[number]:.4f}**"
        seed = f"first instruction: {on_dev[0]:.4f}"
    line = f"{title} (candidate {best.number}, {_escaped(best.origin)}); {seed}"
    return [line, "", f"> {_escaped(best.text)}"]


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
    below = math.hypot(*(share - float(interval.low or 0) for share, interval in pairs)) / 2
    above = math.hypot(*(float(interval.high or 1) - share for share, interval in pairs)) / 2
    ba = sum(shares) / 2
    return ba, ba - below, ba + above


def draw_search(rows: Sequence[Row]) -> Figure:
    """Draw every candidate's score, and the best so far, over the clip-prompts used."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    used = [row.used for row in rows]
    best = [leader(rows[: i + 1]).score for i in range(len(rows))]
    axes.axhline(rows[0].score, color=_SEED, ls="--", lw=1, label="first instruction")
    axes.plot(used, [row.score for row in rows], "o", color=_DOT, ms=4, label="candidate")
    axes.step(used, best, where="post", color=_BEST, label="best so far")
    axes.set_xlabel("clip-prompts used")
    axes.set_ylabel("score")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _clips(event: Event) -> int:
    return sum(int(row[0]) + int(row[2]) for row in event["measures"]["counts"].values())


def _used(events: Sequence[Event]) -> int:
    """Return the clip-prompts of all blocks so far."""
    return next((int(e["spent"]) for e in reversed(events) if e["event"] == "block"), 0)


def _now(events: Sequence[Event]) -> str:
    """Return the present state, as the end of a line."""
    ended = next((e for e in events if e["event"] == "ended"), None)
    if ended is not None:
        finals = sum(e["event"] == "finalist" for e in events)
        return f" The search has ended: {ended['why']}. Finalists scored on all of dev: {finals}."
    proposed = sum(len(e["candidates"]) for e in events if e["event"] == "asked")
    racing = proposed - sum(e["event"] == "scored" for e in events)
    return f" In the race now: {racing} candidates." if racing else ""


def _table(rows: Sequence[Row]) -> list[str]:
    """Return the best candidates as a table, the best first."""
    ranked = sorted(rows, key=lambda row: (-row.score, row.number))[:_MOST_ROWS]
    lines = [
        "| # | score | balanced accuracy (%) | clip-prompts | blocks | state | from | text |",
        "|---:|---:|---:|---:|---:|---|---|---|",
    ]
    for row in ranked:
        ba, low, high = (100 * value for value in row.ba)
        cells = (
            row.number,
            f"{row.score:.4f}",
            f"{ba:.1f} [{low:.1f}, {high:.1f}]",
            row.clip_prompts,
            row.blocks,
            _escaped(row.state),
            _escaped(row.origin),
            _escaped(_short(row.text)),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    if len(rows) > len(ranked):
        lines += ["", f"{len(rows) - len(ranked)} more candidates are in candidates.csv."]
    return lines


def _refusals(events: Sequence[Event]) -> list[str]:
    """Return the last few texts that were not scored, one line each with the reason."""
    refused = [text for e in events if e["event"] == "asked" for text in e["refused"]]
    if not refused:
        return []
    shown = [
        f"- {_escaped(entry['reason'])}: {_escaped(_short(entry['text'])) or '(empty)'}"
        for entry in refused[-5:]
    ]
    return [f"Proposed and not scored: {len(refused)}; the last of them:", "", *shown]


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}..."


def _escaped(text: str) -> str:
    """Return a text with Markdown and HTML escaped, as a language model may have written it."""
    signs = "\\`*_[]|#!<>&"
    return "".join(f"&#{ord(c)};" if c in signs else c for c in " ".join(text.split()))


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="#ffffff")
    return buffer.getvalue()
