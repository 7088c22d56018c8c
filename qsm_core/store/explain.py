"""Why a stage is reused or must run, in words that a person can act on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from qsm_core.store.canonical import canonical_json
from qsm_core.store.manifest import Manifest
from qsm_core.store.spec import StageSpec

_LONGEST_VALUE = 60
_MOST_CHANGES = 6


_WORDS = {
    "input": {"changed": "has other content", "added": "is new", "removed": "is gone"},
    "code": {"changed": "was edited", "added": "is newly used", "removed": "is no longer used"},
}


class VerdictKind(StrEnum):
    """What was decided, and the main reason."""

    REUSED = "reused"
    NEW = "new"
    CHANGED = "changed"
    DAMAGED = "damaged"
    FORCED = "forced"


@dataclass(frozen=True)
class Change:
    """One difference between a spec and an earlier one.

    Args:
        what: config | input | code | library | schema | entry.
        name: Which field, input, module or library.
        how: Whether it changed, is new or is gone.
        before: Its earlier value; None where it is new.
        after: Its value now; None where it is gone.
    """

    what: str
    name: str
    how: Literal["changed", "added", "removed"]
    before: Any
    after: Any

    @property
    def sentence(self) -> str:
        """The difference in words."""
        if self.what in ("input", "code"):
            words = _WORDS[self.what][self.how]
            return f"{self.what} {self.name} {words}"
        if self.how == "added":
            return f"{self.what} {self.name} is new: {_brief(self.after)}"
        if self.how == "removed":
            return f"{self.what} {self.name} is gone: {_brief(self.before)}"
        return f"{self.what} {self.name} changed from {_brief(self.before)} to {_brief(self.after)}"


@dataclass(frozen=True)
class Verdict:
    """What happens to a stage, and why.

    Args:
        kind: What was decided.
        stage: Name of the stage.
        key: Its key.
        changes: Differences from the most similar earlier output, if they are the reason.
        compared_with: Key of that earlier output.
        problems: What is wrong with the output, if it is damaged.
        adopted: Why the output of another key was adopted, if it was.
        resumes: Whether unfinished work of this key will be continued.
    """

    kind: VerdictKind
    stage: str
    key: str
    changes: tuple[Change, ...] = ()
    compared_with: str | None = None
    problems: tuple[str, ...] = ()
    adopted: str | None = None
    resumes: bool = False

    @property
    def reuse(self) -> bool:
        """Whether the output is there and will be used."""
        return self.kind is VerdictKind.REUSED

    @property
    def sentence(self) -> str:
        """The decision and its reason in one line."""
        text = self._reason()
        return f"{text}; continues unfinished work" if self.resumes else text

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values, the sentence included."""
        return {**asdict(self), "kind": str(self.kind), "sentence": self.sentence}

    def _reason(self) -> str:
        if self.kind is VerdictKind.REUSED:
            return f"reused, adopted: {self.adopted}" if self.adopted else "reused"
        if self.kind is VerdictKind.FORCED:
            return "made again because it was requested (force)"
        if self.kind is VerdictKind.DAMAGED:
            return "made again because the output is damaged: " + "; ".join(self.problems)
        if self.kind is VerdictKind.NEW:
            return "new: no earlier output of this stage"
        sentences = [change.sentence for change in self.changes[:_MOST_CHANGES]]
        if len(self.changes) > _MOST_CHANGES:
            sentences.append(f"and {len(self.changes) - _MOST_CHANGES} more")
        return f"runs because of {'; '.join(sentences)} (against {str(self.compared_with)[:8]})"


def compare(before: StageSpec, after: StageSpec) -> tuple[Change, ...]:
    """List the differences between two specs, those that a person makes first."""
    changes = [
        *_differences("schema", {"version": before.schema}, {"version": after.schema}),
        *_differences("entry", {"module": before.entry}, {"module": after.entry}),
        *_differences("config", _flatten(before.config), _flatten(after.config)),
        *_differences("input", before.inputs, after.inputs),
        *_differences("code", before.code, after.code),
        *_differences("library", before.libraries, after.libraries),
    ]
    return tuple(changes)


def nearest(spec: StageSpec, earlier: Iterable[Manifest]) -> Manifest | None:
    """Return the earlier output with the fewest differences; the latest of several."""
    others = sorted(earlier, key=lambda manifest: manifest.finished_at, reverse=True)
    return min(others, key=lambda other: len(compare(other.spec, spec)), default=None)


def _differences(
    what: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterable[Change]:
    for name in sorted({*before, *after}):
        if name not in before:
            yield Change(what, name, "added", None, after[name])
        elif name not in after:
            yield Change(what, name, "removed", before[name], None)
        elif not _equal(before[name], after[name], name):
            yield Change(what, name, "changed", before[name], after[name])


def _equal(before: Any, after: Any, name: str) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        return before == after  # digests and versions, which most values are
    return canonical_json(before, name) == canonical_json(after, name)


def _flatten(value: Any, place: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts by dotted name; a list is a leaf."""
    if not isinstance(value, Mapping) or not value:
        return {place: value} if place else {}
    leaves: dict[str, Any] = {}
    for name in value:
        leaves.update(_flatten(value[name], f"{place}.{name}" if place else str(name)))
    return leaves


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
