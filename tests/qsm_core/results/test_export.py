"""Results of a run taken elsewhere: whole, interrupted, changed, and into the wrong places."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.run.links import link_results
from qsm_core.errors import ConfigurationError, StoreError
from qsm_core.results import export as exporting
from qsm_core.results.__main__ import app
from qsm_core.results.export import plan_export, run_export
from qsm_core.results.run_folder import find_run
from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store

FILES = {
    "metrics.csv": "model,f1\nenergy,0.5\n",
    "volatile/report.html": '<!doctype html><a href="methods.md">methods</a>',
    "tracks/tape%2F1.parquet": "a long track",
    "tracks/failed.csv": "no track",
}


@pytest.fixture
def run_folder(tmp_path: Path, toys) -> Path:
    """A run whose outputs lie in a real store, with a note of the user beside them."""
    store = Store(tmp_path / "store")

    def write(_, context, folder):
        for name, text in FILES.items():
            path = context.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Launched({}, {})

    made = make_output(store, build_spec(toys.count, {"n": 1}, {}), {}, launch=write).path
    (tmp_path / "methods.md").write_text("how")
    links = {
        "scores/energy": made,
        "benchmark": made,
        "report.html": made / "volatile" / "report.html",
        "methods.md": tmp_path / "methods.md",
    }
    folder = link_results(tmp_path / "results" / "first", links, store=store.root)
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "tape.wav").write_text("hours of audio")
    (folder / "audio").symlink_to(tmp_path / "recordings")
    return folder


def _export(*words: object, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["export", *map(str, words)])
    assert result.exit_code == exit_code, result.output
    return result.output


def _files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_links_become_files_and_tracks_and_audio_stay_behind(
    run_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "laptop" / "first"
    printed = _export("first", target, "--results", run_folder.parent)
    assert "left out: 2 score tracks, 24 bytes; --tracks brings them" in printed
    assert "left out: audio, a link of yours" in printed
    shutil.rmtree(run_folder.parent)
    shutil.rmtree(tmp_path / "store")
    there = _files(target)
    assert not any(path.is_symlink() for path in target.rglob("*"))
    assert {name for name in there if "manifest" not in name} == {
        *(f"{f}/{n}" for f in ("scores/energy", "benchmark") for n in FILES if "%2F" not in n),
        *("report.html", "methods.md", "notes.txt", "export.json", "SHA256SUMS"),
    }
    assert there["report.html"] == FILES["volatile/report.html"]
    assert there["notes.txt"] == "mine"
    state = json.loads(there["export.json"])
    assert state["complete"]
    assert not state["tracks"]
    left = [f"{folder}/tracks/tape%2F1.parquet" for folder in ("benchmark", "scores/energy")]
    assert state["left_out"] == {"score tracks": left, "links of yours": ["audio"]}
    # Any machine can check it, and its owner can change it.
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    assert len(there["SHA256SUMS"].splitlines()) == len(there) - 2
    (target / "benchmark" / "metrics.csv").write_text("changed")


def test_tracks_come_later_and_then_stay(run_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "first"
    _export(run_folder, target)
    printed = _export(run_folder, target, "--tracks")
    assert "copied 2 files, 24 bytes" in printed
    assert "left out: 2" not in printed
    assert _files(target)["scores/energy/tracks/tape%2F1.parquet"] == "a long track"
    assert "copied 0 files" in _export(run_folder, target)
    assert (target / "scores/energy/tracks/tape%2F1.parquet").exists()


def test_an_interrupted_export_goes_on(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "first"
    planned = plan_export(run_folder, target)
    names = list(planned.files)

    def stop_in_the_fifth(_: int, name: str) -> None:
        if name == names[4]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(planned, stop_in_the_fifth)
    assert not json.loads((target / "export.json").read_text())["complete"]
    assert not (target / names[4]).exists()  # a file is there only when it is whole
    damaged = target / names[0]
    damaged.write_text("x" * damaged.stat().st_size)
    copied_again = []
    copy = exporting._copy
    monkeypatch.setattr(
        exporting, "_copy", lambda file, *rest: copied_again.append(file.name) or copy(file, *rest)
    )
    run_export(plan_export(run_folder, target))
    assert copied_again == [names[0], *names[4:]]
    assert not list(target.rglob("*.qsm-partial"))
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)


def test_what_the_run_no_longer_has_goes_and_files_of_the_user_stay(
    run_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "first"
    _export(run_folder, target)
    (target / "mine.ipynb").write_text("a notebook")
    (run_folder / "notes.txt").unlink()
    _export(run_folder, target)
    assert not (target / "notes.txt").exists()
    assert (target / "mine.ipynb").exists()


def test_other_folders_are_refused(run_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    printed = _export(run_folder, other, exit_code=2)
    assert "is not empty and holds no earlier export; choose a new or an empty folder" in printed
    assert _files(other) == {"thesis.tex": "years of work"}
    _export(run_folder, tmp_path / "first")
    second = run_folder.rename(run_folder.with_name("second"))
    printed = _export(second, tmp_path / "first", exit_code=2)
    assert "holds the results of first, not of second" in printed
    assert "within the results or around" in _export(second, second / "copy", exit_code=2)
    assert "within the results or around" in _export(second, tmp_path, exit_code=2)
    assert "is a file" in _export(second, tmp_path / "methods.md", exit_code=2)


def test_a_run_is_found_by_name_or_folder(run_folder: Path, tmp_path: Path) -> None:
    assert find_run("first", run_folder.parent) == run_folder.resolve()
    assert find_run(str(run_folder), tmp_path) == run_folder.resolve()
    with pytest.raises(ConfigurationError, match=r"no such run in .*; similar ones: first"):
        find_run("frist", run_folder.parent)
    with pytest.raises(ConfigurationError, match=r"there is none\); --results names another"):
        find_run("first", tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"recordings: is no folder of a run's results"):
        find_run(str(tmp_path / "recordings"), run_folder.parent)


def test_results_that_are_gone_or_damaged_are_named(run_folder: Path, tmp_path: Path) -> None:
    changed = (run_folder / "benchmark" / "metrics.csv").resolve()
    changed.chmod(0o600)
    changed.write_text(changed.read_text().replace("0.5", "0.9"))
    with pytest.raises(StoreError, match=r"metrics\.csv: is not what its stage wrote"):
        run_export(plan_export(run_folder, tmp_path / "first"))
    assert not (tmp_path / "first" / "benchmark" / "metrics.csv").exists()
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(ConfigurationError, match="run the flow again") as caught:
        plan_export(run_folder, tmp_path / "second")
    assert len(caught.value.problems) == 3
    (run_folder / ".qsm-links.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        plan_export(run_folder, tmp_path / "second")


def test_room_is_looked_for_before_anything_is_copied(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2**20)
    monkeypatch.setattr(exporting.shutil, "disk_usage", lambda _: usage)
    target = tmp_path / "first"
    assert "1 MiB are free on its disk" in _export(run_folder, target, exit_code=2)
    assert not _files(target)
