"""The log of a process: lines as a terminal shows them, in files of bounded size."""

from __future__ import annotations

import io
from pathlib import Path

from tasks.workers.process_log import ProcessLog


def follow(folder: Path, text: bytes, **options: int) -> tuple[ProcessLog, list[str]]:
    lines: list[str] = []
    log = ProcessLog(folder, lines.append, **options)
    log.follow(io.BufferedReader(io.BytesIO(text)))
    return log, lines


def test_lines_are_those_that_a_terminal_shows(tmp_path):
    text = b"one\r\n 10%\r 50%\r100%\ntwo\n\n\xff bad\nlast without an end"
    log, lines = follow(tmp_path, text)
    assert lines == ["one", "100%", "two", "\ufffd bad", "last without an end"]
    assert log.tail.splitlines() == lines
    assert log.path.read_text().splitlines() == lines


def test_a_bar_that_never_ends_its_line_takes_no_memory(tmp_path):
    _, lines = follow(tmp_path, b"\r".join(b"%d steps" % step for step in range(100_000)))
    assert lines == ["99999 steps"]


def test_a_line_without_end_is_cut(tmp_path):
    _, lines = follow(tmp_path, b"x" * 1_000_000)
    assert max(map(len, lines)) == 4000


def test_the_files_stay_small_and_the_newest_lines_are_kept(tmp_path):
    log, _ = follow(tmp_path, b"".join(b"line %d\n" % n for n in range(3000)), file_bytes=8000)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000
    log.copy_to(tmp_path / "out" / "log.txt")
    kept = (tmp_path / "out" / "log.txt").read_text().splitlines()
    assert kept[-1] == "line 2999"
    assert kept == [f"line {n}" for n in range(3000 - len(kept), 3000)]


def test_no_more_lines_are_shown_than_a_person_reads(tmp_path):
    log, lines = follow(tmp_path, b"".join(b"line %d\n" % n for n in range(1000)))
    assert lines[:200] == [f"line {n}" for n in range(200)]
    assert any(f"all of them are in {log.path}" in line for line in lines[200:])
    assert len(log.path.read_text().splitlines()) == 1000


def test_a_further_attempt_adds_to_the_log(tmp_path):
    follow(tmp_path, b"first\n")
    log, _ = follow(tmp_path, b"second\n")
    assert log.path.read_text() == "first\nsecond\n"
