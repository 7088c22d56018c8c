from __future__ import annotations

import io

import pytest
from rich.console import Console

from flows.run.console import console_table
from flows.terminal.display import TerminalDisplay, terminal_display
from flows.terminal.stage_line import clock
from tasks.run.events import StageEvent

NAMES = ("corpus", "eval_lora_opro_seed43", "report")


def _console(*, terminal: bool, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _display(progress: Console) -> TerminalDisplay:
    return TerminalDisplay(progress, _console(terminal=False))


def _picture(display: TerminalDisplay, width: int) -> list[str]:
    """Return the lines as they stand on a terminal now."""
    console = _console(terminal=False, width=width)
    console.print(display)
    return _text(console).splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_each_stage_has_one_line_with_its_whole_name(width: int) -> None:
    display = _display(_console(terminal=True, width=width))
    with display:
        display.expect(NAMES)
        display.on_event(StageEvent("corpus", "finished", message="/a/long/folder/of/the/store"))
        display.on_event(StageEvent(NAMES[1], "running", message="started on vm"))
        display.on_event(StageEvent(NAMES[1], "progress", 3, 8, "a message that is long " * 9))
        display.on_event(StageEvent("report", "waiting", message=f"corpus, {NAMES[1]}"))
        lines = _picture(display, width)
    assert [line.split()[1] for line in lines] == list(NAMES)
    assert max(map(len, lines)) <= width
    assert "/a/long" not in lines[0]
    assert "━" in lines[1]
    assert lines[1].rstrip().endswith("0:00:00")
    assert f"for {NAMES[1]}" in lines[2]
    assert "corpus" not in lines[2]  # it has ended, so nobody waits for it


def test_a_failure_shows_its_first_line() -> None:
    display = _display(_console(terminal=True))
    with display:
        display.expect(NAMES)
        display.on_event(StageEvent("corpus", "failed", message="the clips\n  - one\n  - two"))
        line = _picture(display, 80)[0]
    assert line.split()[1:] == ["corpus", "failed", "the", "clips"]


def test_a_log_has_one_line_a_change() -> None:
    log = _console(terminal=False, width=120)
    with _display(log) as display:
        display.expect(NAMES)
        display.on_event(StageEvent("corpus", "waiting", message="nothing"))
        display.on_event(StageEvent("corpus", "queued", message="new: no earlier output"))
        display.on_event(StageEvent("corpus", "running", message="started on vm"))
        for done in range(5):
            display.on_event(StageEvent("corpus", "progress", done, 5, "clips"))
        display.on_event(StageEvent("corpus", "finished", message="/store/outputs/x"))
    words = [line.split(maxsplit=1)[1] for line in _text(log).splitlines()]
    assert words == [
        "corpus queued: new: no earlier output",
        "corpus running: started on vm",
        "corpus finished in 0:00:00",
    ]


def test_results_are_printed_at_once_and_on_the_other_console() -> None:
    progress, results = _console(terminal=False), _console(terminal=False, width=20)
    with TerminalDisplay(progress, results) as display:
        display.conclude("report: " + "a/long/path/" * 5)
        assert _text(results) == "report: " + "a/long/path/" * 5 + "\n"  # never broken into lines
    assert _text(progress) == ""


def test_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    names = "[red]my[vad] v2[/]:dog:"
    with terminal_display() as display:
        display.print(names)
        display.print(console_table(names, [{names: names}]))
        display.on_event(StageEvent(names, "failed", message=names))
        display.conclude(names)
        display.conclude(console_table(names, [{names: names}]))
    told = capsys.readouterr()
    assert told.err.count(names) == 1 + 3 + 2
    assert told.out.count(names) == 1 + 3


def test_clock() -> None:
    assert clock(3_725.9) == "1:02:05"
