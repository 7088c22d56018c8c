"""Adopting, listing, verifying and pruning, through the command line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qsm_core.errors import StoreError
from qsm_core.stage.making import make_output
from qsm_core.store.adoption import adopt
from qsm_core.store.claim import claim
from qsm_core.store.command_line import app
from qsm_core.store.inventory import take_inventory
from qsm_core.store.prune import choose_removals, remove
from qsm_core.store.references import Reference, read_references, write_references
from qsm_core.store.spec import StageSpec, build_spec
from qsm_core.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def spec(toys):
    return build_spec(toys.count, {"n": 3}, {})


def command(store: Store, *words: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, [*words, "--root", str(store.root)])
    assert result.exit_code == exit_code, result.output
    return result.output


def command_json(store: Store, *words: str) -> object:
    return json.loads(command(store, *words, "--json"))


def make(store: Store, toys, n: int) -> StageSpec:
    made = build_spec(toys.count, {"n": n}, {})
    make_output(store, made, {})
    return made


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 86_400
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (then, then))


def test_adoption_takes_the_files_and_says_why(store, toys, spec):
    make_output(store, spec, {})
    toys.edit("arithmetic", "return a + b", "return b + a")
    changed = build_spec(toys.count, {"n": 3}, {})
    store.announce(changed)
    words = ["adopt", "count", spec.key[:8], "--for", changed.key[:8], "--reason", "only renamed"]
    said = command(store, *words)
    assert f"code {toys.name}.arithmetic was edited" in said
    verdict = store.explain(changed)
    assert verdict.reuse
    assert verdict.sentence == "reused, adopted: only renamed"
    found = store.find(changed)
    assert found is not None
    adopted = found.manifest.provenance["adopted"]
    assert adopted["from_key"] == spec.key
    assert adopted["who"]
    assert adopted["differences"] == [f"code {toys.name}.arithmetic was edited"]
    assert found.manifest.provenance["seconds"] >= 0
    original = store.find(spec)
    assert original is not None
    assert original.digest == found.digest
    assert "adopted" in command(store, "list")


def test_adoption_needs_a_reason_a_whole_source_and_a_free_key(store, toys, spec):
    made = make_output(store, spec, {})
    other = build_spec(toys.count, {"n": 4}, {})
    with pytest.raises(StoreError, match="needs a reason"):
        adopt(store, other, spec.key, "  ")
    with pytest.raises(StoreError, match="has an output already"):
        adopt(store, spec, spec.key, "why not")
    with pytest.raises(StoreError, match="no such output"):
        adopt(store, other, "0" * 64, "why not")
    (made.path / "n.txt").unlink()
    with pytest.raises(StoreError, match=r"n\.txt: is missing"):
        adopt(store, other, spec.key, "why not")
    words = ["adopt", "count", spec.key[:8], "--for", "abc", "--reason", "x"]
    assert "no wanted spec" in command(store, *words, exit_code=2)


def test_list_and_show(store, toys, spec):
    make_output(store, spec, {})
    with pytest.raises(ValueError, match="no good"):
        make_output(store, build_spec(toys.count, {"n": 5}, {}), {}, {"fail": "value"})
    write_references(store.layout, "my run", [Reference("counting", "count", spec.key)])
    rows = command_json(store, "list")
    assert [(row["kind"], row["runs"]) for row in rows] == [("output", ["my run"]), ("work", [])]
    assert rows[1]["state"].startswith("unfinished: ")
    assert spec.key[:8] in command(store, "list", "--stage", "count")
    assert command_json(store, "list", "--stage", "total") == []
    assert command_json(store, "show", "count", spec.key[:6])["summary"]["n"] == 3
    assert "n.txt" in command(store, "show", "count", spec.key)
    assert "no output of stage count" in command(store, "show", "count", "xyz", exit_code=2)


def test_verify_finds_damage(store, toys, spec):
    made = make_output(store, spec, {})
    make(store, toys, 4)
    assert "2 of 2 outputs are whole" in command(store, "verify")
    (made.path / "n.txt").chmod(0o644)
    (made.path / "n.txt").write_text("9")
    said = command(store, "verify", exit_code=1)
    assert "n.txt: was edited" in said
    assert "1 of 2 outputs are whole" in said


def test_prune_removes_only_what_no_run_refers_to_and_only_with_yes(store, toys):
    kept, lost = make(store, toys, 1), make(store, toys, 2)
    write_references(store.layout, "run", [Reference("a", "count", kept.key)])
    assert "say what to remove" in command(store, "prune", exit_code=2)
    said = command(store, "prune", "--unreferenced")
    assert "would remove 1" in said
    assert lost.key[:8] in said
    assert store.find(lost) is not None
    assert "removed 1 of 1" in command(store, "prune", "--unreferenced", "--yes")
    assert store.find(lost) is None
    assert store.find(kept) is not None
    assert list((store.root / "aside" / "count").iterdir()) == []


def test_prune_by_age_and_size(store, toys):
    specs = [make(store, toys, n) for n in (1, 2, 3)]
    for days, one in zip((30, 20, 10), specs, strict=True):
        age(store.layout.output("count", one.key), days)
    holdings = take_inventory(store.layout)
    by_age = choose_removals(holdings, older_than_days=15)
    assert {one.holding.key for one in by_age} == {one.key for one in specs[:2]}
    total = sum(one.bytes for one in holdings)
    by_size = choose_removals(holdings, max_bytes=total - 1)
    assert [one.holding.key for one in by_size] == [specs[0].key]
    assert choose_removals(holdings, max_bytes=total) == []
    # Use makes it young again.
    store.find(specs[0])
    young = choose_removals(take_inventory(store.layout), older_than_days=15)
    assert [one.holding.key for one in young] == [specs[1].key]


def test_prune_leaves_what_is_being_made_and_takes_what_was_moved_aside(store, toys, spec):
    make_output(store, spec, {})
    make_output(store, spec, {}, force=True)
    write_references(store.layout, "run", [Reference("a", "count", spec.key)])
    holdings = take_inventory(store.layout)
    chosen = choose_removals(holdings, unreferenced=True)
    assert [one.holding.kind for one in chosen] == ["aside"]
    with claim(store.layout.work("count", spec.key), on_wait=lambda _: None):
        assert remove(store.layout, chosen) == []
    assert len(remove(store.layout, chosen)) == 1
    assert len(choose_removals(holdings, unreferenced=True, include_referenced=True)) == 2


def test_an_unreadable_reference_stops_pruning(store, toys, spec):
    make_output(store, spec, {})
    path = write_references(store.layout, "a/run", [Reference("a", "count", spec.key)])
    assert read_references(store.layout)["a/run"] == (Reference("a", "count", spec.key),)
    path.write_text("{")
    said = command(store, "prune", "--unreferenced", "--yes", exit_code=2)
    assert "cannot be read" in said
    assert store.find(spec) is not None
