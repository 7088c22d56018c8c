"""Outputs are made once, found again, and never used when damaged."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from qsm_core.errors import StageError, StoreError
from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.explain import VerdictKind
from qsm_core.store.manifest import summary_json
from qsm_core.store.spec import StageInput, build_spec
from qsm_core.store.store import Store
from tests.support.toys import MAKE_COUNT, count_arguments


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "attempts"


def attempts(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_an_output_is_made_once_and_then_reused(store, toys, log):
    spec = build_spec(toys.count, {"n": 3}, {})
    runtime = {"log": str(log)}
    made = make_output(store, spec, {}, runtime)
    again = make_output(store, spec, {}, runtime)
    assert (made.path / "n.txt").read_text() == "3"
    assert again.path == made.path == store.layout.output("count", spec.key)
    assert again.summary["n"] == 3
    assert attempts(log) == 1
    assert not store.layout.work("count", spec.key).exists()


def test_the_manifest_says_what_was_made_and_how(store, toys):
    spec = build_spec(toys.count, {"n": 3}, {})
    made = make_output(store, spec, {})
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert manifest["key"] == spec.key
    assert manifest["spec"]["config"] == {"n": 3}
    assert set(manifest["files"]) == {"n.txt", "volatile/timing.txt"}
    provenance = manifest["provenance"]
    assert provenance["seconds"] >= 0
    assert provenance["peak_memory_mib"] > 1
    assert provenance["libraries"]["numpy"]
    assert provenance["resumed"] is False
    assert provenance["started_at"] <= provenance["finished_at"]


def test_volatile_files_are_not_part_of_the_content(store, toys):
    one = make_output(store, build_spec(toys.count, {"n": 3, "name": "one"}, {}), {})
    two = make_output(store, build_spec(toys.count, {"n": 3, "name": "two"}, {}), {})
    timing = "volatile/timing.txt"
    assert one.manifest.files[timing] != two.manifest.files[timing]
    assert one.digest == two.digest
    assert one.path != two.path


def test_an_output_is_the_input_of_the_next_stage(store, toys):
    one = make_output(store, build_spec(toys.count, {"n": 3}, {}), {})
    two = make_output(store, build_spec(toys.count, {"n": 4}, {}), {})
    inputs = {"a": one.as_input(), "b": two.as_input()}
    total = make_output(store, build_spec(toys.total, {}, inputs), inputs)
    assert total.summary["n"] == 7
    with pytest.raises(StoreError, match="not those of the spec"):
        make_output(store, build_spec(toys.total, {"plus": 1}, inputs), {"a": one.as_input()})
    gone = {"a": StageInput(store.root / "gone", one.digest)}
    with pytest.raises(StoreError, match="input a is not there"):
        make_output(store, build_spec(toys.total, {}, gone), gone)


def test_files_are_read_only(store, toys):
    made = make_output(store, build_spec(toys.count, {"n": 3}, {}), {})
    for name in ("n.txt", "manifest.json", "volatile/timing.txt"):
        assert not (made.path / name).stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


def overwrite(path: Path, text: str) -> None:
    path.chmod(0o644)
    path.write_text(text)


def cut(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = {
    "deleted file": (lambda folder: (folder / "n.txt").unlink(), "n.txt: is missing"),
    "cut file": (lambda folder: cut(folder / "n.txt"), "n.txt: has 1 bytes instead of 2"),
    "edited file": (lambda folder: overwrite(folder / "n.txt", "13"), "n.txt: was edited"),
    "edited volatile file": (
        lambda folder: overwrite(folder / "volatile" / "timing.txt", "1"),
        "timing.txt: has 1 bytes",
    ),
    "added file": (lambda folder: (folder / "new").write_text(""), "new: does not belong there"),
    "deleted manifest": (
        lambda folder: (folder / "manifest.json").unlink(),
        "manifest.json: is missing",
    ),
    "cut manifest": (lambda folder: cut(folder / "manifest.json"), "manifest.json: cannot be read"),
    "edited manifest": (
        lambda folder: overwrite(
            folder / "manifest.json",
            (folder / "manifest.json").read_text().replace('"n": 12', '"n": 99', 1),
        ),
        "manifest.json: was edited",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_output_is_explained_and_made_again(store, toys, log, damage, caplog):
    spec = build_spec(toys.count, {"n": 12}, {})
    made = make_output(store, spec, {}, {"log": str(log)})
    do_damage, described = DAMAGES[damage]
    do_damage(made.path)
    verdict = store.explain(spec)
    assert verdict.kind is VerdictKind.DAMAGED
    assert described in verdict.sentence
    assert store.find(spec) is None
    again = make_output(store, spec, {}, {"log": str(log)})
    assert described in caplog.text
    assert attempts(log) == 2
    assert again.digest == made.digest
    assert store.explain(spec).kind is VerdictKind.REUSED
    assert len(list((store.root / "aside" / "count").iterdir())) == 1


def test_an_output_under_the_key_of_another_is_not_taken(store, toys):
    one = make_output(store, build_spec(toys.count, {"n": 3}, {}), {})
    other = build_spec(toys.count, {"n": 4}, {})
    one.path.rename(store.layout.output("count", other.key))
    assert "belongs to key" in store.explain(other).sentence
    assert make_output(store, other, {}).summary["n"] == 4


def test_force_makes_it_again_and_counts(store, toys, log):
    spec = build_spec(toys.count, {"n": 3}, {})
    runtime = {"log": str(log)}
    assert make_output(store, spec, {}, runtime).manifest.generation == 1
    assert store.explain(spec, force=True).kind is VerdictKind.FORCED
    assert make_output(store, spec, {}, runtime, force=True).manifest.generation == 2
    assert attempts(log) == 2
    # A retry of the same forced task finds that it is done.
    assert make_output(store, spec, {}, runtime, min_generation=2).manifest.generation == 2
    assert attempts(log) == 2


def test_a_failed_forced_run_leaves_the_old_output(store, toys):
    spec = build_spec(toys.count, {"n": 3}, {})
    made = make_output(store, spec, {})
    with pytest.raises(ValueError, match="no good"):
        make_output(store, spec, {}, {"fail": "value"}, force=True)
    found = store.find(spec)
    assert found is not None
    assert found.manifest == made.manifest


def test_a_failure_leaves_no_output_and_keeps_work_and_traceback(store, toys):
    spec = build_spec(toys.count, {"n": 3}, {})
    with pytest.raises(ValueError, match="no good"):
        make_output(store, spec, {}, {"fail": "value"})
    assert store.find(spec) is None
    work = store.layout.work("count", spec.key)
    assert "ValueError: n is no good" in (work / "error.txt").read_text()
    assert store.explain(spec).resumes
    made = make_output(store, spec, {})
    assert made.summary["first_step"] == 3
    assert made.manifest.provenance["resumed"] is True


def test_a_forced_run_does_not_go_on_from_older_work(store, toys):
    spec = build_spec(toys.count, {"n": 3}, {})
    with pytest.raises(ValueError, match="no good"):
        make_output(store, spec, {}, {"fail": "value"})
    assert make_output(store, spec, {}).summary["first_step"] == 3
    with pytest.raises(ValueError, match="no good"):
        make_output(store, spec, {}, {"fail": "value"}, force=True)
    # The forced attempt itself is continued.
    assert make_output(store, spec, {}, force=True).summary["first_step"] == 3
    assert make_output(store, spec, {}, force=True).summary["first_step"] == 0


def test_resume_after_a_kill_loses_one_step_at_most(store, toys, log):
    spec = build_spec(toys.count, {"n": 10}, {})
    killed = toys.start(
        MAKE_COUNT,
        *count_arguments(store.root, toys, {"n": 10}, {"die_at": 7, "log": str(log)}),
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    assert store.find(spec) is None
    assert "continues unfinished work" in store.explain(spec).sentence
    progress = store.progress(spec)
    assert progress is not None
    assert progress.total in (0, 10)
    made = make_output(store, spec, {}, {"log": str(log)})
    assert made.summary["first_step"] == 7
    assert made.digest == make_output(Store(store.root.with_name("other")), spec, {}).digest


def _launch(write, returned):
    """Return a stage that writes into its folder and returns something."""

    def launch(spec, context, _):
        write(context.out)
        return Launched(summary_json(spec.stage, returned), {})

    return launch


def test_what_cannot_be_kept_is_refused(store, toys):
    spec = build_spec(toys.count, {"n": 1}, {})

    def links(out):
        (out / "link").symlink_to("/etc/hostname")

    def takes_the_name(out):
        (out / "manifest.json").write_text("{}")

    def nothing(_):
        """Write nothing."""

    for write, returned, shown in [
        (links, {}, "is a link to /etc/hostname"),
        (takes_the_name, {}, "this name is reserved for the store"),
        (nothing, {}, "wrote no file"),
        (nothing, 3, "returned int"),
        (nothing, {"x": {1, 2}}, r"summary of stage count\.x"),
    ]:
        with pytest.raises(StageError, match=shown):
            make_output(store, spec, {}, launch=_launch(write, returned))
    assert store.find(spec) is None


def test_numbers_that_are_not_finite_are_words_in_the_summary(store, toys):
    def write(out):
        (out / "a").write_text("")

    spec = build_spec(toys.count, {"n": 1}, {})
    returned = {"loss": [float("nan"), float("inf"), -float("inf"), 1.0]}
    made = make_output(store, spec, {}, launch=_launch(write, returned))
    assert made.summary == {"loss": ["NaN", "Infinity", "-Infinity", 1.0]}
    assert store.find(spec) is not None


def test_code_that_is_not_that_of_the_spec_is_refused(store, toys):
    spec = build_spec(toys.count, {"n": 1}, {})
    toys.edit("arithmetic", "return a + b", "return b + a")
    with pytest.raises(StageError, match=f"source of {toys.name}.arithmetic"):
        make_output(store, spec, {})
    older = replace(spec, code={}, libraries={"numpy": "0.1"})
    with pytest.raises(StageError, match=r"numpy .* instead of 0\.1"):
        make_output(store, older, {})


def test_a_process_with_the_code_of_before_an_edit_is_refused(store, toys):
    make_output(store, build_spec(toys.count, {"n": 1}, {}), {})
    toys.edit("arithmetic", "return a + b", "return b + a")
    with pytest.raises(StageError, match=f"{toys.name}.arithmetic as it was before an edit"):
        make_output(store, build_spec(toys.count, {"n": 1}, {}), {})


def test_progress_can_be_read_by_others(store, toys):
    spec = build_spec(toys.count, {"n": 3}, {})
    seen = []

    def report(done, total, message):
        seen.append((done, total, message))
        progress = store.progress(spec)
        assert progress is not None
        assert (progress.done, progress.total) == (done, total)

    make_output(store, spec, {}, report=report)
    assert seen[-1] == (3, 3, "counting")
    assert store.progress(spec) is None
