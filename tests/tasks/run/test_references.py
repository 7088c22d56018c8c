"""What a run refers to is noted, also when hundreds of stages begin at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qsm_core.store.layout import Layout
from qsm_core.store.references import Reference, read_references, write_references
from qsm_core.store.spec import StageSpec
from tasks.run import references
from tasks.run.handle import StageHandle
from tasks.run.references import RunReferences
from tests.support.toy_stages import CountConfig, count_stage

COUNT = 200


def _handle(number: int) -> StageHandle:
    stage = count_stage("toycore")
    handle = StageHandle(
        name=f"n{number}",
        place=(number, 1, 0),
        stage=stage,
        config=CountConfig(number),
        values={"n": number},
        inputs={},
        runtime={},
        force=False,
        start=lambda: None,
        num_shards=1,
        definition=stage.definition,
    )
    handle.spec = StageSpec("count", 1, "toycore.count", {"n": number}, {}, {}, {})
    return handle


def test_every_stage_is_noted_before_it_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    write_references(layout, "run", [Reference("earlier", "count", "0" * 64)])
    handles: list[StageHandle] = []
    run = RunReferences(layout, "run", lambda: tuple(handles))
    writes = []

    def write(*arguments: object) -> Path:
        writes.append(threading.get_ident())
        return write_references(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(references, "write_references", write)

    def begin(number: int) -> bool:
        handle = _handle(number)
        handles.append(handle)
        run.note()
        return handle.name in {one.name for one in read_references(layout)["run"]}

    with ThreadPoolExecutor(50) as threads:
        assert all(threads.map(begin, range(COUNT)))
    names = {one.name for one in read_references(layout)["run"]}
    assert names == {"earlier", *(f"n{number}" for number in range(COUNT))}
    assert len(writes) < COUNT


def test_at_its_end_a_run_refers_to_its_own_stages_only(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_references(layout, "run", [Reference("earlier", "count", "0" * 64)])
    RunReferences(layout, "run", lambda: (_handle(1),)).complete()
    assert [one.name for one in read_references(layout)["run"]] == ["n1"]
