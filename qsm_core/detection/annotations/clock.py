"""Times of events in the clock of the file that holds them. Every conversion stands here.

Three clocks occur in tables:

- file: 0 is the first sample of the audio file. The only clock of this program.
- stream: Raven's time over several files opened together; a row then says at which offset in
  which file it begins.
- source: the time in a longer recording of which the file is a part that begins at an offset.
"""

from __future__ import annotations

from typing import NamedTuple

# Nanoseconds: far below a sample, far above the rounding errors of a day in seconds.
DECIMALS = 9


class Span(NamedTuple):
    """Begin and end in seconds."""

    begin_s: float
    end_s: float


def from_stream(stream: Span, file_offset_s: float) -> Span:
    """Return the span in the clock of the file in which it begins at `file_offset_s`."""
    return _rounded(file_offset_s, file_offset_s + (stream.end_s - stream.begin_s))


def from_source(source: Span, source_offset_s: float) -> Span:
    """Return the span in the clock of a file that begins at `source_offset_s` of its source."""
    return _rounded(source.begin_s - source_offset_s, source.end_s - source_offset_s)


def to_source(span: Span, source_offset_s: float) -> Span:
    """Return the span in the clock of the source; see `from_source`."""
    return _rounded(span.begin_s + source_offset_s, span.end_s + source_offset_s)


def from_length(begin_s: float, length_s: float) -> Span:
    """Return the span that begins at `begin_s` and lasts `length_s`."""
    return _rounded(begin_s, begin_s + length_s)


def _rounded(begin_s: float, end_s: float) -> Span:
    return Span(round(begin_s, DECIMALS), round(end_s, DECIMALS))
