"""The paths of everything below the root of a store.

- outputs/<stage>/<key>/: a finished output and its manifest.json
- work/<stage>/<key>/: a claim: lock, spec, progress, resume folder, the output being made
- wanted/<stage>/<key>.json: a spec that a run needs; `adopt` finds it by its key
- aside/<stage>/<key>.<...>/: a damaged or replaced output, until it is pruned
- results/<stage>-<key>: Prefect's record of the stage, a small JSON file
- runs/<name>.json: which outputs a run refers to
- digests/: remembered digests of large files
- encoder_cache/: audio embeddings that several stages need; may be deleted at any time
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MANIFEST = "manifest.json"
# Files in this folder may differ between two equal outputs: timings, host.
VOLATILE_FOLDER = "volatile"


@dataclass(frozen=True)
class Layout:
    """The paths of one store."""

    root: Path

    @property
    def outputs(self) -> Path:
        """Folder of the finished outputs."""
        return self.root / "outputs"

    @property
    def works(self) -> Path:
        """Folder of the claims."""
        return self.root / "work"

    @property
    def asides(self) -> Path:
        """Folder of what was moved out of the way."""
        return self.root / "aside"

    @property
    def results(self) -> Path:
        """Folder of Prefect's records."""
        return self.root / "results"

    @property
    def runs(self) -> Path:
        """Folder of the files that say what a run refers to."""
        return self.root / "runs"

    @property
    def digests(self) -> Path:
        """Folder of the remembered digests."""
        return self.root / "digests"

    @property
    def encoder_cache(self) -> Path:
        """Folder of the audio embeddings that several stages need."""
        return self.root / "encoder_cache"

    def output(self, stage: str, key: str) -> Path:
        """Folder of one finished output."""
        return self.outputs / stage / key

    def work(self, stage: str, key: str) -> Path:
        """Folder of one claim."""
        return self.works / stage / key

    def wanted(self, stage: str, key: str) -> Path:
        """Where a spec is written before its output is made."""
        return self.root / "wanted" / stage / f"{key}.json"

    def result(self, stage: str, key: str) -> Path:
        """Prefect's record of one output."""
        return self.results / result_name(stage, key)

    def aside(self, stage: str, key: str) -> Path:
        """A new place for an output that is moved aside."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        return self.asides / stage / f"{key}.{moment}.{secrets.token_hex(3)}"


@dataclass(frozen=True)
class WorkFolder:
    """The paths of one claim."""

    path: Path

    @property
    def lock(self) -> Path:
        """Locked by the process that makes the output."""
        return self.path / "lock"

    @property
    def spec(self) -> Path:
        """The spec of the key, as JSON."""
        return self.path / "spec.json"

    @property
    def progress(self) -> Path:
        """How far the stage is, as JSON."""
        return self.path / "progress.json"

    @property
    def error(self) -> Path:
        """The traceback of the last attempt, if it failed."""
        return self.path / "error.txt"

    @property
    def generation(self) -> Path:
        """Which generation the resume folder belongs to."""
        return self.path / "generation"

    @property
    def attempts(self) -> Path:
        """The attempts so far: where, when, and how they ended."""
        return self.path / "attempts.json"

    @property
    def process(self) -> Path:
        """The order, the outcome and the log of a stage in a child process."""
        return self.path / "process"

    @property
    def resume(self) -> Path:
        """`StageContext.work`: survives a kill."""
        return self.path / "resume"

    @property
    def out(self) -> Path:
        """`StageContext.out`: the output being made."""
        return self.path / "out"


def result_name(stage: str, key: str) -> str:
    """Name of Prefect's record: also the cache key of the task."""
    return f"{stage}-{key}"
