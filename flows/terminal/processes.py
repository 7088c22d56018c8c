"""Processes that a command starts: none of them may outlive it.

Linux lets a process ask for a signal when its parent dies, and adopt what its dying children
leave behind; both are used where they exist.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Collection

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none is lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_descendants(timeout_s: float, *, spare: Collection[psutil.Process] = ()) -> int:
    """End the descendants of this process: SIGTERM first, after a while SIGKILL.

    Args:
        timeout_s: How long they have to end by themselves.
        spare: Children that stay, with their own descendants.

    Returns:
        How many had to be killed.
    """
    left = _descendants(spare)
    for process in left:
        _signal(process, signal.SIGTERM)
    psutil.wait_procs(left, timeout=timeout_s)
    killed = _descendants(spare)  # looked up again: one that ends may leave children
    for process in killed:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(killed, timeout=timeout_s)
    return len(killed)


def _descendants(spare: Collection[psutil.Process]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        if child not in spare:
            found += [child, *_children_of(child)]
    return found


def _children_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
