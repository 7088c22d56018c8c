"""Which audio file a table means: by the name in its rows, or by its own name.

Names are compared whole, never up to the first dot: `UNKN_20250203_05.23.wav` and
`UNKN_20250203_05.24.wav` are two recordings.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from qsm_core.audio.reading import SUFFIXES

# What programs put behind the name of the audio in the name of a table.
_ENDINGS = re.compile(
    r"(?:"
    r"(?:\.Table\.\d+)?\.selections?(?:\.table)?|[._-]selections?|\.BirdNET(?:\.\w+)*|"
    r"\.annotation\.result|_predict_output(?:\.log)?|[._-]labels?|[._-]annotations?|[._-]detections?"
    r")+$",
    re.IGNORECASE,
)


def audio_below(folder: Path) -> list[Path]:
    """Return the audio files below a folder, sorted; hidden ones are left out."""
    return sorted(path for path in _visible(folder) if path.suffix.lower() in SUFFIXES)


def tables_below(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Return the files below a folder that end in one of the suffixes, sorted; no hidden ones."""
    wanted = tuple(suffixes)
    return sorted(path for path in _visible(folder) if path.name.lower().endswith(wanted))


def is_file(path: Path) -> bool:
    """Return whether there is such a file; a name that cannot be one has none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False


def base_name(text: str) -> str:
    """Return the name of an audio file without folders (also Windows ones) and audio suffix."""
    name = PureWindowsPath(text).name if "\\" in text else text.rsplit("/", 1)[-1]
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def name_of_table(path: Path) -> str:
    """Return the base name of the audio that a table is about, going by the table's own name."""
    return base_name(_ENDINGS.sub("", path.name[: -len(path.suffix)] if path.suffix else path.name))


@dataclass(frozen=True)
class AudioFiles:
    """The audio files below a root, found by name.

    Args:
        root: The folder.
        by_path: Files by their path relative to the root, with slashes.
        by_base: Files by their base name.
    """

    root: Path
    by_path: Mapping[str, Path]
    by_base: Mapping[str, tuple[Path, ...]]

    @classmethod
    def below(cls, root: Path) -> AudioFiles:
        """Find all audio files below a folder."""
        by_path = {path.relative_to(root).as_posix(): path for path in audio_below(root)}
        by_base: defaultdict[str, list[Path]] = defaultdict(list)
        for path in by_path.values():
            by_base[base_name(path.name)].append(path)
        return cls(root, by_path, {name: tuple(paths) for name, paths in by_base.items()})

    def find(self, text: str, near: Path) -> tuple[Path, ...]:
        """Return the files that a name may mean; more than one where it cannot be told.

        A path below the root, or beside the table, wins; then files of that base name in the folder
        of the table; then such files anywhere.

        Args:
            text: The name, with or without folders and suffix.
            near: The table that has it.
        """
        slashed = text.replace("\\", "/")
        for start in (self.root, near.parent):
            place = start / slashed
            if place.suffix.lower() in SUFFIXES and is_file(place):
                return (place,)
        named = self.by_base.get(base_name(text), ())
        exact = tuple(path for path in named if path.name == slashed.rsplit("/", 1)[-1])
        matching = exact or named
        beside = tuple(path for path in matching if path.parent == near.parent)
        if beside:
            return beside
        # A table may lie in a folder of its own, with the same folders below it as the audio.
        tail = [part for part in slashed.split("/")[:-1] if part not in ("", ".")]
        closer = tuple(path for path in matching if tail and path.parent.name == tail[-1])
        return closer or matching


def _visible(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if not any(part.startswith(".") for part in parts) and path.is_file():
            yield path
