"""Note which outputs a run refers to, so that they are not pruned while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from qsm_core.store.layout import Layout
from qsm_core.store.references import Reference, references_of, write_references
from tasks.run.handle import StageHandle


class RunReferences:
    """The note of one run. Stages that ask for it at the same time share one write."""

    def __init__(
        self, layout: Layout, run: str, handles: Callable[[], Sequence[StageHandle]]
    ) -> None:
        """Write nothing yet.

        Args:
            layout: The store.
            run: Name of the run.
            handles: Returns its stages, those that were added later included.
        """
        self._layout, self._run, self._handles = layout, run, handles
        self._writing = threading.Lock()
        self._asking = threading.Lock()
        self._asked = 0
        self._written = 0

    def note(self) -> None:
        """Note every stage whose key is known, beside what the run referred to before."""
        with self._asking:
            self._asked += 1
            mine = self._asked
        with self._writing:
            if self._written >= mine:  # somebody else wrote while this thread waited
                return
            reached = self._asked
            # Read again each time: another run of the same name may go on beside this one.
            noted = references_of(self._layout, self._run)
            known = {one.name: one for one in noted} | self._now()
            write_references(self._layout, self._run, known.values())
            self._written = reached

    def complete(self) -> None:
        """Note what the run refers to at its end, and nothing else."""
        with self._writing:
            write_references(self._layout, self._run, self._now().values())

    def _now(self) -> dict[str, Reference]:
        return {
            handle.name: Reference(handle.name, handle.spec.stage, handle.spec.key)
            for handle in self._handles()
            if handle.spec is not None
        }
