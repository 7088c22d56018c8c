"""The text of a table's bytes: UTF-8, UTF-16 or UTF-32, gzipped or not.

Text that is in none of them is refused: which of the older encodings it is cannot be known, and a
guess would change names.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path

from qsm_core.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD_BYTES = 2**16
_LINE_BREAK = re.compile("\r\n|\r|\n")
TITLE = "cannot read the table"


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, however they end.

    Raises:
        DataError: The file is missing, damaged, or in no encoding that can be known.
    """
    data = _read_bytes(path)
    encoding = _encoding(data)
    try:
        return _LINE_BREAK.split(data.decode(encoding))
    except UnicodeDecodeError as error:
        line = len(_LINE_BREAK.findall(data[: error.start].decode(encoding, "replace"))) + 1
        problem = (
            f"{path}, line {line}: is not UTF-8 (byte {data[error.start]:#04x} at {error.start}); "
            "save it as CSV UTF-8"
        )
        raise DataError(TITLE, [problem]) from error


def read_first_lines(path: Path) -> list[str]:
    """Return the first complete lines of a text file; none where it is no such file."""
    try:
        data = _read_bytes(path, _HEAD_BYTES)
        decoder = codecs.getincrementaldecoder(_encoding(data))()
        lines = _LINE_BREAK.split(decoder.decode(data))
    except (DataError, UnicodeDecodeError):
        return []
    return lines[:-1] if len(data) == _HEAD_BYTES else lines


def _read_bytes(path: Path, most: int = -1) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise DataError(TITLE, [f"{path}: is no regular file"])
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            return stream.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(TITLE, [f"{path}: {error}"]) from error


def _encoding(data: bytes) -> str:
    """Name the encoding by its mark, else by where the zero bytes of UTF-16 stand."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    head = data[:200]
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) > 1 and head[start::2].count(0) > len(head) / 4:
            return encoding
    return "utf-8"
