from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.run.links import check_names, link_results
from qsm_core.errors import StoreError
from qsm_core.results.run_folder import NOTE


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def _output(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(text)
    return folder


def test_results_stand_under_their_names(tmp_path: Path, store: Path) -> None:
    output = _output(tmp_path / "store" / "evaluate" / "abc", "1")
    folder = link_results(
        tmp_path / "results", {"eval_base": output, "deep/er/final": output}, store=store
    )
    assert (folder / "eval_base" / "metrics.json").read_text() == "1"
    assert (folder / "deep" / "er" / "final" / "metrics.json").read_text() == "1"


def test_a_later_run_replaces_links_and_drops_stale_ones(tmp_path: Path, store: Path) -> None:
    first = _output(store / "a", "1")
    second = _output(store / "b", "2")
    link_results(tmp_path / "results", {"eval_base": first, "old": first}, store=store)
    folder = link_results(tmp_path / "results", {"eval_base": second}, store=store)
    assert (folder / "eval_base" / "metrics.json").read_text() == "2"
    assert not (folder / "old").is_symlink()
    assert (first / "metrics.json").exists()


def test_many_runs_of_one_name_do_not_disturb_each_other(tmp_path: Path, store: Path) -> None:
    outputs = {f"eval_{n}": _output(tmp_path / "store" / str(n), str(n)) for n in range(20)}

    def link(_: int) -> Path:
        return link_results(tmp_path / "results" / "run", outputs, store=store)

    with ThreadPoolExecutor(8) as threads:
        folders = set(threads.map(link, range(200)))
    (folder,) = folders
    assert {path.name for path in folder.iterdir()} == {*outputs, NOTE}
    assert {path.name for path in folder.parent.iterdir()} == {"run"}


def test_the_results_can_be_moved_together_with_the_store(tmp_path: Path, store: Path) -> None:
    home = tmp_path / "home"
    output = _output(home / "store" / "x", "1")
    link_results(home / "results", {"eval_base": output}, store=home / "store")
    moved = home.rename(tmp_path / "moved")
    assert (moved / "results" / "eval_base" / "metrics.json").read_text() == "1"


def test_a_file_of_the_user_is_never_replaced(tmp_path: Path, store: Path) -> None:
    output = _output(store / "a", "1")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "eval_base").write_text("mine")
    with pytest.raises(StoreError, match="file of yours"):
        link_results(tmp_path / "results", {"eval_base": output}, store=store)
    assert (tmp_path / "results" / "eval_base").read_text() == "mine"


def test_links_of_the_user_stay(tmp_path: Path, store: Path) -> None:
    output, results = _output(store / "a", "1"), tmp_path / "results"
    (tmp_path / "audio").mkdir()
    (results / "notes").mkdir(parents=True)
    (results / "audio").symlink_to(tmp_path / "audio")
    (results / "notes" / "dead").symlink_to(tmp_path / "nowhere")
    for names in (("eval_base", "old"), ("eval_base",)):
        link_results(results, dict.fromkeys(names, output), store=store)
        assert (results / "audio").is_symlink()
        assert (results / "notes" / "dead").is_symlink()
    assert not (results / "old").is_symlink()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dead link"])
def test_a_name_that_the_user_has_taken_is_refused_before_anything_runs(
    tmp_path: Path, store: Path, kind: str
) -> None:
    taken = tmp_path / "results" / "eval_base"
    taken.parent.mkdir()
    (tmp_path / "audio").mkdir()
    if kind == "file":
        taken.write_text("mine")
    elif kind == "folder":
        taken.mkdir()
    else:
        taken.symlink_to(tmp_path / ("audio" if kind == "link" else "nowhere"))
    before = sorted((tmp_path / "results").iterdir())
    with pytest.raises(StoreError, match=rf"eval_base is a {kind.split()[-1]} of yours"):
        check_names(tmp_path / "results", ["report", "eval_base"], store=store)
    assert sorted((tmp_path / "results").iterdir()) == before
    check_names(tmp_path / "results", ["report"], store=store)


def test_a_damaged_note_loses_no_link_of_the_user(tmp_path: Path, store: Path) -> None:
    output, results = _output(store / "a", "1"), tmp_path / "results"
    link_results(results, {"eval_base": output}, store=store)
    (results / NOTE).write_text("{")
    (results / "audio").symlink_to(tmp_path)
    link_results(results, {"eval_base": output}, store=store)
    assert (results / "audio").is_symlink()
