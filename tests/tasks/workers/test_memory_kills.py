"""Kills for lack of memory, as Linux counts them in its two kinds of control groups and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qsm_core.errors import StageError
from tasks.workers.clusters import Place
from tasks.workers.memory_kills import MemoryKills, count_memory_kills

V2 = "sys/fs/cgroup/user.slice/run/memory.events"
V1 = "sys/fs/cgroup/memory/user.slice/run/memory.oom_control"
VM = "proc/vmstat"
Write = Callable[[str, int], None]


@pytest.fixture
def count(tmp_path: Path) -> Write:
    def write(name: str, kills: int) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"nr_oom_kill 77\noom 9\noom_kill {kills}\noom_kill_disable 0\n")

    return write


def _groups(root: Path, *lines: str) -> None:
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("lines", "counter"),
    [
        (["0::/user.slice/run"], V2),
        (["9:name=systemd:/x", "4:cpuset,memory:/user.slice/run", "0::/"], V1),
        (["0::/elsewhere"], "sys/fs/cgroup/memory.events"),  # as within a container
        (["0::/"], VM),
        ([], VM),
    ],
)
def test_the_count_of_the_own_group_is_taken(
    tmp_path: Path, count: Write, lines: list[str], counter: str
) -> None:
    _groups(tmp_path, *lines)
    count(VM, 100)  # of the whole machine, where others were killed as well
    count(counter, 3)
    assert count_memory_kills(tmp_path) == 3
    kills = MemoryKills(tmp_path)
    assert kills.seen() is False
    count(counter, 4)
    assert kills.seen() is True


def test_nothing_is_said_where_nothing_is_counted(tmp_path: Path) -> None:
    assert MemoryKills(tmp_path).seen() is None


def test_this_system_counts() -> None:
    assert MemoryKills().seen() is False


@pytest.mark.parametrize(
    ("kills", "said"),
    [
        (1, "killed because memory ran out"),
        (0, "killed from outside, or crashed; memory had not run out"),
        (None, "killed, or crashed$"),
    ],
)
def test_a_worker_that_is_gone_is_explained_by_what_was_seen(
    tmp_path: Path, count: Write, kills: int | None, said: str
) -> None:
    if kills is not None:
        count(VM, 5)
    seen = MemoryKills(tmp_path)
    if kills:
        count(VM, 5 + kills)
    runner: Any = None  # it is not asked
    with pytest.raises(StageError, match=said):
        raise Place(runner, None, seen).loss_reason()
