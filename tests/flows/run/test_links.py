from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.run.links import link_results
from qsm_core.errors import StoreError


def _output(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(text)
    return folder


def test_results_stand_under_their_names(tmp_path: Path) -> None:
    output = _output(tmp_path / "store" / "evaluate" / "abc", "1")
    folder = link_results(tmp_path / "results", {"eval_base": output, "deep/er/final": output})
    assert (folder / "eval_base" / "metrics.json").read_text() == "1"
    assert (folder / "deep" / "er" / "final" / "metrics.json").read_text() == "1"


def test_a_later_run_replaces_links_and_drops_stale_ones(tmp_path: Path) -> None:
    first = _output(tmp_path / "a", "1")
    second = _output(tmp_path / "b", "2")
    link_results(tmp_path / "results", {"eval_base": first, "old": first})
    folder = link_results(tmp_path / "results", {"eval_base": second})
    assert (folder / "eval_base" / "metrics.json").read_text() == "2"
    assert not (folder / "old").is_symlink()
    assert (first / "metrics.json").exists()


def test_many_runs_of_one_name_do_not_disturb_each_other(tmp_path: Path) -> None:
    outputs = {f"eval_{n}": _output(tmp_path / "store" / str(n), str(n)) for n in range(20)}

    def link(_: int) -> Path:
        return link_results(tmp_path / "results" / "run", outputs)

    with ThreadPoolExecutor(8) as threads:
        folders = set(threads.map(link, range(200)))
    (folder,) = folders
    assert {path.name for path in folder.iterdir()} == set(outputs)
    assert {path.name for path in folder.parent.iterdir()} == {"run"}


def test_the_results_can_be_moved_together_with_the_store(tmp_path: Path) -> None:
    home = tmp_path / "home"
    output = _output(home / "store" / "x", "1")
    link_results(home / "results", {"eval_base": output})
    moved = home.rename(tmp_path / "moved")
    assert (moved / "results" / "eval_base" / "metrics.json").read_text() == "1"


def test_a_file_of_the_user_is_never_replaced(tmp_path: Path) -> None:
    output = _output(tmp_path / "a", "1")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "eval_base").write_text("mine")
    with pytest.raises(StoreError, match="file of yours"):
        link_results(tmp_path / "results", {"eval_base": output})
    assert (tmp_path / "results" / "eval_base").read_text() == "mine"
