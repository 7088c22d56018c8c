"""The folder of a run's results, and the files that it shows.

What a run shows are links into the store, whose names stand in a note in the folder
(`.qsm-links.json`), and a few files of its own. The user may keep further files there.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import ConfigurationError, StoreError
from qsm_core.store.digests import FileRecord, list_files
from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import read_manifest

NOTE = ".qsm-links.json"


@dataclass(frozen=True)
class ResultFile:
    """One file of a run's results.

    Args:
        name: Its path below the folder of results, with slashes.
        path: Where its content lies.
        record: Size and SHA-256 that the stage which made it recorded; None where none did.
    """

    name: str
    path: Path
    record: FileRecord | None


@dataclass(frozen=True)
class Listing:
    """What a folder of results shows.

    Args:
        files: Every file, by name.
        links: Names of links that the user put there; they are not followed.
    """

    files: dict[str, ResultFile]
    links: tuple[str, ...]


def find_run(run: str, results: Path) -> Path:
    """Return the folder of a run's results.

    Args:
        run: Its name, or the folder itself.
        results: The folder of all results.

    Raises:
        ConfigurationError: There is no such run; the error names those that there are.
    """
    places = [Path(run).expanduser()]
    if "/" not in run:
        places.insert(0, results / run)
    for place in places:
        if (place / NOTE).is_file():
            return place.resolve()
    for place in places:
        if place.is_dir():
            problem = (
                f"{place}: is no folder of a run's results, since it has no {NOTE}; name a run, or "
                "the folder that its last line names"
            )
            raise ConfigurationError("there is nothing to export", [problem])
    raise ConfigurationError("there is nothing to export", [_unknown(run, results)])


def list_results(folder: Path) -> Listing:
    """List the files that a folder of results shows.

    Raises:
        StoreError: The note in it cannot be read.
        ConfigurationError: Links point nowhere; all are listed.
    """
    ours = _names_of_links(folder)
    files: dict[str, ResultFile] = {}
    foreign: list[str] = []
    dead: list[str] = []
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if not path.is_symlink():
            if name != NOTE:
                files[name] = ResultFile(name, path, None)
        elif name not in ours:
            foreign.append(name)
        elif not path.exists():
            dead.append(f"{path}: points to {path.resolve()}, which is no longer there")
        else:
            files |= {file.name: file for file in _behind(path, name)}
    if dead:
        raise ConfigurationError(
            "results are missing; run the flow again with the same settings, which makes them anew",
            dead,
        )
    return Listing(files, tuple(foreign))


def _entries(folder: Path) -> Iterator[Path]:
    """Yield the files and links below a folder, sorted; links are not followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _entries(path)
        else:
            yield path


def _behind(link: Path, name: str) -> Iterator[ResultFile]:
    target = link.resolve()
    if target.is_file():
        yield ResultFile(name, target, _records(target.parent).get(target))
        return
    records = _records(target)
    for inside in sorted(list_files(target)):
        path = target / inside
        yield ResultFile(f"{name}/{inside}", path, records.get(path))


def _records(folder: Path) -> dict[Path, FileRecord]:
    """Return what is recorded of the files of the output that a folder is in, by their paths."""
    for place in (folder, *folder.parents):
        if (place / MANIFEST).is_file():
            try:
                files = read_manifest(place).files
            except StoreError:  # of something else that has a file of this name
                return {}
            return {place / name: record for name, record in files.items()}
    return {}


def _names_of_links(folder: Path) -> frozenset[str]:
    try:
        return frozenset(json.loads((folder / NOTE).read_text("utf-8"))["links"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{folder / NOTE}: is damaged ({error}); run the flow again, which writes it anew"
        ) from error


def _unknown(run: str, results: Path) -> str:
    known = sorted(path.parent.name for path in results.glob(f"*/{NOTE}"))
    similar = difflib.get_close_matches(run, known, n=3, cutoff=0.4)
    if similar:
        return f"{run}: there is no such run in {results}; similar ones: {', '.join(similar)}"
    there = f"there are {', '.join(known[:10])}" if known else "there is none"
    return (
        f"{run}: there is no such folder, and no such run in {results} ({there}); --results names "
        "another folder of results"
    )
