import json

import pytest

from qsm_core.prompting.search.live_page import (
    LiveSearch,
    balanced_accuracy_interval,
    candidate_rows,
    draw_search,
    read_events,
    search_page,
)
from qsm_core.stage.context import LIVE_FILE
from qsm_core.statistics.proportions import wilson_interval
from tests.support.stages import stage_context


def measures(heard, rejected):
    return {"counts": {"snr_0dB": [10, heard, 10, rejected], "dur_100ms": [10, 10, 10, 10]}}


def asked(step, *texts, refused=()):
    candidates = [{"text": text, "origin": f"from {text[:3]}"} for text in texts]
    return {"event": "asked", "iteration": step, "candidates": candidates, "refused": list(refused)}


def block(number, place, spent):
    return {"event": "block", "number": number, "block": place, "rows": 20, "spent": spent}


def scored(number, step, text, score, heard=8):
    return {
        "event": "scored",
        "number": number,
        "iteration": step,
        "text": text,
        "origin": f"from {text[:3]}",
        "score": score,
        "measures": measures(heard, 9),
    }


EVENTS = [
    {"event": "search"},
    asked(0, "Seed: SPEECH or NONSPEECH?"),
    block(0, 0, 40),
    scored(0, 0, "Seed: SPEECH or NONSPEECH?", 0.7),
    asked(
        1,
        "One | two <b>SPEECH</b> [x](y) or NONSPEECH?",
        "Two: SPEECH or NONSPEECH?",
        refused=[{"text": "<INS>", "reason": "5 characters"}],
    ),
    block(1, 0, 80),
    block(2, 0, 120),
    {"event": "dropped", "number": 2, "blocks": 1, "reason": "candidate 1 is better"},
    block(1, 1, 140),
    scored(1, 1, "One | two <b>SPEECH</b> [x](y) or NONSPEECH?", 0.9),
    scored(2, 1, "Two: SPEECH or NONSPEECH?", 0.5),
]
FINALS = [
    {"event": "ended", "why": "the one step was made", "spent": 140},
    block(0, 1, 160),
    {"event": "finalist", "number": 0, "score": 0.72, "measures": measures(8, 9)},
    {"event": "finalist", "number": 1, "score": 0.81, "measures": measures(8, 9)},
]


def test_rows_tell_blocks_clips_and_what_became_of_each_candidate():
    rows = candidate_rows(EVENTS + FINALS)
    assert [(row.number, row.step, row.blocks, row.used) for row in rows] == [
        (0, 0, 1, 40),
        (1, 1, 2, 140),
        (2, 1, 1, 140),
    ]
    assert [row.state for row in rows] == [
        "finalist: 0.7200 on all of dev",
        "finalist: 0.8100 on all of dev",
        "dropped: candidate 1 is better",
    ]
    assert rows[0].clip_prompts == 40


def test_the_page_shows_best_budget_picture_table_and_refusals():
    page = search_page(EVENTS, 1000)
    assert "3 candidates in 1 step\n" in page
    assert "**Best so far: 0.9000**, an estimate (candidate 1, from One); first instruc" in page
    assert "Budget: 140 of at most 1,000 clip-prompts." in page
    assert "](data:image/png;base64,iVBOR" in page
    assert "| 0 | 0.7000 | 92.5 [78" in page
    assert "Proposed and not scored: 1" in page
    assert "The search has ended: the one step was made. Finalists scored on all of dev: 2." in (
        search_page(EVENTS + FINALS, 1000)
    )
    assert "**Best on all of dev: 0.8100** (candidate 1, from One); first instruction: 0.7200" in (
        search_page(EVENTS + FINALS, 1000)
    )
    lost = {"event": "dropped", "number": 1, "blocks": 2, "reason": "candidate 0 is better"}
    assert "**Best so far: 0.7000**" in search_page([*EVENTS, lost], 1000)
    racing = search_page(EVENTS[:7], 1000)
    assert "In the race now: 2 candidates." in racing


def test_the_best_so_far_is_what_was_the_best_then():
    """Candidate 1 led until candidate 3 outranked it; candidate 2 never led."""
    later = [
        *EVENTS,
        asked(2, "Three: SPEECH or NONSPEECH?"),
        block(3, 0, 160),
        {"event": "dropped", "number": 1, "blocks": 1, "reason": "1 other has a better estimate"},
        scored(3, 2, "Three: SPEECH or NONSPEECH?", 0.95),
    ]
    (axes,) = draw_search(candidate_rows(later)).axes
    (line,) = (one for one in axes.lines if one.get_label() == "best so far")
    assert list(line.get_ydata()) == [0.7, 0.9, 0.9, 0.95]
    assert "**Best so far: 0.9500**" in search_page(later, 1000)


def test_what_a_language_model_wrote_is_no_markdown_and_no_html():
    page = search_page(EVENTS, 1000)
    assert "<b>" not in page
    assert "[x](y)" not in page
    row = next(line for line in page.splitlines() if line.startswith("| 1 |"))
    assert row.count("|") == 9


def test_interval_joins_those_of_the_two_recalls():
    # Recalls 18 of 20 and 19 of 20: balanced accuracy 0.925. By the square-and-add rule the lower
    # end is 0.925 - sqrt((0.9 - l1)^2 + (0.95 - l2)^2) / 2 with the Wilson ends l1 and l2.
    ba, low, high = balanced_accuracy_interval(measures(8, 9)["counts"])
    one, two = wilson_interval(18, 20), wilson_interval(19, 20)
    assert ba == pytest.approx(0.925)
    assert low == pytest.approx(0.925 - ((0.9 - one.low) ** 2 + (0.95 - two.low) ** 2) ** 0.5 / 2)
    assert high == pytest.approx(
        0.925 + ((one.high - 0.9) ** 2 + (two.high - 0.95) ** 2) ** 0.5 / 2
    )
    assert 0 <= low <= high <= 1


def test_the_page_is_written_when_the_stage_reports_and_half_a_line_waits(tmp_path):
    reported = []
    context = stage_context(tmp_path, {}, {}, report=lambda *report: reported.append(report))
    path = tmp_path / "trajectory.jsonl"
    live = LiveSearch(context, path, 1000, every_s=0.0)
    live.report(0, 9, "loading")
    assert "Nothing is scored yet" in (context.work / LIVE_FILE).read_text()
    lines = "".join(json.dumps(event) + "\n" for event in EVENTS)
    path.write_text(lines + '{"event": "sco')
    live.report(1, 9, "scored")
    assert "Best so far" in (context.work / LIVE_FILE).read_text()
    assert reported == [(0, 9, "loading"), (1, 9, "scored")]
    assert read_events(path) == EVENTS
