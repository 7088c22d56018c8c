"""How a run says what failed: the error of one stage in words, and one error for all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent import futures

from qsm_core.errors import QsmError, StageError
from qsm_core.store.full_disk import full_disk_error, is_full_disk
from qsm_core.store.layout import Layout, WorkFolder
from tasks.run.handle import NotMadeError, StageHandle
from tasks.workers.errors import StoppedError

# What a stage ends with when its cluster is closed under it.
STOPPED = (StoppedError, futures.CancelledError, asyncio.CancelledError)


def in_words(error: BaseException, layout: Layout) -> str:
    """Return the text of an error; where the disk is full, say what to do."""
    if isinstance(error, STOPPED):
        return "the run was stopped"
    if is_full_disk(error) and not isinstance(error, QsmError):
        return str(full_disk_error(error, root=layout.root, work=layout.works))
    return str(error)


def raise_failures(handles: Sequence[StageHandle], layout: Layout) -> None:
    """Raise one error for all stages that failed, if any did.

    Raises:
        StageError: Lists them with the places of their tracebacks, and says what to do.
    """
    errors = [handle for handle in handles if handle.error is not None]
    failed = [one for one in errors if not isinstance(one.error, NotMadeError)]
    if not failed:
        return
    idle = [one.name for one in errors if one not in failed]
    listed = [f"  - {_failure(one, layout)}" for one in failed]
    rest = f", {len(idle)} not started ({', '.join(idle)})" if idle else ""
    done = len(handles) - len(errors)
    raise StageError(
        f"{len(failed)} of {len(handles)} stages failed, {done} finished{rest}:\n"
        + "\n".join(listed)
        + "\nMend the cause and run the same again: what is finished is reused, and "
        "unfinished work is continued where it stopped."
    ) from None


def _failure(handle: StageHandle, layout: Layout) -> str:
    """Return why a stage failed, as an item of a list, and where its traceback is."""
    text = str(handle.error).replace("\n", "\n    ")
    if handle.spec is None:
        return text
    place = WorkFolder(layout.work(handle.spec.stage, handle.spec.key)).error
    return f"{text}\n    (traceback: {place})" if place.exists() else text
